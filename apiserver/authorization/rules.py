"""PolicyRules as RBAC means them: what one allows, and how it is written on the wire.

What must stay true: a rule allows, it never denies; no names means every name; matching is upstream's to the letter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apiserver.requestinfo import RequestInfo

Obj = dict[str, Any]

_WIRE = (
    ("groups", "apiGroups"),
    ("resources", "resources"),
    ("urls", "nonResourceURLs"),
    ("names", "resourceNames"),
    ("verbs", "verbs"),
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One PolicyRule; the order of its words is kept for those who list them."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()

    def allows(self, info: RequestInfo) -> bool:
        if info.verb not in self.verbs and "*" not in self.verbs:
            return False
        if not info.is_resource:
            return any(url_covers(pattern, info.path) for pattern in self.urls)
        if info.group not in self.groups and "*" not in self.groups:
            return False
        if self.names and info.name not in self.names:
            return False
        return self._resource_matches(info.resource, info.subresource)

    def _resource_matches(self, resource: str, subresource: str) -> bool:
        if "*" in self.resources:
            return True
        if subresource:
            return f"{resource}/{subresource}" in self.resources or f"*/{subresource}" in self.resources
        return resource in self.resources

    def to_wire(self) -> Obj:
        return {wire: list(words) for field, wire in _WIRE if (words := getattr(self, field))}

    def __str__(self) -> str:
        """Upstream's compact form: {APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}."""
        parts = [
            f"{wire[:1].upper() + wire[1:]}:{quoted(words)}" for field, wire in _WIRE if (words := getattr(self, field))
        ]
        return "{" + ", ".join(parts).replace("ApiGroups:", "APIGroups:") + "}"


def quoted(words: Sequence[str]) -> str:
    """A list of strings as Go's %q prints it."""
    return "[" + " ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words) + "]"


def url_covers(pattern: str, path: str) -> bool:
    if pattern.endswith("*"):
        return path.startswith(pattern.rstrip("*"))
    return path == pattern


def from_wire(rule: Mapping[str, Any]) -> Rule:
    return Rule(**{field: tuple(rule.get(wire) or ()) for field, wire in _WIRE})


def rule(verbs: str, groups: str, resources: str, names: str = "") -> Rule:
    """A resource rule of words separated by blanks; the group "" is written as core."""
    in_groups = tuple("" if group == "core" else group for group in groups.split())
    return Rule(tuple(verbs.split()), in_groups, tuple(resources.split()), tuple(names.split()))


def path_rule(verbs: str, paths: str) -> Rule:
    return Rule(tuple(verbs.split()), urls=tuple(paths.split()))
