"""How much the emptyDir volumes with a limit take on disk, and the end of the pods that take too much.

There are no project quotas to rely on, so the directories are looked through; only those with a limit, one after the
other, and only while there are any.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nodeagent.safepath import DIR_FLAGS, opened, walk
from tiphys.logs import fields

_log = logging.getLogger(__name__)

SCAN_SECONDS = 10.0  # upstream's interval of looking
_BLOCK_BYTES = 512


@dataclass(frozen=True)
class LimitedVolume:
    """`limit` as the pod wrote it, for the message."""

    pod_uid: str
    name: str
    path: Path
    limit_bytes: int
    limit: str

    def message(self) -> str:
        return f'Usage of EmptyDir volume "{self.name}" exceeds the limit "{self.limit}". '


def disk_usage(path: Path, enough_bytes: int = 0) -> int:
    """Bytes allocated at and below `path`; see `tree_usage`."""
    return tree_usage(path, enough_bytes)[0]


def tree_usage(path: Path, enough_bytes: int = 0) -> tuple[int, int]:
    """Bytes allocated and inodes used at and below `path`: each file once, no link followed, no mount entered.

    Stops counting above `enough_bytes` (0: counts everything).  OSError for a tree too deep to be looked through."""
    total = inodes = 0
    seen: set[int] = set()
    with contextlib.suppress(FileNotFoundError), opened(os.open(path, DIR_FLAGS | os.O_NOFOLLOW)) as root:
        device = os.fstat(root).st_dev
        inodes = 1
        for directory in walk(root):
            with os.scandir(directory) as entries:
                for entry in entries:
                    found = _allocated(entry, device, seen)
                    if found is not None:
                        total += found
                        inodes += 1
            if enough_bytes and total > enough_bytes:
                break
    return total, inodes


def _allocated(entry: os.DirEntry[str], device: int, seen: set[int]) -> int | None:
    """None for what is gone, counted already or on another file system."""
    try:
        info = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    if info.st_dev != device or info.st_ino in seen:
        return None
    if info.st_nlink > 1 and not stat.S_ISDIR(info.st_mode):
        seen.add(info.st_ino)
    return info.st_blocks * _BLOCK_BYTES


class EmptyDirLimits:
    """`exceeded(pod_uid, message)` is called once for each pod that takes too much.  Stop it with `close`."""

    def __init__(self, exceeded: Callable[[str, str], None], scan_seconds: float = SCAN_SECONDS) -> None:
        self.exceeded = exceeded
        self._scan_seconds = scan_seconds
        self._volumes: dict[tuple[str, str], LimitedVolume] = {}
        self._task: asyncio.Task[None] | None = None

    def watch(self, volume: LimitedVolume) -> None:
        """Look at it from now on, until `forget`."""
        self._volumes[volume.pod_uid, volume.name] = volume
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="emptyDir limits")

    def forget(self, pod_uid: str) -> None:
        for key in [key for key in self._volumes if key[0] == pod_uid]:
            del self._volumes[key]

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while self._volumes:
            await asyncio.sleep(self._scan_seconds)
            for volume in list(self._volumes.values()):
                try:
                    used = await asyncio.to_thread(disk_usage, volume.path, volume.limit_bytes)
                except OSError as error:
                    _log.warning("volume not measured", extra=fields(path=volume.path, cause=error))
                    if error.errno != errno.ENAMETOOLONG:
                        continue
                    used = volume.limit_bytes + 1  # nested so deep that nobody can look: as good as over the limit
                if used > volume.limit_bytes and (volume.pod_uid, volume.name) in self._volumes:
                    self.forget(volume.pod_uid)
                    self.exceeded(volume.pod_uid, volume.message())
