"""The one thread that writes to the SQLite file: group commit, checkpoints, and what happens when the disk fails.

Whatever waits when a commit ends goes into the next transaction together, so many clients share one fsync and a single
client waits for no timer.  Nothing is reported before COMMIT has returned.  A full disk gives up a reserve file so that
deletes still go through.  A write error of the disk is fatal: after a failed fsync nobody knows what the file holds.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from asyncio import Future
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import apsw

from apiserver.storage import sqlite_log as log
from apiserver.storage.store import Compacted, Conflict, Entry, Event, FutureRevision, NoSpace, StoreError

logger = logging.getLogger(__name__)

BATCH_LIMIT = 256  # operations of one transaction: collecting them takes far less than 2 ms
SWEEP_LIMIT = 500  # writes looked at per transaction of a compaction, so that writers wait for one slice at most
CHECKPOINT_PAGES = 1000  # of 4 KiB, when idle
CHECKPOINT_PAGES_FULL = 32  # on a full disk: the reserve must not go to the write-ahead log
VACUUM_PAGES = 500  # given back per checkpoint on a full disk


@dataclass(frozen=True, slots=True)
class Operation:
    """A request and the future its answer goes to (resolved on the loop)."""

    verb: Literal["create", "update", "delete", "compact", "sweep", "stop"]
    key: str = ""
    value: bytes = b""
    expected: int = 0
    answer: Future[int] | None = None

    @property
    def grows(self) -> bool:
        return self.verb in ("create", "update")


Outcome = tuple[Operation, int | BaseException]
Deliver = Callable[[Sequence[Outcome], Sequence[Event]], None]


def exit_process(error: BaseException) -> None:
    """The default answer to a disk that fails a write: stop before anyone is told anything."""
    logger.critical("the store's disk failed, stopping error=%r", str(error))
    os._exit(74)  # EX_IOERR


class Reserve:
    """Bytes held back on the disk for the deletes that make room again."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._path = path
        self.size_bytes = size_bytes
        self.held = False

    def hold(self) -> bool:
        """Take the reserve (again) when the disk has room for it and some more."""
        if not self.held and self._room():
            try:
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
                try:
                    os.posix_fallocate(descriptor, 0, self.size_bytes)
                finally:
                    os.close(descriptor)
                self.held = True
            except OSError:
                self._path.unlink(missing_ok=True)
        return self.held

    def release(self) -> None:
        self._path.unlink(missing_ok=True)
        self.held = False

    def _room(self) -> bool:
        there = self._path.stat().st_blocks * 512 if self._path.exists() else 0
        disk = os.statvfs(self._path.parent)
        return disk.f_bavail * disk.f_frsize + there >= self.size_bytes + self.size_bytes // 4


