"""Who wants which element, and what must change in the table when a Service changes.  Pure.

Several Services may want one element (a pod's hairpin; an external address two of them claim): the Service that came
first by its name decides the value, and the element goes with the last who wants it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from nodeagent.services.elements import Element


@dataclass(slots=True)
class Change:
    """Elements to take out, then elements to put in with their values; one of another value is in both."""

    remove: dict[Element, str] = field(default_factory=dict)
    add: dict[Element, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.remove or self.add)


class Ledger:
    """`set` contributions, `take` the difference since the last `take`."""

    def __init__(self) -> None:
        self._wanted: dict[Element, str | dict[str, str]] = {}  # the value, or who wants which where several do
        self._owner: dict[Element, str] = {}
        self._before: dict[Element, str | None] = {}  # touched since the last take -> the value it had then

    def set(self, owner: str, old: Mapping[Element, str], new: Mapping[Element, str]) -> None:
        """`owner`'s elements were `old` and are `new`."""
        for element in old:
            if element not in new:
                self._touch(element)
                self._withdraw(owner, element)
        for element, value in new.items():
            if old.get(element) != value:
                self._touch(element)
                self._want(owner, element, value)

    def _touch(self, element: Element) -> None:
        if element not in self._before:
            self._before[element] = self.value(element)

    def _want(self, owner: str, element: Element, value: str) -> None:
        held, holder = self._wanted.get(element), self._owner.get(element)
        if held is None or holder == owner:
            self._wanted[element], self._owner[element] = value, owner
            return
        if isinstance(held, str):
            assert holder is not None
            held = {holder: held}
            self._wanted[element] = held
            del self._owner[element]
        held[owner] = value

    def _withdraw(self, owner: str, element: Element) -> None:
        held = self._wanted.get(element)
        if isinstance(held, dict):
            held.pop(owner, None)
            if len(held) == 1:
                (self._owner[element], self._wanted[element]) = next(iter(held.items()))
        elif self._owner.get(element) == owner:
            del self._wanted[element], self._owner[element]

    def value(self, element: Element) -> str | None:
        """None: nobody wants it."""
        held = self._wanted.get(element)
        return held[min(held)] if isinstance(held, dict) else held

    def all(self) -> Iterator[tuple[Element, str]]:
        for element in self._wanted:
            value = self.value(element)
            assert value is not None
            yield element, value

    def take(self) -> Change:
        """What differs from the last time, and start anew from here."""
        change = Change()
        for element, before in self._before.items():
            now = self.value(element)
            if now == before:
                continue
            if before is not None:
                change.remove[element] = before
            if now is not None:
                change.add[element] = now
        self._before.clear()
        return change


def chains_of(values: Iterable[str]) -> set[str]:
    """The chains that verdicts lead to."""
    return {value.removeprefix("goto ") for value in values if value.startswith("goto ")}
