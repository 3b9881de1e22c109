"""Doing a thing once for everyone who asks for it at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class SingleFlight:
    """What must stay true: per key one task runs; it is cancelled only when nobody waits for it any more."""

    def __init__(self, own_try: tuple[type[Exception], ...] = ()) -> None:
        """After a failure of one of `own_try`, those who shared another's work do their own."""
        self._own_try = own_try
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._waiting: dict[asyncio.Task[None], int] = {}

    async def run(self, key: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do `work` unless somebody is at it, and wait for its end.  Its exception is raised to everyone waiting."""
        while True:
            task = self._tasks.get(key)
            shared = task is not None
            if task is None:
                task = self._start(key, work)
            self._waiting[task] += 1
            try:
                await asyncio.shield(task)
                return
            except self._own_try:
                if not shared:
                    raise
            finally:
                self._waiting[task] -= 1
                if not self._waiting[task]:
                    del self._waiting[task]
                    if not task.done():
                        self._forget(key, task)
                        task.cancel()

    def _start(self, key: str, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        task = asyncio.create_task(work())
        self._tasks[key] = task
        self._waiting[task] = 0
        task.add_done_callback(lambda done: self._forget(key, done))
        return task

    def _forget(self, key: str, task: asyncio.Task[None]) -> None:
        if task.done() and not task.cancelled():
            task.exception()  # nobody may be left to fetch it
        if self._tasks.get(key) is task:
            del self._tasks[key]
