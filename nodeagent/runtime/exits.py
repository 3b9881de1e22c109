"""Noticing that containers end, without polling: inotify on the directory of exit files, pidfds for conmon.

conmon writes the exit file and then ends itself, so a file always comes first; a conmon that ends without a file was
killed, and then the container's own process is watched instead.
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Callable
from pathlib import Path

from nodeagent.runtime import syscalls

_EVENT = struct.Struct("iIII")


class ExitFiles:
    """Calls `appeared(name)` in the event loop for every file that appears whole in the directory."""

    def __init__(self, directory: Path, appeared: Callable[[str], None]) -> None:
        self._appeared = appeared
        self._fd = syscalls.inotify_init()
        syscalls.inotify_add_watch(
            self._fd, str(directory), syscalls.IN_MOVED_TO | syscalls.IN_CLOSE_WRITE | syscalls.IN_ONLYDIR
        )
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._ready)

    def _ready(self) -> None:
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        offset = 0
        while offset < len(data):
            _, _, _, length = _EVENT.unpack_from(data, offset)
            offset += _EVENT.size
            name = os.fsdecode(data[offset : offset + length].rstrip(b"\0"))
            offset += length
            self._appeared(name)

    def close(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1


class ProcessWatch:
    """A pidfd that calls `ended(exit code if it was our child, else None)` once its process has ended."""

    def __init__(self, pid: int, ended: Callable[[int | None], None]) -> None:
        """Raises ProcessLookupError if there is no such process."""
        self.pid = pid
        self._ended = ended
        self.fd = os.pidfd_open(pid)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.fd, self._ready)

    def _ready(self) -> None:
        self.close()
        self._ended(reap(self.pid))

    def close(self) -> None:
        if self.fd >= 0:
            self._loop.remove_reader(self.fd)
            os.close(self.fd)
            self.fd = -1


def reap(pid: int) -> int | None:
    """Exit code (128 + signal) of an ended child; None if it is not our child or has not ended."""
    try:
        done, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    if done != pid:
        return None
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
