"""A connection to a gRPC server: the part of HTTP/2 that gRPC uses, from the client's side, on the event loop.

grpcio answers through a thread of its own, and handing every answer to the loop costs more than everything else this
server does for a write.  Here a request is one write to the socket, and all answers that came are read in one turn.
What must stay true: every stream ends exactly once, with its messages and OK or with an RpcError; when the connection
ends, all do.  Memory is bounded by the windows that are opened for the server: a stream nobody reads stops it.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import unquote

from hpack import Decoder, HPACKError

OK, CANCELLED, UNKNOWN, DEADLINE_EXCEEDED = 0, 1, 2, 4
RESOURCE_EXHAUSTED, OUT_OF_RANGE, INTERNAL, UNAVAILABLE = 8, 11, 13, 14

KEEPALIVE_SECONDS = 10.0  # etcd ends connections that ask more than every 5 s
KEEPALIVE_TIMEOUT_SECONDS = 5.0
STREAM_WINDOW = 16 * 1024 * 1024
CONNECTION_WINDOW = 64 * 1024 * 1024
_HEADERS_KNOWN = 64

_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY, _WINDOW, _CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
_TABLE_SIZE, _INITIAL_WINDOW, _MAX_FRAME = 1, 4, 5
_FIRST_WINDOW, _FIRST_FRAME = 65535, 16384
_LAST_STREAM = 2**31 - 1
_CANCEL = struct.pack(">I", 8)


class RpcError(Exception):
    """How a call failed: a gRPC status code and the server's text, or ours."""

    def __init__(self, code: int, details: str) -> None:
        super().__init__(f"{details} (gRPC status {code})")
        self.code = code
        self.details = details


class Receiver(Protocol):
    """Who made a stream."""

    def received(self, message: bytes, room: int) -> None:
        """A message came.  `room` bytes may be given back to the server (`allow`) when it has been taken."""

    def ended(self, error: RpcError | None) -> None:
        """Called once, last."""


class _Stream:
    __slots__ = ("buffer", "lent", "receiver", "unsent", "window")

    def __init__(self, receiver: Receiver, window: int) -> None:
        self.receiver = receiver
        self.buffer = bytearray()  # of a message that is not complete
        self.lent = 0  # of its bytes, how many the server was given back already
        self.window = window  # what the server takes from us
        self.unsent: memoryview | None = None