class Writer(threading.Thread):
    """Owns the writing connection.  `deliver(outcomes, events)` is called in this thread after each commit."""

    def __init__(
        self, connection: log.Connection, reserve: Reserve, deliver: Deliver, on_fatal: Callable[[BaseException], None]
    ) -> None:
        super().__init__(name="store-writer", daemon=True)
        self._connection = connection
        self._reserve = reserve
        self._deliver = deliver
        self._on_fatal = on_fatal
        self._queue: queue.SimpleQueue[Operation] = queue.SimpleQueue()
        self._newest = log.newest(connection)
        self._wal_pages = 0
        self._failed: BaseException | None = None
        connection.set_wal_hook(self._on_wal)
        reserve.hold()

    def submit(self, operation: Operation) -> None:
        self._queue.put(operation)

    def run(self) -> None:
        self.submit(Operation("sweep"))  # a compaction may have been cut short by the last stop
        stopping = False
        while not stopping:
            batch = self._collect()
            stopping = any(operation.verb == "stop" for operation in batch)
            self._commit([operation for operation in batch if operation.verb != "stop"])
            if not stopping:
                self._checkpoint()
        self._finish()

    def _collect(self) -> list[Operation]:
        batch = [self._queue.get()]
        try:
            while len(batch) < BATCH_LIMIT:
                batch.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return batch

    def _commit(self, batch: list[Operation]) -> None:
        """All operations in one transaction; one by one when that fails, so that only the guilty one suffers."""
        refused: list[Outcome] = []
        if any(operation.grows for operation in batch) and not self._reserve.hold():
            refused = [(operation, NoSpace("the disk is full")) for operation in batch if operation.grows]
            batch = [operation for operation in batch if not operation.grows]
        try:
            outcomes, events = self._transaction(batch)
        except _Retry:
            self._deliver(refused, [])
            for operation in batch:
                self._commit_one(operation)
        else:
            self._deliver(refused + outcomes, events)

    def _commit_one(self, operation: Operation) -> None:
        try:
            if operation.grows and not self._reserve.hold():
                raise NoSpace("the disk is full")
            outcomes, events = self._transaction([operation])
        except (StoreError, _Retry) as error:
            failure = error.failure if isinstance(error, _Retry) else error
            outcomes, events = [(operation, failure)], []
        self._deliver(outcomes, events)

    def _transaction(self, batch: Sequence[Operation]) -> tuple[list[Outcome], list[Event]]:
        """Answers and events of a committed transaction.  Raises _Retry when nothing of it was committed."""
        if self._failed:
            failure = StoreError(f"the store's disk failed: {self._failed}")
            return [(operation, failure) for operation in batch], []
        outcomes: list[Outcome] = []
        events: list[Event] = []
        before = self._newest
        again = False
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for operation in batch:
                if operation.verb == "sweep":
                    again = log.sweep(self._connection, SWEEP_LIMIT) or again
                else:
                    outcomes.append((operation, self._apply(operation, events)))
            self._connection.execute("COMMIT")
        except (apsw.Error, StoreError, OSError) as error:
            self._newest = before
            raise _Retry(self._judge(error)) from error
        if again or any(operation.verb == "compact" for operation in batch):
            self.submit(Operation("sweep"))
        return outcomes, events

    def _apply(self, operation: Operation, events: list[Event]) -> int | BaseException:
        """One operation inside the transaction: its revision, or the refusal that is its answer."""
        if operation.verb == "compact":
            try:
                log.mark_compacted(self._connection, operation.expected)
            except (Compacted, FutureRevision) as refusal:
                return refusal
            return operation.expected
        found = log.find_revision(self._connection, operation.key)
        if found != operation.expected:
            return Conflict(operation.key, log.find(self._connection, operation.key))
        previous = log.replaced(self._connection, operation.key, found)
        self._newest += 1
        deleted = operation.verb == "delete"
        created = 0 if deleted else previous.created if previous else self._newest
        event = Event(Entry(operation.key, operation.value, self._newest, created), previous, deleted)
        log.append(self._connection, event, found)
        events.append(event)
        return self._newest

    def _judge(self, error: BaseException) -> StoreError:
        """Roll back and say what the failure means to whoever asked."""
        if isinstance(error, apsw.IOError | OSError):
            self._failed = error
            self._on_fatal(error)
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except apsw.Error as failure:
            self._failed = failure
            self._on_fatal(failure)
        if isinstance(error, apsw.FullError):
            if self._reserve.held:
                logger.error("the disk is full, only deletes are accepted path=%r", self._connection.filename)
            self._reserve.release()
            return NoSpace("the disk is full")
        return error if isinstance(error, StoreError) else StoreError(f"{type(error).__name__}: {error}")

    def _on_wal(self, _connection: object, _database: str, pages: int) -> int:
        self._wal_pages = pages
        return 0

    def _checkpoint(self) -> None:
        """Move the write-ahead log into the file: when nobody waits, or when it has grown too long."""
        if self._failed or self._wal_pages < self._checkpoint_pages():
            return
        self._wal_pages = 0
        try:
            if self._reserve.held:
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            else:  # make room: the log's copy goes, then pages that a compaction freed
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
                self._connection.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
                self._wal_pages = 0
        except (apsw.BusyError, apsw.FullError) as error:
            logger.info("checkpoint postponed reason=%r", str(error))
        except apsw.Error as error:
            self._judge(error)

    def _checkpoint_pages(self) -> int:
        """The length of the write-ahead log to act on.  Half the reserve must take it when the disk is full."""
        if not self._reserve.held:
            return CHECKPOINT_PAGES_FULL
        most = self._reserve.size_bytes // 2 // 4096
        return min(CHECKPOINT_PAGES, most // 2) if self._queue.empty() else most

    def _finish(self) -> None:
        try:
            if not self._failed:
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.Error as error:
            logger.info("last checkpoint left to the next start reason=%r", str(error))
        self._connection.close(True)


class _Retry(Exception):
    """The transaction was rolled back; `failure` is the answer when the operation was alone in it."""

    def __init__(self, failure: StoreError) -> None:
        super().__init__(str(failure))
        self.failure = failure
