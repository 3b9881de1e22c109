"""A client's connection and a container's streams, joined until one of them ends.

What must stay true: no direction buffers more than one message; the session ends when the program ends, when the client
goes, when nothing has moved for the idle time, or when an attached client has not read for the stall time; and
afterwards nothing of it is left.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from nodeagent.runtime.interface import RuntimeFailure
from nodeagent.runtime.streams import Output, Streams
from nodeagent.server.channels import (
    RESIZE,
    STDERR,
    STDIN,
    STDOUT,
    ChannelSocket,
    exited,
    failed,
    success,
    terminal_size,
)
from tiphys.logs import fields

_log = logging.getLogger(__name__)

IDLE_SECONDS = 4 * 3600.0  # as the kubelet's streaming-connection-idle-timeout
STALL_SECONDS = 30.0
_CHANNELS = {"stdout": STDOUT, "stderr": STDERR}


@dataclass(frozen=True, slots=True)
class Wanted:
    """The streams a client asked for.  `stall_seconds` 0: a client that does not read makes the program wait."""

    stdin: bool
    stdout: bool
    stderr: bool
    idle_seconds: float = IDLE_SECONDS
    stall_seconds: float = 0.0


class Conversation:
    def __init__(self, socket: ChannelSocket, streams: Streams, wanted: Wanted) -> None:
        self._socket, self._streams, self._wanted = socket, streams, wanted
        self._loop = asyncio.get_running_loop()
        self._moved = self._loop.time()

    async def run(self, argv: tuple[str, ...] = ()) -> None:
        """Until the end; the client is told how, if it is still there."""
        listening = asyncio.create_task(self._listen(), name="stream input")
        working = asyncio.create_task(self._work(argv), name="stream output")
        idling = asyncio.create_task(self._idle(), name="stream idle")
        try:
            await asyncio.wait({listening, working, idling}, return_when=asyncio.FIRST_COMPLETED)
            if working.done() and not working.cancelled() and working.exception() is None:
                async with asyncio.timeout(self._wanted.stall_seconds or self._wanted.idle_seconds):
                    await self._socket.finish(working.result())
            else:
                await self._socket.drop()
        except (ConnectionError, RuntimeError, TimeoutError):
            pass  # gone in the middle of a word
        finally:
            for task in (listening, working, idling):
                task.cancel()
            await asyncio.gather(listening, working, idling, return_exceptions=True)

    async def _listen(self) -> None:
        """What the client says goes to the program; returns when the client has gone."""
        while message := await self._socket.receive():
            self._moved = self._loop.time()
            if message.channel == STDIN and self._wanted.stdin:
                if message.end:
                    self._streams.end_input()
                else:
                    await self._streams.write(message.data)
            elif message.channel == RESIZE and (size := terminal_size(message.data)):
                self._streams.resize(*size)

    async def _work(self, argv: tuple[str, ...]) -> dict[str, Any]:
        """All output to the client; returns the Status of the end."""
        try:
            await self._streams.copy_output(self._send)
            code = await self._streams.wait()
        except RuntimeFailure as error:
            return failed(f"error executing command in container: {error}")
        return exited(argv, code) if code else success()

    async def _send(self, output: Output, data: bytes) -> None:
        self._moved = self._loop.time()
        if not getattr(self._wanted, output):
            return
        async with asyncio.timeout(self._wanted.stall_seconds or None):
            await self._socket.send(_CHANNELS[output], data)

    async def _idle(self) -> None:
        while (left := self._moved + self._wanted.idle_seconds - self._loop.time()) > 0:
            await asyncio.sleep(left)
        _log.info("stream was idle", extra=fields(seconds=self._wanted.idle_seconds))


async def converse(
    socket: ChannelSocket,
    wanted: Wanted,
    connect: Callable[[], Coroutine[Any, Any, Streams]],
    argv: tuple[str, ...] = (),
) -> None:
    """The whole of a session after the upgrade; a start that fails is told on the error stream."""
    try:
        streams = await connect()
    except RuntimeFailure as error:
        await socket.finish(failed(f"error executing command in container: {error}"))
        return
    try:
        # The upgrade is answered before the program runs: an empty message says that the streams are there.
        first = STDOUT if wanted.stdout else STDERR if wanted.stderr else None
        if first is not None:
            await socket.send(first, b"")
        await Conversation(socket, streams, wanted).run(argv)
    except ConnectionError:
        pass
    finally:
        await streams.close()
