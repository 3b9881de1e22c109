"""What a kind's storage does differently from the rule.

`KindInfo` (tiphys.api) has what follows from an object alone; a `Strategy` has what concerns its life in this server:
deletion in steps, allocation of addresses, create on update.  `strategies.py` is the table.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from apiserver.registry.options import DeleteOptions
from apiserver.request import User
from tiphys.api.status import FieldError

Obj = dict[str, Any]


class Allocation:
    """Something taken for a write (addresses): kept when the write happened, given back when it did not."""

    async def keep(self) -> None:
        """The write is durable."""

    async def give_back(self) -> None:
        """The write did not happen, or it was a dry run."""


Allocate = Callable[[Obj, Obj | None, bool], Awaitable[Allocation]]
"""(new object, old object or None, dry run) -> what was taken; may fill in fields of the new object."""


@dataclass(frozen=True, slots=True)
class Strategy:
    create_on_update: bool = False  # PUT of a missing object creates it
    unconditional_update: bool = True  # PUT without resourceVersion is allowed
    returns_deleted: bool = False  # DELETE answers with the object instead of a Status
    grace: Callable[[Obj, int | None], int] | None = None  # (object, asked seconds) -> seconds; None: no grace periods
    begin_deletion: Callable[[Obj], None] | None = None  # what else changes when deletion starts in steps
    holds: Callable[[Obj], bool] = lambda obj: False  # the object must stay although metadata.finalizers is empty
    allocate: Allocate | None = None
    release: Callable[[Obj], Awaitable[None]] | None = None  # after the object is gone
    sign: Callable[[Obj, User], None] | None = None  # puts the caller of a create into the new object
    prepare: Mapping[str, Callable[[Obj, Obj, str], None]] = field(default_factory=dict)
    """Subresource -> what prepares an update through it: (new object, old object, the time now)."""
    check: Mapping[str, Callable[[Obj, Obj], list[FieldError]]] = field(default_factory=dict)
    """Subresource -> what validates an update through it; without one the rules of a status update hold."""
    ttl_seconds: int = 0  # objects go this long after their last write; 0: never


DEFAULT = Strategy()


def effective_grace(options: DeleteOptions) -> int | None:
    """The seconds a DELETE asks for; negative ones count as 1."""
    asked = options.grace_period_seconds
    return 1 if asked is not None and asked < 0 else asked
