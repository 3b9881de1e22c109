"""One resource in the watch cache: its objects in key order, its newest events in a ring, and cursors into the ring.

A watcher is a number, its place in the ring; it has no queue.  A slow watcher therefore costs nothing, and when the
ring has moved past its place it is told Compacted (410) instead of being given a gap.  Everything here runs on the
event loop and changes state without awaiting, so a list is always the state at exactly one revision.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from apiserver.storage.cacheitem import CacheEvent, CacheItem, Filter, WatchEvent
from apiserver.storage.fanout import Fanout, Listener, Sink, seen_through
from apiserver.storage.store import Compacted, StoreError, prefix_end

RING_EVENTS = 4096
RING_BYTES = 8 * 1024 * 1024
WATCH_BATCH = 500


@dataclass(frozen=True, slots=True)
class Listing:
    """A list's answer.  `next_key` is where to go on ("": complete), at exactly `revision`.

    `remaining` counts objects beyond the page; it is 0 where a selector makes it unknown."""

    items: Sequence[CacheItem]
    revision: int
    next_key: str = ""
    remaining: int = 0
    damaged: Sequence[str] = ()  # keys that could not be read, whatever the filter

    def joined(self, before: bytes = b"", after: bytes = b"") -> bytes:
        """The objects as the inside of a JSON array between `before` and `after`: nothing encoded, one copy."""
        parts = [item.data for item in self.items]
        if not parts:
            return before + after
        parts[0] = before + parts[0]
        parts[-1] += after
        return b",".join(parts)


class ResourceCache:
    """Objects and events below `prefix` ("/registry/<group>/<resource>/").  `current` tells the cache's revision."""

    def __init__(self, prefix: str, floor: int, current: Callable[[], int]) -> None:
        self.prefix = prefix
        self.damaged: set[str] = set()
        self.current = current
        self._keys: list[str] = []
        self._items: list[CacheItem] = []
        self._events: list[CacheEvent] = []
        self._first = 0  # the sequence number of _events[0]
        self._floor = floor  # every event after this revision is in the ring
        self._bytes = 0
        self._waiters: set[asyncio.Future[None]] = set()
        self._fanout = Fanout()
        self._untold: list[CacheEvent] = []  # recorded since listeners were told
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

    def items(self) -> Sequence[CacheItem]:
        """All objects in key order, as of now."""
        return tuple(self._items)

    def get(self, key: str) -> CacheItem | None:
        place = bisect_left(self._keys, key)
        return self._items[place] if place < len(self._keys) and self._keys[place] == key else None

    def list(self, view: Filter, start: str = "", limit: int = 0) -> Listing:
        first, end = self._span(view.namespace, start)
        if not view.selects:
            stop = min(end, first + limit) if limit else end
            items = self._items[first:stop]
            next_key = self._keys[stop - 1] + "\0" if stop < end else ""
            return Listing(items, self.current(), next_key, end - stop, self._damaged(view))
        found: list[CacheItem] = []
        for item in self._items[first:end]:
            if view.accepts(item):
                if limit and len(found) == limit:
                    return Listing(found, self.current(), found[-1].key + "\0", 0, self._damaged(view))
                found.append(item)
        return Listing(found, self.current(), "", 0, self._damaged(view))

    def _span(self, namespace: str, start: str) -> tuple[int, int]:
        prefix = f"{self.prefix}{namespace}/" if namespace else self.prefix
        if not namespace and not start:
            return 0, len(self._keys)
        return bisect_left(self._keys, max(prefix, start)), bisect_left(self._keys, prefix_end(prefix))

    def _damaged(self, view: Filter) -> Sequence[str]:
        prefix = f"{self.prefix}{view.namespace}/" if view.namespace else self.prefix
        return sorted(key for key in self.damaged if key.startswith(prefix)) if self.damaged else ()

    def load(self, items: Iterator[CacheItem], floor: int) -> None:
        """Replace everything with the state at revision `floor`.  Every open watch is told to start over."""
        ordered = sorted(items, key=lambda item: item.key)
        self._keys = [item.key for item in ordered]
        self._items = ordered
        self._first += len(self._events) + 1  # no cursor is at or beyond it
        self._events, self._bytes, self._floor = [], 0, floor
        self._untold = []
        self._fanout.fail(Compacted(self.current(), floor))
        self.wake()

    def put(self, item: CacheItem) -> CacheItem | None:
        """Store the item; return the one it replaces."""
        place = bisect_left(self._keys, item.key)
        if place < len(self._keys) and self._keys[place] == item.key:
            previous, self._items[place] = self._items[place], item
            return previous
        self._keys.insert(place, item.key)
        self._items.insert(place, item)
        return None

    def remove(self, key: str) -> CacheItem | None:
        place = bisect_left(self._keys, key)
        if place == len(self._keys) or self._keys[place] != key:
            return None
        del self._keys[place]
        return self._items.pop(place)

    def record(self, event: CacheEvent) -> None:
        """Put the event into the ring.  The caller wakes the watchers when its batch is complete."""
        self._events.append(event)
        self._untold.append(event)
        self._bytes += event.size_bytes
        if len(self._events) > RING_EVENTS + RING_EVENTS // 4 or self._bytes > RING_BYTES + RING_BYTES // 4:
            drop = max(0, len(self._events) - RING_EVENTS)
            size = self._bytes - sum(old.size_bytes for old in self._events[:drop])
            while size > RING_BYTES and drop < len(self._events) - 1:
                size -= self._events[drop].size_bytes
                drop += 1
            self._floor = self._events[drop - 1].revision
            self._first += drop
            self._bytes = size
            del self._events[:drop]

    def wake(self) -> None:
        """Tell everybody who waits; the cache's revision must be that of the newest event already."""
        events, self._untold = self._untold, []
        if events:
            self._fanout.tell(events)
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def close(self) -> None:
        self._closed = True
        self._fanout.fail(StoreError("the watch cache is closed"))
        self.wake()

    def cursor(self, revision: int) -> int:
        """The place of the first event after `revision`.  Raises Compacted when the ring does not reach back to it."""
        if revision < self._floor:
            raise Compacted(revision, self._floor)
        return self._first + bisect_right(self._events, revision, key=lambda event: event.revision)

    def since(self, cursor: int, revision: int) -> Sequence[CacheEvent]:
        """Up to WATCH_BATCH events from `cursor`.  `revision`, where the watcher stands, is for the error."""
        if self._closed:
            raise StoreError("the watch cache is closed")
        if cursor < self._first:
            raise Compacted(revision, self._floor)
        place = cursor - self._first
        return self._events[place : place + WATCH_BATCH]

    @property
    def end(self) -> int:
        """The cursor of the event that comes next."""
        return self._first + len(self._events)

    async def listen(self, view: Filter, sink: Sink, handed: Callable[[], None], timeout_seconds: float) -> bool:
        """Let the sink have what comes, for somebody who has read everything; until the timeout, or until it is full
        (True).

        `handed` is called at the moment the sink stops being told, when it has had every event there is.  Raises
        Compacted, StoreError."""
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()

        def ended(error: BaseException | None) -> None:
            if error is None:
                handed()
                _finish(waiter)
            elif not waiter.done():
                waiter.set_exception(error)

        listener = Listener(view, sink, ended)
        timer = loop.call_later(timeout_seconds, _finish, waiter)
        self._fanout.add(listener)
        try:
            await waiter
        finally:
            timer.cancel()
            full = not self._fanout.discard(listener)
            if not full:
                handed()
        return full

    async def grown(self, timeout_seconds: float | None) -> None:
        """Return when an event came, or after the timeout."""
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._waiters.add(waiter)
        timer = loop.call_later(timeout_seconds, _finish, waiter) if timeout_seconds is not None else None
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
            if timer:
                timer.cancel()


