"""The work queue: keys of objects to look at again, each at most once at a time.

Three collections, as in client-go, and what always holds between them:

- `_dirty`       every key that needs a look
- `_processing`  every key a worker holds now
- `_queue`       the keys a worker may take, in order: exactly `_dirty - _processing`, each once

A key added while it is held becomes dirty only; `done` puts it back into the queue.  So a key is never worked on by two
workers, and a change that arrives during the work is never lost.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry

from tiphys.client.queuemetrics import QueueMetrics

K = TypeVar("K", bound=Hashable)

BACKOFF_FIRST_SECONDS = 0.005
BACKOFF_LAST_SECONDS = 1000.0


class ShutDown(Exception):
    """The queue is closed and empty: the worker ends."""


class WorkQueue(Generic[K]):
    """For one event loop.  Times are the loop's own (loop.time, call_later), so a virtual clock rules it."""

    def __init__(self, name: str = "", registry: CollectorRegistry | None = None) -> None:
        self.name = name
        self._queue: deque[K] = deque()
        self._dirty: set[K] = set()
        self._processing: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}  # delayed adds: the earliest per key
        self._waiters: deque[asyncio.Future[None]] = deque()  # workers in get(), longest waiting first
        self._closed = False
        self._metrics = QueueMetrics(name, registry) if registry is not None else None

    def __len__(self) -> int:
        """Keys that a worker could take now."""
        return len(self._queue)

    @property
    def idle(self) -> bool:
        """Nothing to take and nothing being worked on (delayed adds may still be ahead)."""
        return not self._dirty and not self._processing

    def add(self, key: K) -> None:
        """Have `key` looked at.  Adding it again before a worker takes it changes nothing."""
        if self._closed or key in self._dirty:
            return
        self._dirty.add(key)
        if self._metrics:
            self._metrics.added(key, self._now())
        if key not in self._processing:
            self._offer(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Add `key` when `seconds` have passed; of several delayed adds of one key the earliest counts."""
        if self._closed:
            return
        if seconds <= 0:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        when = loop.time() + seconds
        waiting = self._timers.get(key)
        if waiting is not None:
            if waiting.when() <= when:
                return
            waiting.cancel()
        self._timers[key] = loop.call_at(when, self._due, key)

    def add_rate_limited(self, key: K) -> None:
        """Add `key` after its back-off: 5 ms, doubled with every call until `forget`, at most 1000 s."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        if self._metrics:
            self._metrics.retried()
        self.add_after(key, backoff_seconds(failures))

    def forget(self, key: K) -> None:
        """The work on `key` succeeded: its next failure starts at 5 ms again."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """How often `key` was added rate limited since it was last forgotten."""
        return self._failures.get(key, 0)

    async def get(self) -> K:
        """Take the next key; the caller must call `done(key)` afterwards.  Raises ShutDown."""
        while not self._queue:
            if self._closed:
                raise ShutDown
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake()  # this worker was told about a key it will not take: tell another
                raise
            finally:
                if not waiter.done() or waiter.cancelled():
                    self._discard(waiter)
        key = self._queue.popleft()
        self._dirty.discard(key)
        self._processing.add(key)
        if self._metrics:
            self._metrics.taken(key, self._now())
            self._metrics.depth(len(self._queue))
        return key

    def done(self, key: K) -> None:
        """The worker lets go of `key`; if it was added meanwhile it is queued again."""
        self._processing.discard(key)
        if self._metrics:
            self._metrics.finished(key, self._now())
        if key in self._dirty:
            self._offer(key)

    def shut_down(self) -> None:
        """Accept nothing more and drop delayed adds; workers still get what is queued, then ShutDown."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        while self._waiters:
            self._wake()

    def _offer(self, key: K) -> None:
        self._queue.append(key)
        if self._metrics:
            self._metrics.depth(len(self._queue))
        self._wake()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _discard(self, waiter: asyncio.Future[None]) -> None:
        try:
            self._waiters.remove(waiter)
        except ValueError:
            pass  # already woken

    def _due(self, key: K) -> None:
        del self._timers[key]
        self.add(key)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def backoff_seconds(failures: int) -> float:
    """The delay after `failures` earlier failures."""
    if failures > 20:  # 5 ms * 2**20 is past the maximum; larger powers would only overflow
        return BACKOFF_LAST_SECONDS
    return min(BACKOFF_FIRST_SECONDS * 2.0**failures, BACKOFF_LAST_SECONDS)
