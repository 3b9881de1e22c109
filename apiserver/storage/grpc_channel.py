"""Calls of a gRPC service on one connection at a time, made when it is needed and again when it has broken.

What must stay true: a call that got no answer is never sent a second time, since it may have happened.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Any

from apiserver.storage.http2 import DEADLINE_EXCEEDED, STREAM_WINDOW, UNAVAILABLE, Connection, RpcError

CONNECT_SECONDS = 3.0


class Channel:
    """`endpoints`: HOST:PORT each, tried in turn.  It belongs to the running event loop."""

    def __init__(self, endpoints: Sequence[str], context: ssl.SSLContext | None, server_name: str = "") -> None:
        self._endpoints = list(endpoints)
        self._context = context
        self._server_name = server_name
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
        self._closed = False

    async def call(self, path: str, message: bytes, timeout_seconds: float) -> bytes:
        """One question, one answer.  Raises RpcError."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        connection = self._connection or await self._connected(timeout_seconds)
        answer = _Answer(loop)
        number = connection.open(path, message, answer)
        timer = loop.call_at(deadline, answer.late)
        try:
            return await answer.future
        finally:
            timer.cancel()
            connection.cancel(number)  # where it has not ended

    async def stream(self, path: str, message: bytes) -> AsyncGenerator[bytes, None]:
        """The answers to one question until the server ends them; closing the iterator ends it.  Raises RpcError."""
        connection = self._connection or await self._connected(CONNECT_SECONDS)
        answers = _Answers()
        number = connection.open(path, message, answers, more=True)
        try:
            while True:
                while answers.messages:
                    one, room = answers.messages.popleft()
                    connection.allow(number, answers.taken(room))
                    yield one
                if answers.done:
                    if answers.error is not None:
                        raise answers.error
                    return
                answers.wake.clear()
                await answers.wake.wait()
        finally:
            connection.cancel(number)

    async def _connected(self, timeout_seconds: float) -> Connection:
        """All who wait for a connection wait for the same attempt."""
        if self._closed:
            raise RpcError(UNAVAILABLE, "the channel is closed")
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())
            self._connecting.add_done_callback(self._attempted)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await asyncio.shield(self._connecting)
        except TimeoutError:
            raise RpcError(DEADLINE_EXCEEDED, "no connection in time") from None

    def _attempted(self, attempt: asyncio.Task[Connection]) -> None:
        self._connecting = None
        if not attempt.cancelled():
            attempt.exception()  # those who waited have it

    async def _connect(self) -> Connection:
        failure: Exception | None = None
        for endpoint in list(self._endpoints):
            host, _, port = endpoint.rpartition(":")
            secure: dict[str, Any] = {}
            if self._context is not None:
                secure = {"ssl": self._context, "server_hostname": self._server_name or host.strip("[]")}
            make = partial(Connection, endpoint, "https" if secure else "http", self._lost)
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    loop = asyncio.get_running_loop()
                    _, connection = await loop.create_connection(make, host.strip("[]"), int(port), **secure)
            except (OSError, TimeoutError) as error:
                failure = error
                self._endpoints.append(self._endpoints.pop(0))  # the next attempt begins with another one
                continue
            if self._closed:
                connection.close()
                break
            self._connection = connection
            return connection
        raise RpcError(UNAVAILABLE, f"failed to connect to {', '.join(self._endpoints)}: {failure!r}")

    def _lost(self, connection: Connection) -> None:
        if self._connection is connection:
            self._connection = None

    async def close(self) -> None:
        self._closed = True
        if self._connection is not None:
            self._connection.close()
        if self._connecting is not None:
            self._connecting.cancel()


class _Answer:
    """The receiver of a call."""

    __slots__ = ("future", "message")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.future: asyncio.Future[bytes] = loop.create_future()
        self.message: bytes | None = None

    def received(self, message: bytes, room: int) -> None:
        self.message = message

    def late(self) -> None:
        self.ended(RpcError(DEADLINE_EXCEEDED, "the server did not answer in time"))

    def ended(self, error: RpcError | None) -> None:
        if self.future.done():
            return
        if error is None and self.message is not None:
            self.future.set_result(self.message)
        else:
            self.future.set_exception(error or RpcError(UNAVAILABLE, "the server ended the call without an answer"))


class _Answers:
    """The receiver of a stream."""

    def __init__(self) -> None:
        self.messages: deque[tuple[bytes, int]] = deque()
        self.wake = asyncio.Event()
        self.done = False
        self.error: RpcError | None = None
        self._taken = 0

    def received(self, message: bytes, room: int) -> None:
        self.messages.append((message, room))
        self.wake.set()

    def taken(self, room: int) -> int:
        """What to give back to the server: not every message is worth a frame."""
        self._taken += room
        if self._taken < STREAM_WINDOW // 4:
            return 0
        room, self._taken = self._taken, 0
        return room

    def ended(self, error: RpcError | None) -> None:
        self.done = True
        self.error = error
        self.wake.set()
