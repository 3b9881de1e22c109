"""Which flow schema a request falls under.  Pure.

What must stay true: schemas are tried by matchingPrecedence, then by name; what no schema wants is catch-all's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apiserver.request import User
from apiserver.requestinfo import RequestInfo

Obj = dict[str, Any]
_ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class ResourceRule:
    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]  # "pods", "pods/status", "*"
    cluster_scope: bool
    namespaces: frozenset[str]

    def matches(self, info: RequestInfo) -> bool:
        resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
        if not (_in(info.verb, self.verbs) and _in(info.group, self.groups) and _in(resource, self.resources)):
            return False
        return _in(info.namespace, self.namespaces) if info.namespace else self.cluster_scope


@dataclass(frozen=True, slots=True)
class PathRule:
    verbs: frozenset[str]
    paths: tuple[str, ...]

    def matches(self, info: RequestInfo) -> bool:
        return _in(info.verb, self.verbs) and any(_is_path(one, info.path) for one in self.paths)


@dataclass(frozen=True, slots=True)
class Rules:
    users: frozenset[str]
    groups: frozenset[str]
    accounts: frozenset[str]  # prefix and all; with "*" for a name only the prefix
    resources: tuple[ResourceRule, ...]
    paths: tuple[PathRule, ...]

    def matches(self, user: User, info: RequestInfo) -> bool:
        if not self._is_subject(user):
            return False
        if info.is_resource:
            return any(rule.matches(info) for rule in self.resources)
        return any(rule.matches(info) for rule in self.paths)

    def _is_subject(self, user: User) -> bool:
        if _in(user.name, self.users) or "*" in self.groups or not self.groups.isdisjoint(user.groups):
            return True
        if not self.accounts or not user.name.startswith(_ACCOUNT):
            return False
        return user.name in self.accounts or user.name.rpartition(":")[0] + ":" in self.accounts


@dataclass(frozen=True, slots=True)
class FlowSchema:
    name: str
    uid: str
    precedence: int
    level: str
    distinguisher: str  # "", ByUser, ByNamespace
    rules: tuple[Rules, ...]

    def matches(self, user: User, info: RequestInfo) -> bool:
        return any(rules.matches(user, info) for rules in self.rules)

    def flow(self, user: User, info: RequestInfo) -> str:
        """What tells this request's flow from others of the schema."""
        if self.distinguisher == "ByUser":
            return user.name
        return info.namespace if self.distinguisher == "ByNamespace" else ""


def _in(value: str, values: frozenset[str]) -> bool:
    return value in values or "*" in values


def _is_path(pattern: str, path: str) -> bool:
    if pattern in ("*", path):
        return True
    return pattern.endswith("*") and path.startswith(pattern[:-1])


def read_schemas(objects: Sequence[Obj]) -> list[FlowSchema]:
    """In the order they are tried."""
    return sorted((_schema(one) for one in objects), key=lambda one: (one.precedence, one.name))


def _schema(obj: Obj) -> FlowSchema:
    spec = obj["spec"]
    return FlowSchema(
        obj["metadata"]["name"],
        obj["metadata"].get("uid", ""),
        spec.get("matchingPrecedence") or 1000,
        spec["priorityLevelConfiguration"]["name"],
        (spec.get("distinguisherMethod") or {}).get("type", ""),
        tuple(_rules(one) for one in spec.get("rules") or ()),
    )


def _rules(rules: Obj) -> Rules:
    users, groups, accounts = set(), set(), set()
    for subject in rules.get("subjects") or ():
        if subject.get("user"):
            users.add(subject["user"]["name"])
        elif subject.get("group"):
            groups.add(subject["group"]["name"])
        elif subject.get("serviceAccount"):
            account = subject["serviceAccount"]
            name = "" if account["name"] == "*" else account["name"]
            accounts.add(f"{_ACCOUNT}{account['namespace']}:{name}")
    resources = tuple(
        ResourceRule(
            frozenset(one.get("verbs") or ()),
            frozenset(one.get("apiGroups") or ()),
            frozenset(one.get("resources") or ()),
            bool(one.get("clusterScope")),
            frozenset(one.get("namespaces") or ()),
        )
        for one in rules.get("resourceRules") or ()
    )
    paths = tuple(
        PathRule(frozenset(one.get("verbs") or ()), tuple(one.get("nonResourceURLs") or ()))
        for one in rules.get("nonResourceRules") or ()
    )
    return Rules(frozenset(users), frozenset(groups), frozenset(accounts), resources, paths)
