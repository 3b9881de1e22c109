"""Objects and stories for the tests of the watch cache."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson

from apiserver.storage.cacheitem import CacheItem, WatchEvent, describe_json
from apiserver.storage.resourcecache import Watch
from apiserver.storage.store import Entry


def pod(name: str, namespace: str = "default", app: str = "web", node: str = "", size: int = 0) -> bytes:
    return orjson.dumps(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": {"app": app}},
            "spec": {"nodeName": node, "filler": "x" * size},
        }
    )


def fields_of(found: dict[str, Any]) -> Mapping[str, str]:
    return {"spec.nodeName": found.get("spec", {}).get("nodeName", "")}


def describe(entry: Entry) -> CacheItem:
    return describe_json(entry, fields_of)


async def told(watch: Watch, count: int) -> list[WatchEvent]:
    found: list[WatchEvent] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            found += await watch.next()
    return found


def story(events: list[WatchEvent]) -> list[tuple[str, str, int]]:
    return [(event.type, event.item.name, event.revision) for event in events]