def _finish(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class Watch:
    """A cursor into one resource's events.

    `initial` is the state at `initial_revision` where it was asked for; events follow from there.  `position` is the
    revision up to which everything has been handed out: what a bookmark may say."""

    direct = True  # has `deliver`

    def __init__(self, resource: ResourceCache, view: Filter, revision: int, initial: Sequence[CacheItem] = ()) -> None:
        self.initial = initial
        self.initial_revision = revision
        self._resource = resource
        self._view = view
        self._cursor = resource.cursor(revision)
        self._handed = revision

    @property
    def position(self) -> int:
        pending = self._resource.since(self._cursor, self._handed)
        return self._handed if pending else max(self._handed, self._resource.current())

    async def next(self, timeout_seconds: float | None = None) -> list[WatchEvent]:
        """The next events in view, at least one; none when the timeout passed.

        Raises Compacted (the watcher must list again) and StoreError (the cache was closed)."""
        loop = asyncio.get_running_loop()
        deadline = None if timeout_seconds is None else loop.time() + timeout_seconds
        while True:
            events = self._resource.since(self._cursor, self._handed)
            if events:
                self._cursor += len(events)
                self._handed = events[-1].revision
                told = [seen for event in events if (seen := event.seen_through(self._view)) is not None]
                if told:
                    return told
                await asyncio.sleep(0)  # a long ring without a match must not hold the loop
                continue
            left = None if deadline is None else deadline - loop.time()
            if left is not None and left <= 0:
                return []
            await self._resource.grown(left)

    async def deliver(self, sink: Sink, timeout_seconds: float) -> None:
        """Let the sink have all events in view until the timeout.

        Raises Compacted, StoreError as `next` does, and what the sink raises."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        while (left := deadline - loop.time()) > 0:
            events = self._resource.since(self._cursor, self._handed)
            if not events:
                if await self._resource.listen(self._view, sink, self._at_end, left):
                    await sink.drain()
                continue
            self._cursor += len(events)
            self._handed = events[-1].revision
            told = seen_through(self._view, events)
            if told.events and not sink.send(told):
                await sink.drain()
            await asyncio.sleep(0)  # a long ring must not hold the loop

    def _at_end(self) -> None:
        self._cursor = self._resource.end
        self._handed = max(self._handed, self._resource.current())

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> list[WatchEvent]:
        return await self.next()
