"""One forwarded connection: a SPDY data stream on one side, a socket in the pod's network on the other."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

WAITING_LIMIT_BYTES = 256 << 10
STALL_SECONDS = 30.0
_PIECE_BYTES = 32 << 10


class Stream:
    """What the client has sent on a stream and nobody has taken yet: bounded, because all streams share a connection.

    `feed` waits when the bound is reached; a reader that takes nothing for the stall time loses its stream.
    """

    def __init__(self, stream_id: int, kind: str) -> None:
        self.stream_id, self.kind = stream_id, kind
        self.key = ("", "")  # (port, requestID): the two streams of a connection share it
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._fin = self.stalled = False
        self._broken = asyncio.Event()
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()
        self._since = asyncio.get_running_loop().time()

    def expired(self, now: float, seconds: float) -> bool:
        """Whether it has been there for longer than that."""
        return now - self._since > seconds

    async def feed(self, data: bytes, *, fin: bool) -> None:
        if self.kind == "error" or self._broken.is_set():
            return  # clients say nothing on error streams
        if data:
            self._pieces.append(data)
            self._size += len(data)
        self._fin = self._fin or fin
        self._changed.set()
        try:
            async with asyncio.timeout(STALL_SECONDS):
                while self._size > WAITING_LIMIT_BYTES and not self._broken.is_set():
                    self._taken.clear()
                    await self._taken.wait()
        except TimeoutError:
            self.stalled = True
            self.reset()

    async def take(self) -> bytes:
        """The next piece, b"" at the end.  Raises ConnectionResetError after a reset."""
        while not self._pieces:
            if self._broken.is_set():
                raise ConnectionResetError("the stream was reset")
            if self._fin:
                return b""
            self._changed.clear()
            await self._changed.wait()
        piece = self._pieces.popleft()
        self._size -= len(piece)
        self._taken.set()
        return piece

    async def broken(self) -> None:
        """Returns after a reset."""
        await self._broken.wait()

    def reset(self) -> None:
        """By the client, or because the other side does not take what it sends."""
        self._broken.set()
        self._pieces.clear()
        self._size = 0
        self._changed.set()
        self._taken.set()


class Forward:
    """Copies both ways until both directions have ended, or one has broken."""

    def __init__(
        self, connection: socket.socket, stream: Stream, send: Callable[[bytes, bool], Awaitable[None]]
    ) -> None:
        self._connection, self._stream, self._send = connection, stream, send
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """Returns at the end; what breaks on the client's side is a ConnectionError of `send`."""
        inward = asyncio.create_task(self._inward(), name="port-forward inward")
        outward = asyncio.create_task(self._outward(), name="port-forward outward")
        both: asyncio.Future[Any] = asyncio.gather(inward, outward)
        broken: asyncio.Future[Any] = asyncio.create_task(self._stream.broken(), name="port-forward reset")
        try:
            await asyncio.wait({both, broken}, return_when=asyncio.FIRST_COMPLETED)
            if both.done():
                with suppress(_PeerGone):
                    both.result()
        finally:
            for task in (inward, outward, broken):
                task.cancel()
            await asyncio.gather(inward, outward, broken, both, return_exceptions=True)
            self._stream.reset()

    async def _inward(self) -> None:
        try:
            while piece := await self._stream.take():
                await self._loop.sock_sendall(self._connection, piece)
            self._connection.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise _PeerGone from error

    async def _outward(self) -> None:
        while True:
            try:
                piece = await self._loop.sock_recv(self._connection, _PIECE_BYTES)
            except OSError as error:
                await self._send(b"", True)
                raise _PeerGone from error
            await self._send(piece, not piece)
            if not piece:
                return


class _PeerGone(Exception):
    """The socket broke, or the client has reset its stream: the other direction ends too."""