class Connection(asyncio.Protocol):
    """One connection; `on_lost` is called when it can take no more streams."""

    def __init__(self, authority: str, scheme: str, on_lost: Callable[[Connection], None]) -> None:
        self._head = (authority, scheme)
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._buffer = bytearray()
        self._unwritten: list[bytes] = []
        self._streams: dict[int, _Stream] = {}
        self._next = 1
        self._window = _FIRST_WINDOW
        self._stream_window = _FIRST_WINDOW
        self._frame_size = _FIRST_FRAME
        self._taken = 0  # received since the connection's window was opened again
        self._decoder = Decoder()
        self._decoder.max_allowed_table_size = 0  # so that equal bytes are equal headers
        self._decoder.header_table_size = 0
        self._known: dict[bytes, dict[str, str]] = {}
        self._blocks: dict[str, bytes] = {}
        self._pending_headers: tuple[int, int, bytearray] | None = None
        self._heard = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._leaving = False

    # -- the transport ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        settings = struct.pack(">HIHI", _TABLE_SIZE, 0, _INITIAL_WINDOW, STREAM_WINDOW)
        self._send(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + _frame(_SETTINGS, 0, 0, settings)
            + _frame(_WINDOW, 0, 0, struct.pack(">I", CONNECTION_WINDOW - _FIRST_WINDOW))
        )
        self._heard = self._loop.time()
        self._timer = self._loop.call_later(KEEPALIVE_SECONDS, self._keep_alive)

    def eof_received(self) -> None:
        self._leave()

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()
        self._leave()
        self._fail_all(RpcError(UNAVAILABLE, f"the connection ended: {error or 'closed by the server'}"))

    def close(self, reason: str = "the channel is closed") -> None:
        self._leave()
        self._fail_all(RpcError(UNAVAILABLE, reason))
        if self._transport is not None:
            self._transport.abort()

    def _leave(self) -> None:
        if not self._leaving:
            self._leaving = True
            self._on_lost(self)

    def _fail_all(self, error: RpcError, above: int = 0) -> None:
        for number in [number for number in self._streams if number > above]:
            self._end(number, error)

    def _keep_alive(self) -> None:
        """An idle connection is left alone; one that owes us something is asked whether it lives."""
        now = self._loop.time()
        silence = now - self._heard
        if self._streams and silence >= KEEPALIVE_SECONDS + KEEPALIVE_TIMEOUT_SECONDS:
            self.close("the server does not answer")
            return
        wait = KEEPALIVE_SECONDS
        if self._streams and silence >= KEEPALIVE_SECONDS:
            self._send(_frame(_PING, 0, 0, b"\0" * 8))
            wait = KEEPALIVE_TIMEOUT_SECONDS
        self._timer = self._loop.call_later(wait, self._keep_alive)

    # -- sending ----------------------------------------------------------------------------------------------------

    def _send(self, data: bytes) -> None:
        """What is sent in one turn of the loop leaves in one piece: one system call, one TLS record."""
        if not self._unwritten:
            self._loop.call_soon(self._flush)
        self._unwritten.append(data)

    def _flush(self) -> None:
        pieces, self._unwritten = self._unwritten, []
        if not self._transport.is_closing():
            self._transport.write(b"".join(pieces))

    def open(self, path: str, message: bytes, receiver: Receiver, *, more: bool = False) -> int:
        """Begin a call; the stream's number.  `more`: the client's side stays open."""
        number, self._next = self._next, self._next + 2
        if self._next > _LAST_STREAM:
            self._leave()
        if not self._streams:
            self._heard = self._loop.time()  # silence counts from the first question
        stream = self._streams[number] = _Stream(receiver, self._stream_window)
        head = _frame(_HEADERS, _END_HEADERS, number, self._block(path))
        data = b"\0" + struct.pack(">I", len(message)) + message
        if len(data) <= min(self._window, stream.window, self._frame_size):
            self._window -= len(data)
            stream.window -= len(data)
            self._send(head + _frame(_DATA, 0 if more else _END_STREAM, number, data))
        else:
            assert not more, "the first message of a stream is small"
            self._send(head)
            stream.unsent = memoryview(data)
            self._send_more(number, stream)
        return number

    def _block(self, path: str) -> bytes:
        """The request's headers, as literals that enter no table."""
        block = self._blocks.get(path)
        if block is None:
            authority, scheme = self._head
            block = self._blocks[path] = b"".join(
                [
                    b"\x83" + (b"\x87" if scheme == "https" else b"\x86"),
                    b"\x04" + _text(path) + b"\x01" + _text(authority),
                    b"\x0f\x10" + _text("application/grpc") + b"\x00" + _text("te") + _text("trailers"),
                ]
            )
        return block

    def _send_more(self, number: int, stream: _Stream) -> None:
        """As much of what waits as the windows take."""
        while stream.unsent is not None:
            size = min(len(stream.unsent), self._frame_size, self._window, stream.window)
            if size <= 0:
                return
            piece, rest = stream.unsent[:size], stream.unsent[size:]
            self._window -= size
            stream.window -= size
            self._send(_frame(_DATA, 0 if rest else _END_STREAM, number, piece))
            stream.unsent = rest or None

    def allow(self, number: int, size: int) -> None:
        """The receiver has room for `size` more bytes."""
        if size and number in self._streams and not self._transport.is_closing():
            self._send(_frame(_WINDOW, 0, number, struct.pack(">I", size)))

    def cancel(self, number: int) -> None:
        """Forget the stream; its receiver is told nothing more."""
        if self._streams.pop(number, None) is not None and not self._transport.is_closing():
            self._send(_frame(_RST, 0, number, _CANCEL))

    # -- receiving --------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        buffer = self._buffer
        buffer += data
        place, end = 0, len(buffer)
        try:
            while end - place >= 9:
                size = int.from_bytes(buffer[place : place + 3])
                if end - place - 9 < size:
                    break
                kind, flags = buffer[place + 3], buffer[place + 4]
                number = int.from_bytes(buffer[place + 5 : place + 9]) & _LAST_STREAM
                self._frame_received(kind, flags, number, bytes(buffer[place + 9 : place + 9 + size]))
                place += 9 + size
        except (ValueError, IndexError, struct.error, HPACKError) as error:
            self.close(f"the server speaks no HTTP/2: {error!r}")
        finally:
            del buffer[:place]

    def _frame_received(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == _DATA:
            self._data(flags, number, payload)
        elif kind in (_HEADERS, _CONTINUATION):
            self._header_piece(kind, flags, number, payload)
        elif kind == _WINDOW:
            self._window_opened(number, int.from_bytes(payload) & _LAST_STREAM)
        elif kind == _SETTINGS and not flags & _ACK:
            self._settings(payload)
            self._send(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._send(_frame(_PING, _ACK, 0, payload))
        elif kind == _RST:
            self._end(number, RpcError(UNAVAILABLE, f"the server reset the stream: {int.from_bytes(payload)}"))
        elif kind == _GOAWAY:
            self._leave()
            last = int.from_bytes(payload[:4]) & _LAST_STREAM
            self._fail_all(RpcError(UNAVAILABLE, f"the server goes away: {payload[8:].decode(errors='replace')}"), last)

    def _data(self, flags: int, number: int, payload: bytes) -> None:
        self._taken += len(payload)
        if self._taken > CONNECTION_WINDOW // 4:
            self._send(_frame(_WINDOW, 0, 0, struct.pack(">I", self._taken)))
            self._taken = 0
        stream = self._streams.get(number)
        if stream is None:
            return  # we have cancelled it
        if flags & _PADDED:
            payload = payload[1 : len(payload) - payload[0]]
        buffer = stream.buffer
        buffer += payload
        place = 0
        while len(buffer) - place >= 5:
            size = int.from_bytes(buffer[place + 1 : place + 5])
            if len(buffer) - place - 5 < size:
                break
            if buffer[place]:
                raise ValueError("a compressed message")
            room, stream.lent = size + 5 - stream.lent, 0
            stream.receiver.received(bytes(buffer[place + 5 : place + 5 + size]), room)
            place += 5 + size
        del buffer[:place]
        if len(buffer) - stream.lent > STREAM_WINDOW // 2:  # a message longer than the window must come to its end
            lend, stream.lent = len(buffer) - stream.lent, len(buffer)
            self.allow(number, lend)
        if flags & _END_STREAM:
            self._end(number, RpcError(INTERNAL, "the server ended the stream without a status"))

    def _header_piece(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == _HEADERS:
            if flags & _PADDED:
                payload = payload[1 : len(payload) - payload[0]]
            if flags & _PRIORITY:
                payload = payload[5:]
            self._pending_headers = (number, flags, bytearray(payload))
        elif self._pending_headers is not None:
            self._pending_headers[2].extend(payload)
        if flags & _END_HEADERS and self._pending_headers is not None:
            number, first_flags, block = self._pending_headers
            self._pending_headers = None
            headers = self._headers(bytes(block))
            if first_flags & _END_STREAM:
                self._end(number, _status(headers))

    def _headers(self, block: bytes) -> dict[str, str]:
        found = self._known.get(block)
        if found is None:
            found = {_str(name): _str(value) for name, value in self._decoder.decode(block)}
            if len(self._known) >= _HEADERS_KNOWN:
                self._known.clear()
            self._known[block] = found
        return found

    def _settings(self, payload: bytes) -> None:
        for name, value in struct.iter_unpack(">HI", payload):
            if name == _INITIAL_WINDOW:
                change, self._stream_window = value - self._stream_window, value
                for number, stream in list(self._streams.items()):
                    stream.window += change
                    self._send_more(number, stream)
            elif name == _MAX_FRAME:
                self._frame_size = value

    def _window_opened(self, number: int, size: int) -> None:
        if number:
            stream = self._streams.get(number)
            if stream is not None:
                stream.window += size
                self._send_more(number, stream)
            return
        self._window += size
        for each, stream in list(self._streams.items()):
            self._send_more(each, stream)

    def _end(self, number: int, error: RpcError | None) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None:
            stream.receiver.ended(error)


def _frame(kind: int, flags: int, number: int, payload: bytes | memoryview) -> bytes:
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, number) + payload


def _text(text: str) -> bytes:
    """A literal of HPACK, shorter than 127 bytes."""
    return bytes([len(text)]) + text.encode()


def _str(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")


def _status(headers: dict[str, str]) -> RpcError | None:
    status = headers.get("grpc-status", "")
    if status == "0":
        return None
    if not status.isdecimal():
        return RpcError(UNAVAILABLE, f"no gRPC server answers: HTTP {headers.get(':status', '')}")
    return RpcError(int(status), unquote(headers.get("grpc-message", "")))
