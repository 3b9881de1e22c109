"""Admission: what a write must pass between authorization and the store, one file per plugin, upstream's names.

What must stay true: all plugins mutate in order, then all validate in order; a plugin sees the object as the ones
before it left it, and refuses with a StatusError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from apiserver.request import User
from tiphys.api.kinds import KindInfo
from tiphys.api.status import StatusError, forbidden

Obj = dict[str, Any]


@dataclass(slots=True)
class Attributes:
    """One write.  `obj` is None for DELETE, `old` is None for CREATE."""

    operation: str  # CREATE, UPDATE, DELETE, CONNECT
    info: KindInfo
    namespace: str
    name: str
    obj: Obj | None
    old: Obj | None
    user: User
    subresource: str = ""
    dry_run: bool = False
    warn: Callable[[str], None] = field(default=lambda text: None)

    def is_for(self, group: str, plural: str) -> bool:
        return self.info.plural == plural and self.info.group == group

    def refuse(self, message: str) -> StatusError:
        """403 `pods "x" is forbidden: message`."""
        return forbidden(self.info.group, self.info.plural, self.name, message)


class Plugin:
    """Override what the plugin does; both default to nothing."""

    async def mutate(self, attributes: Attributes) -> None: ...

    async def validate(self, attributes: Attributes) -> None: ...


class AdmissionChain:
    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self._mutating = [one for one in plugins if type(one).mutate is not Plugin.mutate]
        self._validating = [one for one in plugins if type(one).validate is not Plugin.validate]

    async def mutate(self, attributes: Attributes) -> None:
        for plugin in self._mutating:
            await plugin.mutate(attributes)

    async def validate(self, attributes: Attributes) -> None:
        for plugin in self._validating:
            await plugin.validate(attributes)
