"""The unpacking child: a compressed layer on standard input, an empty directory as descriptor, a JSON line as answer.

Runs as a program of its own (`python -I -c ...`, see layers) and imports only what it needs.  What must stay true: it
is confined before it looks at the first byte; memory stays bounded whatever the compressor claims; the answer's
diff_id is the digest of everything that was decompressed."""

from __future__ import annotations

import ctypes  # noqa: F401 - loaded before the chroot
import hashlib
import json
import os
import queue
import sys
import threading
import zlib
from collections.abc import Iterator
from typing import Any

from isal import igzip_lib, isal_zlib

from nodeagent.images.confine import confine, die_with_parent
from nodeagent.images.extract import Extractor, Limits, RefusedEntryError
from nodeagent.images.tarstream import Source, TarError

_READ = 1 << 18
_PIECE = 1 << 20
_QUEUED = 4
_FREE_BYTES = 256 << 20  # the ratio is not looked at before that
_ZSTD_WINDOW_LOG = 27
_GZIP_ERRORS: Any = (igzip_lib.IsalError, zlib.error)


class LayerError(ValueError):
    """The stream is damaged or breaks a limit."""


def decompressed(read: Any, *, ratio: int, total_bytes: int) -> Iterator[bytes]:
    """Pieces of at most 1 MiB of what `read(n)` yields compressed: gzip, zstd or plain, told by the first bytes."""
    seen = made = 0
    first = read(_READ)
    for taken, piece in _pieces(first, read):
        seen += taken
        made += len(piece)
        if made > total_bytes:
            raise LayerError(f"layer is larger than {total_bytes} bytes")
        if made > _FREE_BYTES and made > ratio * max(seen, 1):
            raise LayerError(f"layer expands more than {ratio} times")
        if piece:
            yield piece


def _pieces(first: bytes, read: Any) -> Iterator[tuple[int, bytes]]:
    """(compressed bytes taken, decompressed piece)."""
    if first[:2] == b"\x1f\x8b":
        return _gzip(first, read)
    if first[:4] == b"\x28\xb5\x2f\xfd" or (first[1:4] == b"\x2a\x4d\x18" and first[:1] >= b"\x50"):
        return _zstd(first, read)
    if first[:3] == b"BZh" or first[:6] == b"\xfd7zXZ\x00":
        raise LayerError("unsupported compression")
    return _plain(first, read)


def _plain(first: bytes, read: Any) -> Iterator[tuple[int, bytes]]:
    data = first
    while data:
        yield len(data), data
        data = read(_READ)


def _gzip(first: bytes, read: Any) -> Iterator[tuple[int, bytes]]:
    """Members one after another."""
    data = first
    taken = len(first)
    while data:
        if data[:2] != b"\x1f\x8b"[: len(data)]:
            raise LayerError("gzip: invalid header")
        inflate = isal_zlib.decompressobj(wbits=31)
        try:
            while not inflate.eof:
                piece = inflate.decompress(data, _PIECE)
                yield taken, piece
                taken = 0
                data = inflate.unconsumed_tail
                if not data and not inflate.eof and len(piece) < _PIECE:
                    data = read(_READ)
                    taken = len(data)
                    if not data:
                        raise LayerError("unexpected EOF")
        except _GZIP_ERRORS as problem:
            raise LayerError(f"gzip: {problem}") from None
        data = inflate.unused_data or read(_READ)
        taken = 0 if inflate.unused_data else len(data)


def _zstd(first: bytes, read: Any) -> Iterator[tuple[int, bytes]]:
    from backports import zstd

    data = first
    taken = len(first)
    while data:
        inflate = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})
        try:
            while not inflate.eof:
                if not data and inflate.needs_input:
                    data = read(_READ)
                    taken = len(data)
                    if not data:
                        raise LayerError("unexpected EOF")
                piece = inflate.decompress(data, _PIECE)
                yield taken, piece
                data, taken = b"", 0
        except zstd.ZstdError as problem:
            raise LayerError(f"zstd: {problem}") from None
        data = inflate.unused_data or read(_READ)
        taken = 0 if inflate.unused_data else len(data)


class _Pipeline:
    """Decompresses and hashes in a thread, so that it goes on while files are written."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.hash = hashlib.sha256()
        self.size = 0
        self._pieces = pieces
        self._queue: queue.Queue[bytes | BaseException | None] = queue.Queue(_QUEUED)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            for piece in self._pieces:
                self.hash.update(piece)
                self.size += len(piece)
                self._queue.put(piece)
            self._queue.put(None)
        except BaseException as error:
            self._queue.put(error)

    def __iter__(self) -> Iterator[bytes]:
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item


def unpack(blob_fd: int, root_fd: int, request: dict[str, int]) -> dict[str, Any]:
    """Extract; returns {"diff_id", "size", "entries", "implied"} or {"error", "fault": "layer"|"node"}."""
    try:
        pieces = decompressed(
            lambda count: os.read(blob_fd, count), ratio=request["ratio"], total_bytes=request["total_bytes"]
        )
        pipeline = _Pipeline(pieces)
        source = Source(iter(pipeline))
        extractor = Extractor(root_fd, Limits(entries=request["entries"]))
        extractor.run(source)
        source.drain()
        return {
            "diff_id": f"sha256:{pipeline.hash.hexdigest()}",
            "size": pipeline.size,
            "entries": extractor.count,
            "implied": [os.fsdecode(path) for path in extractor.implied],
        }
    except (RefusedEntryError, TarError, LayerError, MemoryError) as error:
        return {"error": str(error) or type(error).__name__, "fault": "layer"}
    except OSError as error:
        return {"error": (error.strerror or str(error)).lower(), "fault": "node"}


def main(argv: list[str]) -> int:
    """argv: descriptor of the directory, process id of the agent, the limits as JSON."""
    root_fd, parent_pid, request = int(argv[0]), int(argv[1]), json.loads(argv[2])
    die_with_parent(parent_pid)
    "warm".encode("utf-8", "surrogateescape").decode("ascii", "backslashreplace")
    if request["zstd"]:
        import backports.zstd  # noqa: F401 - before the chroot
    sys.setswitchinterval(0.001)
    os.umask(0)
    confine(
        root_fd,
        memory_bytes=request["memory_bytes"],
        file_bytes=request["total_bytes"],
        cpu_seconds=request["cpu_seconds"],
    )
    answer = unpack(0, root_fd, request)
    os.write(1, json.dumps(answer).encode() + b"\n")
    return 0
