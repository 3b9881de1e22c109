"""The store: what the API server asks of a database, and the rules every implementation keeps.

A store is one log of writes.  The position in that log is the revision; it is the `resourceVersion` clients see.

Rules (the conformance suite in tests/storage holds every implementation to them):

1. A write is answered only after it is durable: power may fail the moment the call returns.
2. Every write gets its own revision, and revisions only grow, over restarts too.  Gaps are allowed, reuse is not.
3. `create` succeeds only where no key is; `update` and `delete` only where the key's modification revision is the
   expected one.  Otherwise nothing changes and `Conflict` carries what is there.
4. `range` at a revision shows exactly the state after the write of that revision, or raises `Compacted`.
5. A watch from revision R delivers every write with revision > R below its prefix, once, in revision order.  When it
   cannot (R is behind the last compaction), it raises `Compacted` rather than skip anything.
6. After `compact(R)`, reads and watches at revisions below R raise `Compacted`; the state at R and later stays
   readable.
7. A revision beyond the newest one raises `FutureRevision`, on a read and on a watch.
8. A value that no longer matches its checksum is never handed out: `get` raises `Damaged`, `range` names it in
   `Page.damaged`, and everything else stays readable.  It can still be deleted or overwritten.
9. An empty store is at revision 1, so no object ever carries resourceVersion 0, which has a meaning of its own.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with the value of one revision."""

    key: str
    value: bytes
    revision: int  # of the write that made this value (etcd's mod_revision)
    created: int  # revision of the write that created the key


@dataclass(frozen=True, slots=True)
class Event:
    """One write.  A deletion has `entry.value == b""`, `entry.created == 0`, and what was there in `previous`.

    `previous` is None for a creation, and where the older value is damaged or already compacted away."""

    entry: Entry
    previous: Entry | None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """An answer of `range`.  `revision` is the store's revision the answer is true at."""

    entries: Sequence[Entry]
    revision: int
    remaining: int  # entries of the range beyond this page
    damaged: Sequence[str] = ()  # keys of this page whose values failed their checksum; they are not in `entries`

    @property
    def last_key(self) -> str:
        """The last key of the page, readable or not; "" for an empty one."""
        return max(self.entries[-1].key if self.entries else "", self.damaged[-1] if self.damaged else "")


class StoreError(Exception):
    """The store could not answer: disk, network, or corruption.  The write's outcome is unknown unless stated."""


class Conflict(Exception):
    """A create found the key, or an update or delete found another revision; `current` is what is there."""

    def __init__(self, key: str, current: Entry | None) -> None:
        super().__init__(f"{key}: found revision {current.revision if current else 'none'}")
        self.key = key
        self.current = current


class Compacted(Exception):
    """The revision asked for is older than `compacted`."""

    def __init__(self, revision: int, compacted: int) -> None:
        super().__init__(f"revision {revision} is behind the compaction at {compacted}")
        self.revision = revision
        self.compacted = compacted


class FutureRevision(Exception):
    """The revision asked for has not happened yet."""

    def __init__(self, revision: int, current: int) -> None:
        super().__init__(f"revision {revision} is ahead of {current}")
        self.revision = revision
        self.current = current


class NoSpace(StoreError):
    """The disk is full: deletes still work, creates and updates do not.  Nothing was written."""


class TooLarge(StoreError):
    """The value is larger than the store takes.  Nothing was written."""


class Damaged(StoreError):
    """The value of `key`, written at `revision`, does not match its checksum.  `delete(key, revision)` removes it."""

    def __init__(self, key: str, revision: int) -> None:
        super().__init__(f"{key}: the value of revision {revision} is damaged")
        self.key = key
        self.revision = revision


class Store(Protocol):
    """Keys are /registry/<group>/<resource>/<namespace>/<name>; values are opaque bytes."""

    async def create(self, key: str, value: bytes) -> int:
        """Return the new revision.  Raises Conflict, NoSpace, StoreError."""

    async def update(self, key: str, value: bytes, expected: int) -> int:
        """Replace the value written at revision `expected`.  Raises Conflict, NoSpace, StoreError."""

    async def delete(self, key: str, expected: int) -> int:
        """Remove the key whose value was written at `expected`.  Returns the deletion's revision."""

    async def get(self, key: str, revision: int = 0) -> tuple[Entry | None, int]:
        """The entry (None: no such key) and the store's revision at the read.  0: now, linearizable."""

    async def range(self, prefix: str, *, start: str = "", limit: int = 0, revision: int = 0) -> Page:
        """Entries below `prefix` in key order, from key `start` (inclusive), at most `limit` (0: all)."""

    def watch(self, prefix: str, revision: int) -> AsyncGenerator[Sequence[Event], None]:
        """Batches of events after `revision`, for ever; all writes of one revision come in one batch.

        Errors (Compacted, FutureRevision, StoreError) come out of the iteration, the first ones before any event.
        Closing the iterator (aclose) ends the watch."""

    async def revision(self) -> int:
        """The newest revision; a linearizable read."""

    async def compact(self, revision: int) -> None:
        """Forget history before `revision`.  Raises Compacted where that is done already, FutureRevision."""

    async def close(self) -> None:
        """Release files and connections.  Acknowledged writes are already durable."""


def prefix_end(prefix: str) -> str:
    """The first key after all that start with `prefix`; "" when there is none (the empty prefix).

    Keys order by code point, which is also the order of their UTF-8 bytes."""
    while prefix:
        last = ord(prefix[-1]) + 1
        if last == 0xD800:  # surrogates are no characters
            last = 0xE000
        if last <= 0x10FFFF:
            return prefix[:-1] + chr(last)
        prefix = prefix[:-1]
    return ""
