"""Log files in the CRI format, as conmon writes them: `TIME STREAM F|P TEXT`, one entry per line.

Pure parsing, and reading from the end of a file.  P marks a piece of a longer line; a line that is not of this
format is skipped.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tiphys.api.times import TimeError, parse_time

_BLOCK_BYTES = 64 * 1024
MAX_LINE_BYTES = 128 * 1024


@dataclass(frozen=True)
class Entry:
    """`time` as written, UTC as Z; `whole` is False for a piece that goes on in the next entry of its stream."""

    time: str
    stream: str
    whole: bool
    text: bytes


def parse_entry(line: bytes) -> Entry | None:
    """One line of the file without its newline; None when it is not an entry."""
    parts = line.split(b" ", 3)
    if len(parts) != 4 or parts[1] not in (b"stdout", b"stderr") or parts[2][:1] not in (b"F", b"P"):
        return None
    time = parts[0].decode("ascii", "replace").replace("+00:00", "Z")  # conmon spells UTC as an offset
    return Entry(time, parts[1].decode(), parts[2][:1] == b"F", parts[3])


@dataclass(frozen=True)
class LogOptions:
    """PodLogOptions.  `tail_lines` and `limit_bytes` None = all; `since` None = from the beginning."""

    follow: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since: datetime | None = None
    stream: str = "All"


class Renderer:
    """Turns lines of the file into the bytes a client gets; remembers open partial lines and the byte limit."""

    def __init__(self, options: LogOptions) -> None:
        self._options = options
        self._left = options.limit_bytes
        self._open = False
        self._skipping = options.since is not None

    @property
    def done(self) -> bool:
        """The byte limit is reached."""
        return self._left == 0

    def render(self, line: bytes) -> bytes:
        """The bytes for one line of the file; b"" for what is filtered out."""
        entry = parse_entry(line)
        if entry is None or not self._wanted(entry):
            return b""
        out = entry.text
        if self._options.timestamps and not self._open:
            out = entry.time.encode() + b" " + out
        self._open = not entry.whole
        if entry.whole:
            out += b"\n"
        if self._left is not None:
            out = out[: self._left]
            self._left -= len(out)
        return out

    def _wanted(self, entry: Entry) -> bool:
        if self._options.stream not in ("", "All") and entry.stream != self._options.stream.lower():
            return False
        if self._skipping and self._options.since is not None:
            try:
                if parse_time(entry.time) < self._options.since:
                    return False
            except TimeError:
                return False
            self._skipping = False  # entries are in order of time
        return True


def open_log(path: Path) -> int:
    """A descriptor for reading a log file, not through a link.  Raises FileNotFoundError, OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return descriptor


def tail_position(descriptor: int, lines: int | None) -> tuple[int, int | None]:
    """(the offset at which the last `lines` lines begin, how many lines are missing to that number); None is all."""
    if lines is None:
        return 0, None
    size = os.fstat(descriptor).st_size
    if lines <= 0:
        return size, 0
    position, seen = size, 0
    while position > 0:
        start = max(0, position - _BLOCK_BYTES)
        block = os.pread(descriptor, position - start, start)
        end = len(block)
        while (found := block.rfind(b"\n", 0, end)) >= 0:
            if start + found + 1 < size:  # the newline that ends the file begins no line
                seen += 1
                if seen == lines:
                    return start + found + 1, 0
            end = found
        position = start
    return 0, lines - seen - (size > 0)


def last_lines(path: Path, lines: int, limit_bytes: int) -> bytes:
    """The text of the last `lines` entries, at most the last `limit_bytes` bytes; b"" when there is no log."""
    try:
        descriptor = open_log(path)
    except OSError:
        return b""
    try:
        offset = max(tail_position(descriptor, lines)[0], os.fstat(descriptor).st_size - limit_bytes * 64)
        data = os.pread(descriptor, limit_bytes * 64, offset)
    finally:
        os.close(descriptor)
    renderer = Renderer(LogOptions())
    return b"".join(renderer.render(line) for line in data.split(b"\n") if line)[-limit_bytes:]
