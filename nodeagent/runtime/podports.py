"""Connections to a port of a pod, made inside the pod's network namespace.

A socket belongs to the namespace in which it was made, for good: so only the making happens in a thread that enters
the namespace, everything else on the event loop.
"""

from __future__ import annotations

import asyncio
import os
import socket

from nodeagent.runtime import syscalls
from nodeagent.runtime.sandbox import in_thread

_CONNECT_SECONDS = 10.0
_LOOPBACK = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


async def connect(netns: str, port: int) -> socket.socket:
    """A connection to 127.0.0.1:PORT (else [::1]:PORT) of the namespace at the path `netns` ("" is the node's).

    Raises OSError with what IPv4 said.
    """
    loop = asyncio.get_running_loop()
    first: OSError | None = None
    for family, address in _LOOPBACK:
        try:
            made = await in_thread(lambda family=family: _make(netns, family))  # type: ignore[misc]
            made.setblocking(False)
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    await loop.sock_connect(made, (address, port))
                return made
            except BaseException:
                made.close()
                raise
        except OSError as error:
            first = first or error
    assert first is not None
    raise first


def _make(netns: str, family: int) -> socket.socket:
    """In a thread of its own."""
    if netns:
        fd = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
        try:
            syscalls.setns(fd, syscalls.CLONE_NEWNET)
        finally:
            os.close(fd)
    return socket.socket(family, socket.SOCK_STREAM)
