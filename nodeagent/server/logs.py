"""Streams a container's log, following it while the container runs, across rotation of the file.

No polling: a follower sleeps on inotify of the log's directory and on the container's exit.  Memory is bounded by
one block.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from nodeagent.runtime.syscalls import IN_MOVED_TO, inotify_add_watch, inotify_init
from nodeagent.server.logfile import MAX_LINE_BYTES, LogOptions, Renderer, open_log, tail_offset

_BLOCK_BYTES = 64 * 1024
_IN_MODIFY, _IN_CREATE = 0x2, 0x100


class DirectoryWatch:
    """Sets `changed` when something in the directory is written, made or renamed."""

    def __init__(self, directory: Path) -> None:
        self.changed = asyncio.Event()
        self._fd = inotify_init()
        inotify_add_watch(self._fd, str(directory), _IN_MODIFY | _IN_CREATE | IN_MOVED_TO)
        asyncio.get_running_loop().add_reader(self._fd, self._ready)

    def _ready(self) -> None:
        try:
            while os.read(self._fd, 65536):
                pass
        except BlockingIOError:
            pass
        self.changed.set()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)


async def stream_log(
    path: Path, options: LogOptions, running: Callable[[], bool], on_exit: Callable[[asyncio.Event], Callable[[], None]]
) -> AsyncGenerator[bytes, None]:
    """Chunks of rendered log.  `on_exit(event)` has the event set when the container ends, and returns the undo.

    Raises FileNotFoundError before the first chunk when there is no log."""
    descriptor = open_log(path)
    watch = DirectoryWatch(path.parent) if options.follow else None
    undo = on_exit(watch.changed) if watch is not None else None
    try:
        renderer = Renderer(options)
        offset = 0 if options.tail_lines is None else tail_offset(descriptor, options.tail_lines)
        rest = b""
        while True:
            last = watch is None or not running()  # asked before reading, so nothing written before the end is missed
            while data := os.pread(descriptor, _BLOCK_BYTES, offset):
                offset += len(data)
                lines = (rest + data).split(b"\n")
                rest = lines.pop()
                if len(rest) > MAX_LINE_BYTES:
                    rest = b""  # not a line of ours: conmon writes shorter ones
                if chunk := b"".join(map(renderer.render, lines)):
                    yield chunk
                if renderer.done:
                    return
                await asyncio.sleep(0)
            fresh = _rotated(path, descriptor)
            if fresh is not None:
                os.close(descriptor)
                descriptor, offset, rest = fresh, 0, b""
            elif last or watch is None:
                return
            else:
                await watch.changed.wait()
                watch.changed.clear()
    finally:
        os.close(descriptor)
        if watch is not None:
            watch.close()
        if undo is not None:
            undo()


def _rotated(path: Path, descriptor: int) -> int | None:
    """A descriptor of the new file if `path` is another file than the one open."""
    try:
        info, mine = os.lstat(path), os.fstat(descriptor)
    except FileNotFoundError:
        return None
    return open_log(path) if (info.st_ino, info.st_dev) != (mine.st_ino, mine.st_dev) else None
