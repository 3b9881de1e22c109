"""An APIService object as this server reads it, and the order that priorities give to groups and versions.  Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apiserver.outbound import ServiceReference
from tiphys.api.discovery import version_priority

Obj = dict[str, Any]

GROUP, PLURAL = "apiregistration.k8s.io", "apiservices"
CUSTOM = (1000, 100)  # of custom resources: upstream's
_GROUPS = {
    "": 18000, "apps": 17800, "events.k8s.io": 17750, "authentication.k8s.io": 17700, "authorization.k8s.io": 17600,
    "autoscaling": 17500, "batch": 17400, "certificates.k8s.io": 17300, "networking.k8s.io": 17200, "policy": 17100,
    "rbac.authorization.k8s.io": 17000, "storage.k8s.io": 16800, "admissionregistration.k8s.io": 16700,
    "apiextensions.k8s.io": 16700, "scheduling.k8s.io": 16600, "coordination.k8s.io": 16500, "node.k8s.io": 16300,
    "discovery.k8s.io": 16200, "resource.k8s.io": 16200, "flowcontrol.apiserver.k8s.io": 16100,
}  # fmt: skip
_VERSIONS = {("", "v1"): 1, ("autoscaling", "v2"): 30, ("flowcontrol.apiserver.k8s.io", "v1"): 21}
_STABLE = 15


@dataclass(frozen=True, slots=True)
class Entry:
    """`service` None: this server answers."""

    name: str
    group: str
    version: str
    service: ServiceReference | None
    ca_bundle: bytes
    insecure: bool
    group_priority: int
    version_priority: int
    available: bool


def entry_of(obj: Mapping[str, Any]) -> Entry:
    spec = obj.get("spec") or {}
    service = spec.get("service")
    reference = None
    if service is not None:
        reference = ServiceReference(service.get("namespace", ""), service.get("name", ""), service.get("port") or 443)
    return Entry(
        obj["metadata"]["name"],
        spec.get("group", ""),
        spec.get("version", ""),
        reference,
        _bundle(spec.get("caBundle") or ""),
        bool(spec.get("insecureSkipTLSVerify")),
        spec.get("groupPriorityMinimum", 0),
        spec.get("versionPriority", 0),
        is_available(obj),
    )


def _bundle(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""


def is_available(obj: Mapping[str, Any]) -> bool:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Available" and one.get("status") == "True" for one in conditions)


def builtin_priority(group: str, version: str) -> tuple[int, int]:
    """(groupPriorityMinimum, versionPriority) of a group of ours."""
    return _GROUPS.get(group, CUSTOM[0]), _VERSIONS.get((group, version), _STABLE)


def in_order(local: Mapping[str, Iterable[str]], entries: Iterable[Entry]) -> list[tuple[str, list[str]]]:
    """Groups but the core one with their versions: the highest priority of any version places the group.

    `local`: the groups this server has kinds of; an APIService that is not there yet does not hide them.
    """
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for group, versions in local.items():
        for version in versions:
            known = group in _GROUPS or group == GROUP
            found.setdefault(group, {})[version] = builtin_priority(group, version) if known else CUSTOM
    for one in entries:
        if one.service is not None or one.version in found.get(one.group, ()):
            found.setdefault(one.group, {})[one.version] = (one.group_priority, one.version_priority)
    found.pop("", None)
    return [(group, _versions(found[group])) for group in sorted(found, key=lambda group: _place(group, found[group]))]


def _place(group: str, versions: Mapping[str, tuple[int, int]]) -> tuple[bool, int, str]:
    return group != GROUP, -max(priority for priority, _ in versions.values()), group


def _versions(versions: Mapping[str, tuple[int, int]]) -> list[str]:
    return sorted(versions, key=lambda version: (-versions[version][1], version_priority(version)))


def by_group_version(objects: Sequence[Obj]) -> dict[tuple[str, str], Entry]:
    return {(entry.group, entry.version): entry for entry in map(entry_of, objects)}
