"""SPDY/3.1 framing, as much of it as port-forward speaks: bytes in, frames out, and the frames that we send.

No I/O here.  What must stay true: the size of every control frame and of every inflated header block is bounded before
memory is spent on it, and data frames are passed on piece by piece; anything else is a SpdyError, after which the
connection cannot go on (the header compression has one state for all streams).

Flow control windows are neither kept nor announced: the clients that speak this protocol (client-go's) do not know
them.  Slowness travels through the WebSocket and TCP.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FLAG_FIN, FLAG_UNIDIRECTIONAL = 1, 2
PROTOCOL_ERROR, INVALID_STREAM, REFUSED_STREAM, CANCEL, INTERNAL_ERROR = 1, 2, 3, 5, 6
CONTROL_LIMIT_BYTES = 16 << 10
HEADERS_LIMIT_BYTES = 64 << 10
HEADERS_LIMIT = 100
_VERSION = 3
_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status"
)
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative "
    "Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 "
    "Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec "
    "00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    "application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8"
    "charset=iso-8859-1,utf-,*,enq=0."
)


def _dictionary() -> bytes:
    """The words that both sides' compression knows from the start."""
    words = [*_WORDS.split(), "200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin"]
    return b"".join(struct.pack(">I", len(word)) + word.encode() for word in words) + _TAIL.encode()


DICTIONARY = _dictionary()


class SpdyError(Exception):
    """The other side does not speak SPDY/3.1, or too much of it."""


@dataclass(frozen=True, slots=True)
class SynStream:
    stream_id: int
    headers: Mapping[str, str]  # names in lower case
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Data:
    """A piece of a stream; `fin` comes with the last one."""

    stream_id: int
    data: bytes
    fin: bool = False


@dataclass(frozen=True, slots=True)
class RstStream:
    stream_id: int
    status: int


@dataclass(frozen=True, slots=True)
class Ping:
    ping_id: int


@dataclass(frozen=True, slots=True)
class GoAway:
    last_stream_id: int


Frame = SynStream | Data | RstStream | Ping | GoAway


class Decoder:
    """`feed` bytes in any pieces, get frames.  Frames that port-forward has no use for are read and dropped."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._data: tuple[int, int, bool] | None = None  # stream, bytes still to come, fin

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Raises SpdyError; consume it whole before feeding more."""
        self._buffer += data
        while True:
            if self._data is not None:
                frame = self._piece()
                if frame is None:
                    return
                yield frame
                continue
            if len(self._buffer) < 8:
                return
            first, second = struct.unpack_from(">II", self._buffer)
            length, flags = second & 0xFFFFFF, second >> 24
            if not first >> 31:
                self._start_data(first, length, flags)
                continue
            if length > CONTROL_LIMIT_BYTES:
                raise SpdyError(f"control frame of {length} bytes")
            if len(self._buffer) < 8 + length:
                return
            body = bytes(self._buffer[8 : 8 + length])
            del self._buffer[: 8 + length]
            if first >> 16 & 0x7FFF != _VERSION:
                raise SpdyError(f"version {first >> 16 & 0x7FFF}")
            control = self._control(first & 0xFFFF, flags, body)
            if control is not None:
                yield control

    def _start_data(self, stream_id: int, length: int, flags: int) -> None:
        if stream_id == 0:
            raise SpdyError("data without a stream")
        del self._buffer[:8]
        self._data = (stream_id, length, bool(flags & FLAG_FIN))

    def _piece(self) -> Data | None:
        """What there is of the data frame under way; None when more must arrive first."""
        assert self._data is not None
        stream_id, left, fin = self._data
        if left and not self._buffer:
            return None
        piece = bytes(self._buffer[:left])
        del self._buffer[: len(piece)]
        left -= len(piece)
        self._data = (stream_id, left, fin) if left else None
        return Data(stream_id, piece, fin and not left)

    def _control(self, kind: int, flags: int, body: bytes) -> Frame | None:
        try:
            if kind == SYN_STREAM:
                (stream_id,) = struct.unpack_from(">I", body)
                return SynStream(stream_id & 0x7FFFFFFF, self._headers(body[10:]), bool(flags & FLAG_FIN))
            if kind in (SYN_REPLY, HEADERS):
                self._headers(body[4:])  # the compression's state goes on with them
                return None
            if kind == RST_STREAM:
                stream_id, status = struct.unpack(">II", body)
                return RstStream(stream_id & 0x7FFFFFFF, status)
            if kind == PING:
                return Ping(struct.unpack(">I", body)[0])
            if kind == GOAWAY:
                return GoAway(struct.unpack_from(">I", body)[0] & 0x7FFFFFFF)
        except struct.error as error:
            raise SpdyError(f"frame of type {kind}: {error}") from None
        return None  # SETTINGS, WINDOW_UPDATE, and what we do not know

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            raw = self._inflate.decompress(block, HEADERS_LIMIT_BYTES)
        except zlib.error as error:
            raise SpdyError(f"header block: {error}") from None
        if self._inflate.unconsumed_tail or self._inflate.eof:
            raise SpdyError("header block is too large")
        return _parse_headers(raw)


def _parse_headers(raw: bytes) -> dict[str, str]:
    position = 0

    def word() -> bytes:
        nonlocal position
        (length,) = struct.unpack_from(">I", raw, position)
        start, position = position + 4, position + 4 + length
        if position > len(raw):
            raise SpdyError("header block is cut off")
        return raw[start:position]

    try:
        (count,) = struct.unpack_from(">I", raw)
        position = 4
        if count > HEADERS_LIMIT:
            raise SpdyError(f"{count} headers")
        pairs = [(word(), word()) for _ in range(count)]
        return {name.decode("ascii").lower(): value.decode("utf-8") for name, value in pairs}
    except (struct.error, UnicodeDecodeError) as error:
        raise SpdyError(f"header block: {error}") from None


class Encoder:
    """The frames that we send."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def syn_stream(self, stream_id: int, headers: Mapping[str, str], *, fin: bool = False) -> bytes:
        body = struct.pack(">IIH", stream_id, 0, 0) + self._headers(headers)
        return _control(SYN_STREAM, FLAG_FIN if fin else 0, body)

    def syn_reply(self, stream_id: int) -> bytes:
        return _control(SYN_REPLY, 0, struct.pack(">I", stream_id) + self._headers({}))

    def rst_stream(self, stream_id: int, status: int) -> bytes:
        return _control(RST_STREAM, 0, struct.pack(">II", stream_id, status))

    def ping(self, ping_id: int) -> bytes:
        return _control(PING, 0, struct.pack(">I", ping_id))

    def goaway(self, last_stream_id: int, status: int = 0) -> bytes:
        return _control(GOAWAY, 0, struct.pack(">II", last_stream_id, status))

    def data(self, stream_id: int, data: bytes, *, fin: bool = False) -> bytes:
        """`data` has less than 16 MiB."""
        return struct.pack(">II", stream_id, (FLAG_FIN if fin else 0) << 24 | len(data)) + data

    def _headers(self, headers: Mapping[str, str]) -> bytes:
        raw = struct.pack(">I", len(headers))
        for name, value in headers.items():
            for word in (name.encode(), value.encode()):
                raw += struct.pack(">I", len(word)) + word
        return self._deflate.compress(raw) + self._deflate.flush(zlib.Z_SYNC_FLUSH)


def _control(kind: int, flags: int, body: bytes) -> bytes:
    return struct.pack(">HHI", 0x8000 | _VERSION, kind, flags << 24 | len(body)) + body
