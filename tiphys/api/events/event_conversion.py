"""events.k8s.io shows the core group's events under other field names; the core form is the one that is kept."""

from __future__ import annotations

from typing import Any

JsonObject = dict[str, Any]

storage = ("", "events")
_CORE_NAME = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_OWN_NAME = {core: own for own, core in _CORE_NAME.items()}
# What the core form always writes, and what this one leaves out when it is empty.
_ALWAYS = {"reportingComponent": "", "reportingInstance": "", "source": {}, "involvedObject": {}}
_OMITTED_EMPTY = ("reportingController", "reportingInstance")


def to_storage(event: JsonObject) -> JsonObject:
    kept = {_CORE_NAME.get(name, name): value for name, value in event.items()} | {"apiVersion": "v1"}
    return {**_ALWAYS, "firstTimestamp": None, "lastTimestamp": None, "eventTime": None, **kept}


def from_storage(event: JsonObject) -> JsonObject:
    shown = {_OWN_NAME.get(name, name): value for name, value in event.items()} | {"apiVersion": "events.k8s.io/v1"}
    for name in _OMITTED_EMPTY:
        if not shown.get(name):
            shown.pop(name, None)
    return shown
