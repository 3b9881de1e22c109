"""The embedded store: one SQLite file, durable, nothing to install.

One thread writes (sqlite_writer.py), others read on connections of their own, and watches read the log by position:
from memory while they keep up, from the file when they lag.  So no watcher has a queue, none misses or repeats a write.
An acknowledgement leaves after COMMIT returned and after the write was published to watches, in that order.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeVar

import apsw

from apiserver.storage import sqlite_log as log
from apiserver.storage.sqlite_writer import Operation, Outcome, Reserve, Writer, exit_process
from apiserver.storage.store import Compacted, Entry, Event, FutureRevision, Page, StoreError

logger = logging.getLogger(__name__)

T = TypeVar("T")
TAIL_EVENTS = 1024  # the watch cache, which reads them, is seldom behind; older ones are in the file
TAIL_BYTES = 2 * 1024 * 1024
CATCH_UP_EVENTS = 500
RESERVE_BYTES = 16 * 1024 * 1024


class Tail:
    """The newest events in memory.  Revisions have no gaps, so an event's place follows from its revision."""

    def __init__(self, revision: int) -> None:
        self._floor = revision  # every event after it is here
        self._events: list[Event] = []
        self._bytes = 0

    def append(self, events: Sequence[Event]) -> None:
        self._events += events
        self._bytes += sum(len(event.entry.value) for event in events)
        if len(self._events) > 2 * TAIL_EVENTS or self._bytes > 2 * TAIL_BYTES:
            self._trim()

    def since(self, revision: int) -> Sequence[Event] | None:
        """Events after `revision`; None when they are no longer all here."""
        return self._events[revision - self._floor :] if revision >= self._floor else None

    def _trim(self) -> None:
        kept, size = len(self._events), 0
        while kept and len(self._events) - kept < TAIL_EVENTS and size < TAIL_BYTES:
            kept -= 1
            size += len(self._events[kept].entry.value)
        self._floor += kept
        del self._events[:kept]
        self._bytes = size


