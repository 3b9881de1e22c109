"""A store in memory that tells every write to those who listen: the history that the invariants are checked on.

It keeps the rules of apiserver/storage/store.py, durability aside; nothing is ever compacted.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections.abc import AsyncGenerator, Callable, Sequence

from apiserver.storage.store import Conflict, Entry, Event, FutureRevision, Page, prefix_end

Listener = Callable[[Event], None]


class MemoryStore:
    """`copy` makes a store that goes on from this one's state."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._keys: list[str] = []
        self._revision = 1
        self._first = 1  # events of the log are those after it
        self._log: list[Event] = []
        self._grown: asyncio.Event = asyncio.Event()
        self.listeners: list[Listener] = []

    def copy(self) -> MemoryStore:
        other = MemoryStore()
        other._entries, other._keys = dict(self._entries), list(self._keys)
        other._revision = other._first = self._revision
        return other

    async def create(self, key: str, value: bytes) -> int:
        if key in self._entries:
            raise Conflict(key, self._entries[key])
        insort(self._keys, key)
        return self._put(key, value, None)

    async def update(self, key: str, value: bytes, expected: int) -> int:
        return self._put(key, value, self._expected(key, expected))

    async def delete(self, key: str, expected: int) -> int:
        previous = self._expected(key, expected)
        del self._entries[key]
        del self._keys[bisect_left(self._keys, key)]
        self._revision += 1
        return self._append(Event(Entry(key, b"", self._revision, 0), previous, True))

    def _expected(self, key: str, revision: int) -> Entry:
        found = self._entries.get(key)
        if found is None or found.revision != revision:
            raise Conflict(key, found)
        return found

    def _put(self, key: str, value: bytes, previous: Entry | None) -> int:
        self._revision += 1
        created = previous.created if previous is not None else self._revision
        entry = self._entries[key] = Entry(key, bytes(value), self._revision, created)
        return self._append(Event(entry, previous))

    def _append(self, event: Event) -> int:
        self._log.append(event)
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()
        for listener in self.listeners:
            listener(event)
        return event.entry.revision

    async def get(self, key: str, revision: int = 0) -> tuple[Entry | None, int]:
        return self._entries.get(key), self._revision

    async def range(self, prefix: str, *, start: str = "", limit: int = 0, revision: int = 0) -> Page:
        first, end = bisect_left(self._keys, max(prefix, start)), prefix_end(prefix)
        last = bisect_left(self._keys, end) if end else len(self._keys)
        keys = self._keys[first : min(last, first + limit) if limit else last]
        return Page([self._entries[key] for key in keys], self._revision, last - first - len(keys))

    async def watch(self, prefix: str, revision: int) -> AsyncGenerator[Sequence[Event], None]:
        if revision > self._revision:
            raise FutureRevision(revision, self._revision)
        position = revision - self._first
        while True:
            events, position = self._log[position:], len(self._log)
            wanted = [event for event in events if event.entry.key.startswith(prefix)]
            if wanted:
                yield wanted
            elif not events:
                await self._grown.wait()

    async def revision(self) -> int:
        return self._revision

    async def compact(self, revision: int) -> None:
        """History is kept: the tests read it."""

    async def close(self) -> None:
        self.listeners.clear()
