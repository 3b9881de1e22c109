"""Bytes both ways between a client and a backend after an upgrade.

What must stay true: one side's slowness is the other side's wait, never our memory; when one side ends, the other gets
what was already read and is then closed; a tunnel in which nothing moves for the idle time ends.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from apiserver.request import Duplex

IDLE_SECONDS = 4 * 3600.0
_PIECE_BYTES = 64 << 10


class Tunnel:
    """`run` once; `close` any time."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self._reader, self._writer, self._idle_seconds = reader, writer, idle_seconds
        self._loop = asyncio.get_running_loop()
        self._moved = self._loop.time()

    async def run(self, client: Duplex) -> None:
        tasks = [
            asyncio.create_task(self._to_backend(client), name="tunnel to backend"),
            asyncio.create_task(self._to_client(client), name="tunnel to client"),
            asyncio.create_task(self._idle(), name="tunnel idle"),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.close()

    async def _to_backend(self, client: Duplex) -> None:
        with suppress(OSError):
            while data := await client.read():
                self._moved = self._loop.time()
                self._writer.write(data)
                await self._writer.drain()

    async def _to_client(self, client: Duplex) -> None:
        with suppress(OSError):
            while data := await self._reader.read(_PIECE_BYTES):
                self._moved = self._loop.time()
                await client.write(data)

    async def _idle(self) -> None:
        while (left := self._moved + self._idle_seconds - self._loop.time()) > 0:
            await asyncio.sleep(left)

    def close(self) -> None:
        """At once: whoever ends a tunnel does not wait for the other side's farewell."""
        self._writer.transport.abort()
