"""Reading tar as a stream: ustar, pax and GNU long names, from hostile bytes.

What must stay true: nothing is read twice or ahead of what a header promised; numbers are bounded before arithmetic; a
header that is not exactly a header ends the reading with TarError; no path here means anything yet (see extract).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator

BLOCK = 512
REGULAR, HARD_LINK, SYMBOLIC_LINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
_PAX, _PAX_GLOBAL, _GNU_NAME, _GNU_LINK, _GNU_SPARSE = b"x", b"g", b"L", b"K", b"S"
_EXTENSION_BYTES = 1 << 20  # of one pax or long-name record
_MAX_SIZE = 1 << 42
_NUMBER = re.compile(rb"[0-9]{1,18}")
_TIME = re.compile(rb"(-?)([0-9]{1,12})(?:\.([0-9]{0,40}))?")
_ZERO = bytes(BLOCK)
_XATTR = b"SCHILY.xattr."


class TarError(ValueError):
    """Not a tar archive, or one that asks for what no image needs."""


class Source:
    """Bytes in pieces, consumed in order."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._view = memoryview(b"")

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes; fewer only at the end of the stream."""
        view = self._view
        if len(view) >= count:
            self._view = view[count:]
            return bytes(view[:count])
        parts = []
        while count:
            if not self._view and not self._refill():
                break
            part = self._view[:count]
            self._view = self._view[len(part) :]
            parts.append(bytes(part))
            count -= len(part)
        return b"".join(parts)

    def pass_to(self, count: int, sink: Callable[[memoryview], object]) -> None:
        """Give the next `count` bytes to `sink` in pieces.  Raises TarError if there are fewer."""
        while count:
            if not self._view and not self._refill():
                raise TarError("unexpected EOF")
            part = self._view[:count]
            self._view = self._view[len(part) :]
            count -= len(part)
            sink(part)

    def drain(self) -> None:
        """To the end of the stream: the digest covers what follows the archive, too."""
        self._view = memoryview(b"")
        while self._refill():
            pass

    def _refill(self) -> bool:
        piece = next(self._pieces, None)
        while piece is not None and not piece:
            piece = next(self._pieces, None)
        self._view = memoryview(piece or b"")
        return piece is not None


class Entry:
    """One member.  Its content (`size` bytes) must be taken from the Source before the next is read."""

    __slots__ = ("device", "gid", "kind", "link", "mode", "mtime_ns", "name", "size", "uid", "xattrs")

    def __init__(self, name: bytes, kind: bytes) -> None:
        self.name = name
        self.kind = kind
        self.link = b""
        self.mode = self.uid = self.gid = self.size = self.mtime_ns = 0
        self.device = (0, 0)
        self.xattrs: dict[bytes, bytes] = {}


def entries(source: Source) -> Iterator[Entry]:
    """Members in order.  The consumer takes `entry.size` bytes of content; padding is skipped here.  TarError."""
    pax: dict[bytes, bytes] = {}
    long_name = long_link = None
    while True:
        header = source.read(BLOCK)
        if len(header) < BLOCK:
            if header:
                raise TarError("unexpected EOF")
            return  # no end marker: accepted, as by every other reader
        if header == _ZERO:
            if source.read(BLOCK).strip(b"\0"):
                raise TarError("invalid tar header")
            return
        kind = header[156:157]
        size = _check_and_size(header)
        if kind in (_PAX, _PAX_GLOBAL, _GNU_NAME, _GNU_LINK):
            if size > _EXTENSION_BYTES:
                raise TarError(f"extension header of {size} bytes")
            body = source.read(size)
            if len(body) != size or len(source.read(-size % BLOCK)) != -size % BLOCK:
                raise TarError("unexpected EOF")
            if kind == _PAX:
                pax = _pax_records(body)
            elif kind == _GNU_NAME:
                long_name = body.split(b"\0", 1)[0]
            elif kind == _GNU_LINK:
                long_link = body.split(b"\0", 1)[0]
            continue  # a global header sets defaults that no builder relies on
        entry = _entry(header, kind, size)
        if long_name is not None:
            entry.name = long_name
        if long_link is not None:
            entry.link = long_link
        if pax:
            _apply_pax(entry, pax)
        if entry.kind == REGULAR and entry.name.endswith(b"/"):
            entry.kind = DIRECTORY
        if entry.kind != REGULAR:
            entry.size = 0  # whatever the header says, other kinds have no content
        size = entry.size
        yield entry
        if size % BLOCK:
            source.read(-size % BLOCK)
        pax, long_name, long_link = {}, None, None


def _check_and_size(header: bytes) -> int:
    """Verify the checksum; returns the size field."""
    stored = _number(header[148:156])
    actual = sum(header) - sum(header[148:156]) + 256
    if stored != actual:
        signed = actual - 256 * sum(byte > 127 for byte in header[:148] + header[156:])  # some old writers
        if stored != signed:
            raise TarError("invalid tar header")
    size = _number(header[124:136])
    if not 0 <= size <= _MAX_SIZE:
        raise TarError("invalid tar header: size out of range")
    return size


def _entry(header: bytes, kind: bytes, size: int) -> Entry:
    name = header[:100].split(b"\0", 1)[0]
    if header[257:263] == b"ustar\0" and header[345]:
        name = header[345:500].split(b"\0", 1)[0] + b"/" + name
    entry = Entry(name, REGULAR if kind in (b"0", b"\0", b"7") else kind)
    entry.size = size
    entry.mode = _number(header[100:108]) & 0o7777
    entry.uid = _number(header[108:116])
    entry.gid = _number(header[116:124])
    entry.mtime_ns = _number(header[136:148]) * 1_000_000_000
    if kind in b"1234567":
        entry.link = header[157:257].split(b"\0", 1)[0]
        if kind in (CHARACTER, BLOCK_DEVICE):
            entry.device = (_number(header[329:337]), _number(header[337:345]))
    elif kind == _GNU_SPARSE:
        raise TarError("sparse files are not supported")
    elif kind not in (b"0", b"\0"):
        raise TarError(f"unknown entry type {kind!r}")
    return entry


def _number(text: bytes) -> int:
    """Octal, or base 256 where the first bit is set.  Raises TarError."""
    first = text[0]
    if first & 0x80:
        value = int.from_bytes(text[1:], "big")
        if first == 0xFF:
            return value - (1 << 8 * (len(text) - 1))
        return value | (first & 0x7F) << 8 * (len(text) - 1)
    digits = text.strip(b" \0")
    if not digits:
        return 0
    digits = digits.split(b"\0", 1)[0]
    try:
        if digits[0] not in b"01234567":
            raise ValueError
        return int(digits, 8)
    except ValueError:
        raise TarError("invalid tar header: not a number") from None


def _pax_records(body: bytes) -> dict[bytes, bytes]:
    """`<length> <key>=<value>\\n` records; the length counts itself."""
    records: dict[bytes, bytes] = {}
    position = 0
    while position < len(body):
        space = body.find(b" ", position, position + 12)
        length = body[position:space] if space > 0 else b""
        if not _NUMBER.fullmatch(length):
            raise TarError("invalid pax record")
        end = position + int(length)
        record = body[space + 1 : end - 1]
        key, equals, value = record.partition(b"=")
        if end > len(body) or end <= space or body[end - 1] != 0x0A or not equals or not key:
            raise TarError("invalid pax record")
        if key.startswith(b"GNU.sparse"):
            raise TarError("sparse files are not supported")
        records[key] = value
        position = end
    return records


def _apply_pax(entry: Entry, pax: dict[bytes, bytes]) -> None:
    for key, value in pax.items():
        if key == b"path":
            entry.name = value
        elif key == b"linkpath":
            entry.link = value
        elif key in (b"size", b"uid", b"gid"):
            if not _NUMBER.fullmatch(value) or int(value) > _MAX_SIZE:
                raise TarError(f"invalid pax record: {os.fsdecode(key)} {value[:40]!r}")
            setattr(entry, key.decode(), int(value))
        elif key == b"mtime":
            match = _TIME.fullmatch(value)
            if not match:
                raise TarError(f"invalid pax record: mtime {value[:40]!r}")
            nanoseconds = int(match[2]) * 1_000_000_000 + int((match[3] or b"")[:9].ljust(9, b"0"))
            entry.mtime_ns = -nanoseconds if match[1] else nanoseconds
        elif key.startswith(_XATTR):
            entry.xattrs[key.removeprefix(_XATTR)] = value
    if b"\0" in entry.name or b"\0" in entry.link:
        raise TarError("NUL in name")
