"""May they: a union of authorizers, each of which allows, denies or has no opinion.

What must stay true: nothing is allowed unless an authorizer says so; a denial ends the question.
system:masters come first, then nodes, then what RBAC objects say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from apiserver.authorization.rules import Rule
from apiserver.request import User
from apiserver.requestinfo import RequestInfo
from tiphys.api.status import StatusError, qualified


class Decision(Enum):
    ALLOW = "allow"
    DENY = "deny"
    NO_OPINION = "no opinion"


@dataclass(frozen=True, slots=True)
class Attributes:
    """One question: may `user` do what `info` says."""

    user: User
    info: RequestInfo


class Authorizer(Protocol):
    async def authorize(self, attributes: Attributes) -> tuple[Decision, str]:
        """The decision and a reason for people (may be empty)."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What an authorizer can say of a user at once.  `incomplete`: there is more that it cannot list."""

    rules: Sequence[Rule]
    incomplete: bool = False
    error: str = ""


class RuleResolver(Protocol):
    async def rights_of(self, user: User, namespace: str) -> Rights:
        """Every rule the user has in the namespace."""


class Union:
    def __init__(self, authorizers: Sequence[Authorizer]) -> None:
        self._authorizers = tuple(authorizers)

    async def authorize(self, attributes: Attributes) -> tuple[Decision, str]:
        reasons = []
        for authorizer in self._authorizers:
            decision, reason = await authorizer.authorize(attributes)
            if decision is not Decision.NO_OPINION:
                return decision, reason
            if reason:
                reasons.append(reason)
        return Decision.NO_OPINION, ", ".join(reasons)

    async def rights_of(self, user: User, namespace: str) -> Rights:
        """What those of the authorizers say that can list rules."""
        found = [
            await authorizer.rights_of(user, namespace)
            for authorizer in self._authorizers
            if hasattr(authorizer, "rights_of")
        ]
        rules = [rule for one in found for rule in one.rules]
        errors = [one.error for one in found if one.error]
        return Rights(rules, any(one.incomplete for one in found), aggregate(errors))


def aggregate(texts: Sequence[str]) -> str:
    """Several errors as upstream prints them in one."""
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]" if texts else ""


def forbidden(attributes: Attributes, reason: str = "") -> StatusError:
    """The 403 in upstream's words."""
    user, info = attributes.user, attributes.info
    if not info.is_resource:
        text = f'User "{user.name}" cannot {info.verb} path "{info.path}"'
        return StatusError(403, "Forbidden", f"forbidden: {text}" + (f": {reason}" if reason else ""), details={})
    resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    text = f'User "{user.name}" cannot {info.verb} resource "{resource}" in API group "{info.group}" '
    text += f'in the namespace "{info.namespace}"' if info.namespace else "at the cluster scope"
    if reason:
        text += f": {reason}"
    target = qualified(info.resource, info.group) + (f' "{info.name}"' if info.name else "")
    pairs = (("name", info.name), ("group", info.group), ("kind", info.resource))
    details = {key: value for key, value in pairs if value}
    return StatusError(403, "Forbidden", f"{target} is forbidden: {text}", details=details)