class SqliteStore:
    """`Store` on the file `path`.  Make it inside the running event loop; it belongs to that loop.

    Raises StoreError when another process has the file, or when the file is not a store.  `on_fatal` is called in the
    writer thread when the disk fails a write; the default stops the process.
    """

    def __init__(
        self,
        path: Path,
        *,
        reserve_bytes: int = RESERVE_BYTES,
        on_fatal: Callable[[BaseException], None] = exit_process,
        vfs: str | None = None,
    ) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        self._lock = _lock(path.with_name(path.name + ".lock"))
        try:
            connection = self._open(vfs)
            self._compacted = log.compacted(connection)
            self._published = log.newest(connection)
        except apsw.Error as error:
            os.close(self._lock)
            raise StoreError(f"{path}: {error}") from error
        except BaseException:
            os.close(self._lock)
            raise
        self._tail = Tail(self._published)
        self._grown: asyncio.Future[None] = self._loop.create_future()
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="store-reader")
        self._reader = threading.local()
        self._reader_connections: list[log.Connection] = []
        self._closed = False
        reserve = Reserve(path.with_name(path.name + ".reserve"), reserve_bytes)
        self._writer = Writer(connection, reserve, self._committed, on_fatal)
        self._writer.start()

    def _open(self, vfs: str | None) -> log.Connection:
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        self._path.chmod(0o600)  # SQLite gives its -wal and -shm files the same mode
        connection = log.connect(str(self._path), read_only=False, vfs=vfs)
        log.prepare(connection)
        directory = os.open(self._path.parent, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
        return connection

    async def create(self, key: str, value: bytes) -> int:
        return await self._write("create", key, value, 0)

    async def update(self, key: str, value: bytes, expected: int) -> int:
        return await self._write("update", key, value, expected)

    async def delete(self, key: str, expected: int) -> int:
        return await self._write("delete", key, b"", expected)

    async def compact(self, revision: int) -> None:
        self._compacted = max(self._compacted, await self._write("compact", "", b"", revision))

    async def get(self, key: str, revision: int = 0) -> tuple[Entry | None, int]:
        def read(connection: log.Connection) -> tuple[Entry | None, int]:
            current = log.check_revision(connection, revision)
            return log.find(connection, key, revision), current

        return await self._read(read)

    async def range(self, prefix: str, *, start: str = "", limit: int = 0, revision: int = 0) -> Page:
        return await self._read(lambda connection: log.scan(connection, prefix, start, limit, revision))

    async def revision(self) -> int:
        """Every acknowledged write was published first, so this needs no look at the file."""
        self._check_open()
        return self._published

    async def watch(self, prefix: str, revision: int) -> AsyncGenerator[Sequence[Event], None]:
        if revision < self._compacted:
            raise Compacted(revision, self._compacted)
        if revision > self._published:
            raise FutureRevision(revision, self._published)
        position = revision
        while True:
            self._check_open()
            if position >= self._published:
                await asyncio.wait([self._grown])  # unlike wait_for, leaves the shared future alone when cancelled
                continue
            events = self._tail.since(position) or await self._history(position)
            position = events[-1].entry.revision
            wanted = [event for event in events if event.entry.key.startswith(prefix)]
            if wanted:
                yield wanted

    async def _history(self, after: int) -> Sequence[Event]:
        """The next events after `after` from the file, for a watch that starts in the past or lags behind the tail."""
        return await self._read(lambda connection: log.changes(connection, after, CATCH_UP_EVENTS))

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._wake()
        self._writer.submit(Operation("stop"))
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._readers.shutdown)
        for connection in self._reader_connections:
            connection.close(True)
        os.close(self._lock)

    async def _write(
        self, verb: Literal["create", "update", "delete", "compact"], key: str, value: bytes, expected: int
    ) -> int:
        self._check_open()
        if verb in ("update", "delete") and expected <= 0:
            raise ValueError(f"{verb} of {key} without the revision it expects")
        answer: asyncio.Future[int] = self._loop.create_future()
        value = bytes(memoryview(value))  # what orjson returns holds up to eight times its length; the tail keeps it
        self._writer.submit(Operation(verb, key, value, expected, answer))
        return await answer

    async def _read(self, work: Callable[[log.Connection], T]) -> T:
        """Run `work` in a reader thread, inside one read transaction."""
        self._check_open()
        return await self._loop.run_in_executor(self._readers, self._transact, work)

    def _transact(self, work: Callable[[log.Connection], T]) -> T:
        try:
            connection = getattr(self._reader, "connection", None)
            if connection is None:
                connection = self._reader.connection = log.connect(str(self._path), read_only=True)
                self._reader_connections.append(connection)
            connection.execute("BEGIN")
            try:
                return work(connection)
            finally:
                self._end_read(connection)
        except apsw.Error as error:
            raise StoreError(f"{type(error).__name__}: {error}") from error

    def _end_read(self, connection: log.Connection) -> None:
        """End the read transaction.  After a broken page SQLite complains once more; what was read is still right."""
        try:
            connection.execute("COMMIT")
        except apsw.Error:
            if connection.in_transaction:  # it would show this moment's state for ever
                connection.execute("ROLLBACK")

    def _committed(self, outcomes: Sequence[Outcome], events: Sequence[Event]) -> None:
        """In the writer thread, after COMMIT: hand the whole batch to the loop in one call."""
        if not outcomes and not events:
            return
        try:
            self._loop.call_soon_threadsafe(self._publish, outcomes, events)
        except RuntimeError:  # the loop is gone, and everyone who waited with it
            logger.info("answers dropped, the event loop has ended count=%d", len(outcomes))

    def _publish(self, outcomes: Sequence[Outcome], events: Sequence[Event]) -> None:
        if events:
            self._tail.append(events)
            self._published = events[-1].entry.revision
            self._wake()
        for operation, outcome in outcomes:
            if operation.answer is None or operation.answer.done():  # whoever asked was cancelled
                continue
            if isinstance(outcome, BaseException):
                operation.answer.set_exception(outcome)
            else:
                operation.answer.set_result(outcome)

    def _wake(self) -> None:
        grown, self._grown = self._grown, self._loop.create_future()
        grown.set_result(None)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("the store is closed")


def _lock(path: Path) -> int:
    """Take the store for this process until it ends, however it ends; the descriptor holds the lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise StoreError(f"{path.parent} is in use by another API server (process {owner})") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
