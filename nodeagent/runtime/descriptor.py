"""A pipe or terminal on the event loop: reads and writes wait for the kernel and hold nothing in memory.

What must stay true: who does not read makes the other side wait, so a slow client slows its program and costs no
memory; closing wakes whoever waits.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from typing import Any


class Descriptor:
    """Owns a descriptor.  One reader and one writer at a time."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def closed(self) -> bool:
        return self._fd < 0

    def fileno(self) -> int:
        return self._fd

    async def read(self, most: int, until: asyncio.Future[None] | None = None) -> bytes:
        """At least one byte, or b"" at the end; also b"" when `until` is done and there is nothing to read."""
        while self._fd >= 0:
            try:
                return os.read(self._fd, most)
            except BlockingIOError:
                if until is not None and until.done():
                    return b""
                await self.readable(until)
            except OSError as error:
                if error.errno == errno.EIO:  # a terminal whose last user has gone
                    return b""
                raise
        return b""

    async def write(self, data: bytes) -> None:
        """All of it.  Raises OSError (EPIPE, EIO) when nobody will read it."""
        view = memoryview(data)
        while view:
            if self._fd < 0:
                raise BrokenPipeError(errno.EPIPE, "closed")
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                await self._wait(self._loop.add_writer, self._loop.remove_writer, None)

    async def readable(self, until: asyncio.Future[None] | None = None) -> None:
        """Until there is something to read, or it is closed, or `until` is done."""
        await self._wait(self._loop.add_reader, self._loop.remove_reader, until)

    async def _wait(
        self, add: Callable[..., Any], remove: Callable[[int], Any], until: asyncio.Future[None] | None
    ) -> None:
        fd, ready = self._fd, self._loop.create_future()

        def wake(_: object = None) -> None:
            if not ready.done():
                ready.set_result(None)

        if until is not None:
            until.add_done_callback(wake)
        self._waiting.add(ready)
        add(fd, wake)
        try:
            await ready
        finally:
            self._waiting.discard(ready)
            if until is not None:
                until.remove_done_callback(wake)
            if self._fd == fd:
                remove(fd)

    def close(self) -> None:
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        self._loop.remove_reader(fd)
        self._loop.remove_writer(fd)
        os.close(fd)
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
