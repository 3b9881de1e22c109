"""From one event to a thousand watchers: whoever waits at the head of the ring is told at once, in one go.

A task per watcher that wakes, looks and sleeps again costs more than the socket it writes to.  So a watcher that has
read everything leaves a `Listener` here, and the next events go from the cache straight into its sink.  Listeners stand
in groups by the most selective thing they look at: those of another namespace, name or field value are not asked.
What must stay true: a listener has seen every event before the ones it is told; one that cannot take more is let go
and reads on from the ring, so nobody's slowness costs memory here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from apiserver.storage.cacheitem import CacheEvent, CacheItem, Filter, WatchEvent

Group = tuple[str, str]
EVERYBODY: Group = ("", "")


class Told:
    """Events as watchers with one view get them; the same object for all of them, so that bytes are made once."""

    __slots__ = ("_lines", "events")

    def __init__(self, events: Sequence[WatchEvent]) -> None:
        self.events = events
        self._lines = b""

    @property
    def lines(self) -> bytes:
        """The JSON frames."""
        if not self._lines:
            one = len(self.events) == 1
            self._lines = self.events[0].line if one else b"".join([event.line for event in self.events])
        return self._lines


class Sink(Protocol):
    """Where a watcher's events go."""

    def send(self, told: Told) -> bool:
        """Take the events without waiting.  False: no more for now (`drain`), although these were taken."""

    async def drain(self) -> None:
        """Until there is room.  Raises ConnectionError when the watcher has gone."""


class Listener:
    """A watcher at the head of the ring.  `ended` is called once: with None when the sink is full, or with an error."""

    __slots__ = ("ended", "group", "sink", "view")

    def __init__(self, view: Filter, sink: Sink, ended: Callable[[BaseException | None], None]) -> None:
        self.view = view
        self.sink = sink
        self.ended = ended
        self.group = group_of(view)


def group_of(view: Filter) -> Group:
    if view.name:
        return "metadata.name", view.name
    if view.field[0]:
        return view.field
    return ("metadata.namespace", view.namespace) if view.namespace else EVERYBODY


class Fanout:
    """The listeners of one resource."""

    def __init__(self) -> None:
        self._groups: dict[Group, dict[Listener, None]] = {}
        self._fields: dict[str, int] = {}  # how many groups look at that field

    def add(self, listener: Listener) -> None:
        group = self._groups.get(listener.group)
        if group is None:
            group = self._groups[listener.group] = {}
            self._fields[listener.group[0]] = self._fields.get(listener.group[0], 0) + 1
        group[listener] = None

    def discard(self, listener: Listener) -> bool:
        """Whether it was still here."""
        group = self._groups.get(listener.group)
        if group is None or listener not in group:
            return False
        del group[listener]
        if not group:
            del self._groups[listener.group]
            path = listener.group[0]
            self._fields[path] -= 1
            if not self._fields[path]:
                del self._fields[path]
        return True

    def tell(self, events: Sequence[CacheEvent]) -> None:
        """All events since the last call."""
        if not self._groups:
            return
        touched: dict[Group, None] = {EVERYBODY: None}
        for event in events:
            for item in (event.item, event.previous):
                if item is not None:
                    for path in self._fields:
                        touched[path, _value(item, path)] = None
        for group in touched:
            listeners = self._groups.get(group)
            if listeners:
                self._tell_group(tuple(listeners), events)

    def _tell_group(self, listeners: Sequence[Listener], events: Sequence[CacheEvent]) -> None:
        shared: dict[tuple[str, str], Told] = {}
        for listener in listeners:
            view = listener.view
            if view.matches is None:
                told = shared.get((view.namespace, view.name))
                if told is None:
                    told = shared[view.namespace, view.name] = seen_through(view, events)
            else:
                told = seen_through(view, events)
            if told.events and not listener.sink.send(told):
                self.discard(listener)
                listener.ended(None)

    def fail(self, error: BaseException) -> None:
        """Let everybody go with `error`."""
        groups, self._groups, self._fields = self._groups, {}, {}
        for group in groups.values():
            for listener in group:
                listener.ended(error)


def seen_through(view: Filter, events: Sequence[CacheEvent]) -> Told:
    return Told([seen for event in events if (seen := event.seen_through(view)) is not None])


def _value(item: CacheItem, path: str) -> str:
    if path == "metadata.name":
        return item.name
    return item.namespace if path == "metadata.namespace" else item.fields.get(path, "")
