"""Definitions the tests of custom resources share."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

from tests.apiserver.cluster import WAIT_SECONDS, Cluster

Obj = dict[str, Any]
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

CRON_TAB_SCHEMA: Obj = {
    "type": "object",
    "description": "A schedule.",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["cronSpec"],
            "properties": {
                "cronSpec": {"type": "string", "pattern": r"^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$"},
                "image": {"type": "string", "default": "busybox"},
                "replicas": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
                "ports": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": {"type": "string"},
                            "port": {"type": "integer"},
                            "protocol": {"type": "string", "default": "TCP"},
                        },
                    },
                },
                "settings": {"type": "object", "additionalProperties": {"type": "string"}},
                "anything": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
        },
        "status": {
            "type": "object",
            "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}},
        },
    },
}


def crd(plural: str, kind: str, group: str = "stable.example.com", **version: Any) -> Obj:
    """A definition with one version v1; `version` adds to or replaces its members."""
    one = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": copy.deepcopy(CRON_TAB_SCHEMA)}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind},
            "versions": [{**one, **version}],
        },
    }


def conditions(definition: Obj) -> dict[str, str]:
    return {one["type"]: one["status"] for one in definition.get("status", {}).get("conditions") or ()}


async def establish(cluster: Cluster, definition: Obj) -> Obj:
    """Create the definition and wait, by a watch, until it is served."""
    created = await cluster.must("POST", CRDS, definition)
    return await wait_for(cluster, created, "Established")


async def wait_for(cluster: Cluster, definition: Obj, kind: str, status: str = "True") -> Obj:
    name, version = definition["metadata"]["name"], definition["metadata"]["resourceVersion"]
    if conditions(definition).get(kind) == status:
        return definition
    async with cluster.watch(f"{CRDS}?watch=1&fieldSelector=metadata.name={name}&resourceVersion={version}") as events:
        while True:
            event = await events.next()
            if conditions(event["object"]).get(kind) == status:
                found: Obj = event["object"]
                return found


async def wait_gone(cluster: Cluster, path: str) -> None:
    async def gone() -> None:
        while (await cluster.request("GET", path)).status != 404:
            await asyncio.sleep(0.02)

    await asyncio.wait_for(gone(), WAIT_SECONDS)
