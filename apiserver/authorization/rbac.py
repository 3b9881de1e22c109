"""RBAC: what Role, ClusterRole, RoleBinding and ClusterRoleBinding objects allow.

What must stay true: an answer never comes from anything older than the watch cache.  The index takes the events that
came since the last question before it answers the next, so a deleted binding counts as soon as the cache knows it, and
a question costs the bindings of its user and groups, not those of the cluster.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from apiserver.authorization import Attributes, Decision, Rights, aggregate
from apiserver.authorization.rules import Rule, from_wire
from apiserver.request import User
from apiserver.storage.cacheitem import CacheItem
from apiserver.storage.resourcecache import Watch
from apiserver.storage.store import Compacted
from apiserver.storage.watchcache import WatchCache

Subject = tuple[str, str]
"""("User" or "Group", name); a service account is the user of its name."""

_PREFIX = "/registry/rbac.authorization.k8s.io/"
_PLURALS = ("clusterroles", "clusterrolebindings", "roles", "rolebindings")
_ANYWHERE = ""


@dataclass(frozen=True, slots=True)
class Binding:
    """A RoleBinding, or with namespace "" a ClusterRoleBinding.  `subjects` maps to what people call them."""

    name: str
    namespace: str
    role_kind: str
    role_name: str
    subjects: dict[Subject, str]

    def describe(self, subject: Subject) -> str:
        kind, name = ("RoleBinding", f"{self.name}/{self.namespace}") if self.namespace else (_CLUSTER, self.name)
        return f'{kind} "{name}" of {self.role_kind} "{self.role_name}" to {self.subjects[subject]}'


_CLUSTER = "ClusterRoleBinding"


class RbacIndex:
    """Roles by name and bindings by subject, kept up to date from the watch cache."""

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache
        self._watches: dict[str, Watch] = {}
        self._roles: dict[tuple[str, str], tuple[Rule, ...]] = {}  # (namespace or "", name)
        self._bindings: dict[tuple[str, str], Binding] = {}
        self._by_subject: dict[str, dict[Subject, dict[str, Binding]]] = {}  # namespace or "" -> subject -> by name

    async def refresh(self) -> None:
        """Take in what the watch cache has learnt since the last call.  Raises StoreError when the cache is closed."""
        for plural in _PLURALS:
            watch = self._watches.get(plural)
            try:
                while watch is not None and (events := await watch.next(0)):
                    for event in events:
                        self._put(plural, event.item, gone=event.type == "DELETED")
            except Compacted:  # nobody asked for thousands of writes
                watch = None
            if watch is None:
                await self._load(plural)

    async def _load(self, plural: str) -> None:
        watch = await self._cache.watch(f"{_PREFIX}{plural}/", revision=0, initial=True)
        everywhere = plural.startswith("cluster")
        kept = self._roles if plural.endswith("roles") else self._bindings
        for key in [key for key in kept if (key[0] == _ANYWHERE) == everywhere]:
            if plural.endswith("roles"):
                del self._roles[key]
            else:
                self._unbind(key)
        for item in watch.initial:
            self._put(plural, item, gone=False)
        self._watches[plural] = watch

    def _put(self, plural: str, item: CacheItem, *, gone: bool) -> None:
        key = (item.namespace, item.name)
        if plural.endswith("roles"):
            if gone:
                self._roles.pop(key, None)
            else:
                self._roles[key] = tuple(from_wire(rule) for rule in orjson.loads(item.data).get("rules") or ())
            return
        self._unbind(key)
        if not gone:
            binding = self._bindings[key] = read_binding(orjson.loads(item.data))
            subjects = self._by_subject.setdefault(item.namespace, {})
            for subject in binding.subjects:
                subjects.setdefault(subject, {})[item.name] = binding

    def _unbind(self, key: tuple[str, str]) -> None:
        namespace, name = key
        binding = self._bindings.pop(key, None)
        if binding is None:
            return
        subjects = self._by_subject[namespace]
        for subject in binding.subjects:
            del subjects[subject][name]
            if not subjects[subject]:
                del subjects[subject]
        if not subjects:
            del self._by_subject[namespace]

    def rules_of_role(self, kind: str, namespace: str, name: str) -> tuple[Rule, ...] | None:
        """None: there is no such role."""
        return self._roles.get((_ANYWHERE if kind == "ClusterRole" else namespace, name))

    def granted(self, user: User, namespace: str) -> Iterator[tuple[Binding, Subject, tuple[Rule, ...] | None]]:
        """Every binding of the user in the namespace ("": cluster-wide ones only), with its role's rules."""
        subjects: list[Subject] = [("User", user.name), *(("Group", group) for group in user.groups)]
        for scope in (_ANYWHERE, namespace) if namespace else (_ANYWHERE,):
            bound = self._by_subject.get(scope)
            for subject in subjects if bound else ():
                assert bound is not None
                for binding in bound.get(subject, {}).values():
                    yield binding, subject, self.rules_of_role(binding.role_kind, scope, binding.role_name)


def read_binding(obj: dict[str, Any]) -> Binding:
    reference, metadata = obj.get("roleRef", {}), obj["metadata"]
    namespace = metadata.get("namespace", "")
    subjects: dict[Subject, str] = {}
    for subject in obj.get("subjects") or ():
        kind, name = subject.get("kind", ""), subject.get("name", "")
        if kind == "ServiceAccount":
            home = subject.get("namespace") or namespace
            if home:
                subjects["User", f"system:serviceaccount:{home}:{name}"] = f'{kind} "{name}/{home}"'
        elif kind in ("User", "Group"):
            subjects[kind, name] = f'{kind} "{name}"'
    return Binding(metadata["name"], namespace, reference.get("kind", ""), reference.get("name", ""), subjects)


class RbacAuthorizer:
    """Allows what a rule of a role bound to the user or to one of the user's groups allows."""

    def __init__(self, index: RbacIndex) -> None:
        self._index = index

    async def authorize(self, attributes: Attributes) -> tuple[Decision, str]:
        await self._index.refresh()
        user, info = attributes.user, attributes.info
        absent: dict[str, None] = {}
        for binding, subject, rules in self._index.granted(user, info.namespace):
            if rules is None:
                absent[_not_found(binding)] = None
            elif any(rule.allows(info) for rule in rules):
                return Decision.ALLOW, f"RBAC: allowed by {binding.describe(subject)}"
        return Decision.NO_OPINION, f"RBAC: {aggregate(list(absent))}" if absent else ""

    async def rights_of(self, user: User, namespace: str) -> Rights:
        """Every rule the user has in the namespace; the error names roles that are not there."""
        await self._index.refresh()
        found: list[Rule] = []
        absent: dict[str, None] = {}
        for binding, _, rules in self._index.granted(user, namespace):
            if rules is None:
                absent[_not_found(binding)] = None
            else:
                found += rules
        return Rights(found, error=aggregate(list(absent)))

    async def rules_of_role(self, kind: str, namespace: str, name: str) -> tuple[Rule, ...] | None:
        await self._index.refresh()
        return self._index.rules_of_role(kind, namespace, name)


def _not_found(binding: Binding) -> str:
    return f'{binding.role_kind.lower()}.rbac.authorization.k8s.io "{binding.role_name}" not found'
