"""The webhooks there are now, in the order they are asked: by the configuration's name, then as they stand in it.

What must stay true: an answer is never older than the watch cache, and without configurations it costs nothing.
"""

from __future__ import annotations

import base64
import binascii
import logging
from dataclasses import dataclass
from typing import Any

import orjson

from apiserver.admission import Obj
from apiserver.admission.expressions import Conditions
from apiserver.admission.matching import Match
from apiserver.outbound import ServiceReference, Trust
from apiserver.storage.cacheitem import CacheItem
from apiserver.storage.watchcache import WatchCache
from tiphys.api.selectors import SelectorError
from tiphys.logs import fields

_log = logging.getLogger(__name__)
_REVIEW_VERSIONS = ("v1", "v1beta1")


@dataclass(frozen=True, slots=True)
class Webhook:
    """One entry of a configuration; `key` tells it from all others."""

    key: str
    name: str
    match: Match
    conditions: Conditions
    target: str | ServiceReference
    trust: Trust
    review_version: str  # "" where it speaks none of ours
    timeout_seconds: int
    ignores_failure: bool
    has_side_effects: bool  # in a dry run
    reinvoked: bool  # reinvocationPolicy IfNeeded


class Configurations:
    def __init__(self, cache: WatchCache, plural: str) -> None:
        self._objects = cache.resource(f"/registry/admissionregistration.k8s.io/{plural}/")
        self._read: dict[str, tuple[CacheItem, list[Webhook]]] = {}

    def webhooks(self) -> list[Webhook]:
        if not len(self._objects):
            return []
        found: list[Webhook] = []
        items = self._objects.items()
        for item in items:
            known = self._read.get(item.key)
            if known is None or known[0] is not item:
                known = self._read[item.key] = (item, read_webhooks(orjson.loads(item.data)))
            found += known[1]
        if len(self._read) > len(items):
            live = {item.key for item in items}
            self._read = {key: value for key, value in self._read.items() if key in live}
        return found


def read_webhooks(configuration: Obj) -> list[Webhook]:
    """Entries that cannot be read (they were stored by somebody else) are passed over with a line in the log."""
    name, found = configuration["metadata"]["name"], []
    for place, hook in enumerate(configuration.get("webhooks") or ()):
        try:
            found.append(_webhook(f"{name}/{hook['name']}/{place}", hook))
        except (SelectorError, KeyError, ValueError) as error:
            _log.warning("webhook cannot be read", extra=fields(configuration=name, place=place, error=error))
    return found


def _webhook(key: str, hook: Obj) -> Webhook:
    config = hook.get("clientConfig") or {}
    ignores = hook.get("failurePolicy", "Fail") == "Ignore"
    spoken = [one for one in hook.get("admissionReviewVersions") or () if one in _REVIEW_VERSIONS]
    return Webhook(
        key,
        hook["name"],
        Match.from_wire(hook),
        Conditions(hook.get("matchConditions") or (), ignores_failure=ignores),
        target_of(config),
        Trust(ca_bundle_of(config)),
        spoken[0] if spoken else "",
        hook.get("timeoutSeconds") or 10,
        ignores,
        hook.get("sideEffects", "Unknown") not in ("None", "NoneOnDryRun"),
        hook.get("reinvocationPolicy", "Never") == "IfNeeded",
    )


def target_of(config: dict[str, Any]) -> str | ServiceReference:
    """A clientConfig's URL or service."""
    service = config.get("service")
    if service is None:
        return str(config.get("url") or "")
    return ServiceReference(
        service["namespace"], service["name"], service.get("port") or 443, str(service.get("path") or "")
    )


def ca_bundle_of(config: dict[str, Any]) -> bytes:
    try:
        return base64.b64decode(config.get("caBundle") or "")
    except binascii.Error:
        return b""
