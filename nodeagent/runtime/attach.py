"""The streams of a running container, through its conmon's attach socket.

conmon sends one packet per read: a byte that names the stream (2 standard output, 3 standard error), then at most 8 KiB
of it.  What it gets goes to the container's standard input.  It writes to us blocking, so who attaches must read:
the server drops a client that does not, lest the container itself be held up.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress

from nodeagent.runtime.container import Container
from nodeagent.runtime.interface import RuntimeFailure
from nodeagent.runtime.streams import Output, Send, terminal_size

_PACKET_BYTES = 64 << 10
_WRITE_BYTES = 8 << 10  # conmon truncates packets beyond its buffer
_STREAMS: dict[int, Output] = {2: "stdout", 3: "stderr"}


async def connect(container: Container) -> AttachStreams:
    """Raises RuntimeFailure when there is no conmon to speak to."""
    directory = container.record.directory
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        # A socket's path has at most 108 bytes: it is named through a descriptor of its directory.
        handle = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            connection.connect(f"/proc/self/fd/{handle}/attach")
        finally:
            os.close(handle)
        connection.setblocking(False)
    except OSError as error:
        connection.close()
        raise RuntimeFailure(f"attaching to the container: {error.strerror}") from error
    return AttachStreams(container, connection)


class AttachStreams:
    """See streams.Streams."""

    def __init__(self, container: Container, connection: socket.socket) -> None:
        self._control = container.record.directory / "ctl" if container.spec.terminal else None
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()

    async def copy_output(self, send: Send) -> None:
        try:
            while packet := await self._packet():
                output = _STREAMS.get(packet[0])
                if output is not None and len(packet) > 1:
                    await send(output, packet[1:])
        finally:
            self._end.set()

    async def _packet(self) -> bytes:
        try:
            return await self._loop.sock_recv(self._connection, _PACKET_BYTES)
        except OSError:
            return b""  # the container's conmon is gone

    async def write(self, data: bytes) -> None:
        with suppress(OSError):
            for start in range(0, len(data), _WRITE_BYTES):
                await self._loop.sock_sendall(self._connection, data[start : start + _WRITE_BYTES])

    def end_input(self) -> None:
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)

    def resize(self, columns: int, rows: int) -> None:
        size = terminal_size(columns, rows)
        if size is None or self._control is None:
            return
        with suppress(OSError):
            fd = os.open(self._control, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                os.write(fd, f"1 {size[1]} {size[0]}\n".encode())
            finally:
                os.close(fd)

    async def wait(self) -> int:
        await self._end.wait()
        return 0

    async def close(self) -> None:
        self._connection.close()
        self._end.set()
