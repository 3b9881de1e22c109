"""Rules and the authorizer that goes by them: RBAC's PolicyRule, bound to users and groups by tables in code.

What must stay true: a rule allows, it never denies; an empty `names` means every name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from apiserver.authorization import Attributes, Decision
from apiserver.requestinfo import RequestInfo


@dataclass(frozen=True, slots=True)
class Rule:
    """One PolicyRule; `namespace` narrows it as a RoleBinding would ("" is everywhere)."""

    verbs: frozenset[str]
    groups: frozenset[str] = frozenset()
    resources: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()
    namespace: str = ""

    def allows(self, info: RequestInfo) -> bool:
        if info.verb not in self.verbs and "*" not in self.verbs:
            return False
        if not info.is_resource:
            return any(_path_matches(pattern, info.path) for pattern in self.paths)
        if info.group not in self.groups and "*" not in self.groups:
            return False
        if not self._resource_matches(info):
            return False
        if self.names and info.name not in self.names:
            return False
        return not self.namespace or info.namespace == self.namespace

    def _resource_matches(self, info: RequestInfo) -> bool:
        if "*" in self.resources:
            return True
        if info.subresource:
            return f"{info.resource}/{info.subresource}" in self.resources or f"*/{info.subresource}" in self.resources
        return info.resource in self.resources


def _path_matches(pattern: str, path: str) -> bool:
    if pattern.endswith("*"):
        return path.startswith(pattern[:-1])
    return path == pattern or path + "/" == pattern


def rule(verbs: str, groups: str, resources: str, names: str = "", namespace: str = "") -> Rule:
    """A resource rule of words separated by blanks; the group "" is written as core."""
    in_groups = frozenset("" if group == "core" else group for group in groups.split())
    return Rule(
        frozenset(verbs.split()), in_groups, frozenset(resources.split()), frozenset(names.split()), (), namespace
    )


def path_rule(verbs: str, *paths: str) -> Rule:
    return Rule(frozenset(verbs.split()), paths=paths)


class RuleAuthorizer:
    """Allows what a rule of the user or of one of the user's groups allows."""

    def __init__(self, users: Mapping[str, Sequence[Rule]], groups: Mapping[str, Sequence[Rule]]) -> None:
        self._users = users
        self._groups = groups

    async def authorize(self, attributes: Attributes) -> tuple[Decision, str]:
        user, info = attributes.user, attributes.info
        for one in self._users.get(user.name, ()):
            if one.allows(info):
                return Decision.ALLOW, ""
        for group in user.groups:
            for one in self._groups.get(group, ()):
                if one.allows(info):
                    return Decision.ALLOW, ""
        return Decision.NO_OPINION, ""


class AlwaysAllowGroups:
    """system:masters: everything, before any other question is asked."""

    def __init__(self, groups: Sequence[str]) -> None:
        self._groups = frozenset(groups)

    async def authorize(self, attributes: Attributes) -> tuple[Decision, str]:
        if not self._groups.isdisjoint(attributes.user.groups):
            return Decision.ALLOW, ""
        return Decision.NO_OPINION, ""
