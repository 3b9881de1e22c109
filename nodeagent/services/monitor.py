"""Sees when somebody else changes our table: the kernel's nftables events, in this network namespace.

What must stay true: our own transactions are told from others' by the ruleset's generation (they go up by one each),
so a repair never answers itself; when events were lost, a generation that is not ours counts as a change.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
from collections.abc import Callable, Iterator

_NETFILTER, _GROUP_NFTABLES = 12, 7
_SUBSYSTEM = 10 << 8
_NEW_GENERATION, _GET_GENERATION = _SUBSYSTEM | 15, _SUBSYSTEM | 16
_HEADER = struct.Struct("=IHHII")
_RECEIVE_BYTES = 8 << 20
_SO_RCVBUFFORCE = 33


def generation() -> int:
    """The number of the ruleset's last transaction, in this thread's network namespace."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER) as door:
        door.settimeout(5)
        door.bind((0, 0))
        body = struct.pack(">BBH", 0, 0, 0)
        door.send(_HEADER.pack(_HEADER.size + len(body), _GET_GENERATION, 1, 1, 0) + body)
        for kind, message in messages(door.recv(1 << 16)):
            if kind == _NEW_GENERATION:
                return _generation_of(message)
    raise OSError(errno.EPROTO, "nftables does not say its generation")


class TableMonitor:
    """`start` in the namespace to watch; `changed(generation)` is called for each transaction that touches the table.

    The generation is 0 when events were lost.
    """

    def __init__(self, table: str, changed: Callable[[int], None]) -> None:
        self._name = table.encode() + b"\0"
        self._changed = changed
        self._socket: socket.socket | None = None
        self._touched = False

    def start(self) -> None:
        """Raises OSError."""
        door = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, _NETFILTER
        )
        with contextlib.suppress(OSError):
            door.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BYTES)
        door.bind((0, 1 << (_GROUP_NFTABLES - 1)))
        self._socket = door
        asyncio.get_running_loop().add_reader(door.fileno(), self._read)

    def stop(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _read(self) -> None:
        assert self._socket is not None
        for _ in range(64):  # leave the loop to others now and then
            try:
                data = self._socket.recv(1 << 17)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._touched = False
                self._changed(0)
                continue
            self._look(data)

    def _look(self, data: bytes) -> None:
        for kind, message in messages(data):
            if kind == _NEW_GENERATION:
                if self._touched:
                    self._touched = False
                    self._changed(_generation_of(message))
            elif not self._touched:
                self._touched = _table_of(message) == self._name


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, what follows the header) of each netlink message."""
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        if length < _HEADER.size:
            return
        yield kind, data[_HEADER.size : length]
        data = data[(length + 3) & ~3 :]


def _table_of(message: bytes) -> bytes:
    """The first attribute of every nftables message but a generation's is the table's name."""
    if len(message) < 8:
        return b""
    length, kind = struct.unpack_from("=HH", message, 4)
    return message[8 : 4 + length] if kind == 1 else b""


def _generation_of(message: bytes) -> int:
    length, kind = struct.unpack_from("=HH", message, 4)
    return int.from_bytes(message[8 : 4 + length], "big") if kind == 1 else 0
