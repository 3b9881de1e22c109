"""The files that a log had before it was rotated: what of them a client is to get, and reading them, compressed or not.

What must stay true: a link is never followed; memory is bounded by one block, whatever a compressed file says.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, cast

from nodeagent.runtime.logrotation import rotated
from nodeagent.server.logfile import open_log

BLOCK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Part:
    """A file that was rotated, without its first `skip_lines` lines."""

    file: Path
    skip_lines: int = 0


def earlier_parts(path: Path, since: datetime | None, lines: int | None) -> list[Part]:
    """What comes before the file that is written now, oldest first: what may hold entries from `since` on, or the last
    `lines` lines; None is everything."""
    parts: list[Part] = []
    for file in reversed(rotated(path)):
        if lines is not None and lines <= 0:
            break
        try:
            if since is not None and datetime.fromtimestamp(os.lstat(file).st_mtime, UTC) < since:
                break
            skip = 0
            if lines is not None:
                count = sum(block.count(b"\n") for block in blocks(Part(file)))
                skip, lines = max(0, count - lines), lines - count
        except OSError:
            continue  # removed or compressed meanwhile: a reader of so old a log may miss it
        parts.insert(0, Part(file, skip))
    return parts


def blocks(part: Part) -> Iterator[bytes]:
    """Its bytes.  Raises FileNotFoundError when it is gone, OSError for a link and for what is no gzip."""
    file = part.file
    try:
        descriptor = open_log(file)
    except FileNotFoundError:
        if file.suffix == ".gz":
            raise
        file = file.with_name(file.name + ".gz")  # compressed since it was listed
        descriptor = open_log(file)
    with os.fdopen(descriptor, "rb") as raw:
        source = cast("IO[bytes]", gzip.GzipFile(fileobj=raw) if file.suffix == ".gz" else raw)
        left = part.skip_lines
        try:
            while block := source.read(BLOCK_BYTES):
                while left and block:
                    _, newline, block = block.partition(b"\n")
                    left -= bool(newline)
                if block:
                    yield block
        except EOFError as error:
            raise OSError(str(error)) from error


def successor(path: Path, descriptor: int) -> int | None:
    """A descriptor of the file that follows the open one, None while that is the newest (or the new one is not there).

    Normally `path` itself; after two rotations the one between, so that a slow reader misses nothing."""
    mine = os.fstat(descriptor)
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return None
    if (info.st_ino, info.st_dev) == (mine.st_ino, mine.st_dev):
        return None
    plain = [file for file in rotated(path) if file.suffix != ".gz"]
    passed = False
    for file in plain:
        with suppress(OSError):
            found = os.lstat(file)
            if passed or (found.st_ino != mine.st_ino and found.st_mtime_ns > mine.st_mtime_ns):
                return open_log(file)
            passed = found.st_ino == mine.st_ino
    return open_log(path)
