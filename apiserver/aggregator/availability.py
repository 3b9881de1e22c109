"""The Available condition of an APIService in upstream's words.  Pure.

What must stay true: a condition's transition time moves only when its status does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apiserver.aggregator.apiservices import Entry

Obj = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Condition:
    status: str
    reason: str
    message: str


LOCAL = Condition("True", "Local", "Local APIServices are always available")
PASSED = Condition("True", "Passed", "all checks passed")


def failed(message: str) -> Condition:
    """The server was asked and gave no usable answer."""
    return Condition("False", "FailedDiscoveryCheck", message)


def bad_status(url: str, status: int) -> Condition:
    return failed(f"failing or missing response from {url}: bad status from {url}: {status}")


def assess(entry: Entry, service: Mapping[str, Any] | None, slices: Sequence[Mapping[str, Any]]) -> Condition | None:
    """What stored objects say; None: nothing stands against asking the server.  `slices`: those of the service."""
    if entry.service is None:
        return LOCAL
    name = f'service/{entry.service.name} in "{entry.service.namespace}"'
    if service is None:
        return Condition("False", "ServiceNotFound", f"{name} is not present")
    spec = service.get("spec") or {}
    if spec.get("type", "ClusterIP") != "ClusterIP":
        return None
    port = next((one for one in spec.get("ports") or () if one.get("port") == entry.service.port), None)
    if port is None:
        return Condition("False", "ServicePortError", f"{name} is not listening on port {entry.service.port}")
    if not slices:
        return Condition("False", "EndpointsNotFound", f"cannot find endpointslices for {name}")
    port_name = port.get("name", "")
    if not any(_has_ready(one, port_name) for one in slices):
        text = f'endpointslices for {name} have no addresses with port name "{port_name}"'
        return Condition("False", "MissingEndpoints", text)
    return None


def _has_ready(one: Mapping[str, Any], port_name: str) -> bool:
    ready = any((end.get("conditions") or {}).get("ready", True) for end in one.get("endpoints") or ())
    return ready and any(port.get("name", "") == port_name and port.get("port") for port in one.get("ports") or ())


def with_condition(obj: Obj, found: Condition, now: str) -> Obj:
    """The object with that condition; the same object where it has it already."""
    status = obj.get("status") or {}
    conditions = list(status.get("conditions") or ())
    before = next((one for one in conditions if one.get("type") == "Available"), None)
    fresh = {
        "type": "Available",
        "status": found.status,
        "lastTransitionTime": now,
        "reason": found.reason,
        "message": found.message,
    }
    if before is not None:
        if before.get("status") == found.status:
            fresh["lastTransitionTime"] = before.get("lastTransitionTime", now)
        if before == fresh:
            return obj
        conditions[conditions.index(before)] = fresh
    else:
        conditions.append(fresh)
    return {**obj, "status": {**status, "conditions": conditions}}
