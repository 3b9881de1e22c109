"""Streams a container's log, following it while the container runs, across rotation of the file.

The log is all that is kept of it: the rotated files, oldest first, then the one that is written.

No polling: a follower sleeps on inotify of the log's directory and on the container's exit.  Memory is bounded by
one block.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from nodeagent.runtime.logrotation import rotated
from nodeagent.runtime.syscalls import IN_MOVED_TO, inotify_add_watch, inotify_init
from nodeagent.server.logfile import MAX_LINE_BYTES, LogOptions, Renderer, open_log, tail_position
from nodeagent.server.logparts import BLOCK_BYTES, Part, blocks, earlier_parts, successor
from tiphys.logs import fields

_log = logging.getLogger(__name__)

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
    """Chunks of rendered log, from the oldest file that is kept.  `on_exit(event)` has the event set when the container
    ends, and returns the undo.

    Raises FileNotFoundError before the first chunk when there is no log."""
    open_files = [_open_newest(path)]
    watch = DirectoryWatch(path.parent) if options.follow else None
    undo = on_exit(watch.changed) if watch is not None else None
    try:
        reader = _Reader(Renderer(options))
        offset, missing = tail_position(open_files[0], options.tail_lines)
        for part in await asyncio.to_thread(earlier_parts, path, options.since, missing):
            async for chunk in reader.rotated(part):
                yield chunk
        while not reader.done:
            last = watch is None or not running()  # asked before reading, so nothing written before the end is missed
            async for chunk in reader.written(open_files[0], offset):
                yield chunk
            following = successor(path, open_files[0])
            if following is not None:
                open_files.append(following)
                async for chunk in reader.written(open_files[0], reader.offset):  # written while we looked
                    yield chunk
                os.close(open_files.pop(0))
                offset = 0
                continue
            offset = reader.offset
            if last or watch is None:
                return
            await watch.changed.wait()
            watch.changed.clear()
    finally:
        for descriptor in open_files:
            os.close(descriptor)
        if watch is not None:
            watch.close()
        if undo is not None:
            undo()


class _Reader:
    """Turns bytes of log files into what the client gets; a line may be cut anywhere between two reads."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer, self._rest = renderer, b""
        self.offset = 0

    @property
    def done(self) -> bool:
        return self._renderer.done

    async def rotated(self, part: Part) -> AsyncGenerator[bytes, None]:
        """Of a file that is not written any more; one that has gone meanwhile is passed over."""
        try:
            for block in blocks(part):
                if chunk := self._feed(block):
                    yield chunk
                if self.done:
                    return
                await asyncio.sleep(0)
        except OSError as error:
            _log.info("a rotated log cannot be read", extra=fields(file=part.file.name, cause=error))
        self._rest = b""

    async def written(self, descriptor: int, offset: int) -> AsyncGenerator[bytes, None]:
        """All there is from `offset`; `self.offset` is where it ended."""
        if offset == 0:
            self._rest = b""
        self.offset = offset
        while not self.done and (data := os.pread(descriptor, BLOCK_BYTES, self.offset)):
            self.offset += len(data)
            if chunk := self._feed(data):
                yield chunk
            await asyncio.sleep(0)

    def _feed(self, data: bytes) -> bytes:
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > MAX_LINE_BYTES:
            self._rest = b""  # not a line of ours: conmon writes shorter ones
        return b"".join(map(self._renderer.render, lines))


def _open_newest(path: Path) -> int:
    """Of the log; in the moment between its renaming and the new file, of the renamed one."""
    try:
        return open_log(path)
    except FileNotFoundError:
        old = rotated(path)
        if not old or old[-1].suffix == ".gz":
            raise
        return open_log(old[-1])
