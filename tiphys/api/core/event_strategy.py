"""What field selectors may ask of an event."""

from collections.abc import Callable
from typing import Any

JsonObject = dict[str, Any]


def _involved(name: str) -> Callable[[JsonObject], str]:
    return lambda event: str((event.get("involvedObject") or {}).get(name) or "")


def _own(name: str) -> Callable[[JsonObject], str]:
    return lambda event: str(event.get(name) or "")


def _source(event: JsonObject) -> str:
    return str((event.get("source") or {}).get("component") or event.get("reportingComponent") or "")


selectable_fields = {
    "involvedObject.kind": _involved("kind"),
    "involvedObject.namespace": _involved("namespace"),
    "involvedObject.name": _involved("name"),
    "involvedObject.uid": _involved("uid"),
    "involvedObject.apiVersion": _involved("apiVersion"),
    "involvedObject.resourceVersion": _involved("resourceVersion"),
    "involvedObject.fieldPath": _involved("fieldPath"),
    "reason": _own("reason"),
    "reportingComponent": _own("reportingComponent"),
    "source": _source,
    "type": _own("type"),
}
