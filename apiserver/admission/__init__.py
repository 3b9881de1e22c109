"""Admission: what a write must pass between authorization and the store, one file per plugin, upstream's names.

What must stay true: all plugins mutate in order, then all validate in order; a plugin sees the object as the ones
before it left it, and refuses with a StatusError.  A plugin that changed the object after others had seen it may ask
for one more round (`Attributes.reinvoke`); no plugin minds being asked twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from apiserver.request import User
from apiserver.requestinfo import Query
from tiphys.api.kinds import KindInfo
from tiphys.api.status import StatusError, forbidden

Obj = dict[str, Any]
_NO_QUERY: Mapping[str, Sequence[str]] = {}


@dataclass(slots=True)
class Attributes:
    """One write.  `obj` is None for DELETE, `old` is None for CREATE; for CONNECT `obj` has the options."""

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
    query: Query = field(default_factory=lambda: _NO_QUERY)
    reinvoke: bool = False  # set by a plugin: something changed that others want to see again
    again: bool = False  # set by the chain: this is that second round
    notes: dict[Any, Any] = field(default_factory=dict)  # what plugins remember of this write, by their own keys

    def is_for(self, group: str, plural: str) -> bool:
        return self.info.plural == plural and self.info.group == group

    def refuse(self, message: str) -> StatusError:
        """403 `pods "x" is forbidden: message`."""
        return forbidden(self.info.group, self.info.plural, self.name, message)

    def replace(self, new: Obj) -> None:
        """Put `new` in the place of the object; who holds the object holds the new one."""
        assert self.obj is not None
        if new is not self.obj:
            self.obj.clear()
            self.obj.update(new)


Kinds = frozenset[tuple[str, str]]


class Plugin:
    """Override what the plugin does; both default to nothing.

    `kinds`: (group, plural) of the only resources the plugin looks at; None where it must see every write.
    `configured`: what it does is written by users: webhooks and policies."""

    kinds: ClassVar[Kinds | None] = None
    configured: ClassVar[bool] = False

    async def mutate(self, attributes: Attributes) -> None: ...

    async def validate(self, attributes: Attributes) -> None: ...


_RESOURCES_REMEMBERED = 4096


class AdmissionChain:
    """All plugins in their order; which of them a resource concerns is found out once."""

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self.plugins = tuple(plugins)
        self._concerned: dict[tuple[str, str], tuple[list[Plugin], list[Plugin]]] = {}

    def own(self) -> AdmissionChain:
        """Without what users have configured: for the server's first objects, which no dead webhook may keep out."""
        return AdmissionChain([one for one in self.plugins if not one.configured])

    async def mutate(self, attributes: Attributes) -> None:
        mutating, _ = self._of(attributes.info)
        for plugin in mutating:
            await plugin.mutate(attributes)
        if attributes.reinvoke:
            attributes.again = True
            for plugin in mutating:
                await plugin.mutate(attributes)

    async def validate(self, attributes: Attributes) -> None:
        _, validating = self._of(attributes.info)
        for plugin in validating:
            await plugin.validate(attributes)

    def _of(self, info: KindInfo) -> tuple[list[Plugin], list[Plugin]]:
        key = (info.group, info.plural)
        found = self._concerned.get(key)
        if found is None:
            if len(self._concerned) > _RESOURCES_REMEMBERED:
                self._concerned.clear()
            mine = [one for one in self.plugins if one.kinds is None or key in one.kinds]
            found = self._concerned[key] = (
                [one for one in mine if type(one).mutate is not Plugin.mutate],
                [one for one in mine if type(one).validate is not Plugin.validate],
            )
        return found
