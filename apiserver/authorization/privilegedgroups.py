"""system:masters: everything, before any other question is asked."""

from __future__ import annotations

from collections.abc import Sequence

from apiserver.authorization import Attributes, Decision

SYSTEM_MASTERS = "system:masters"


class PrivilegedGroups:
    def __init__(self, groups: Sequence[str] = (SYSTEM_MASTERS,)) -> None:
        self._groups = frozenset(groups)

    async def authorize(self, attributes: Attributes) -> tuple[Decision, str]:
        if not self._groups.isdisjoint(attributes.user.groups):
            return Decision.ALLOW, ""
        return Decision.NO_OPINION, ""
