"""Rotation of container logs: what the kubelet's containerLogMaxSize and containerLogMaxFiles do.

    0.log  0.log.20260102-150405  0.log.20260102-140405.gz ...

One timer for all containers looks at the size of their logs.  A log that is too long is renamed and conmon told to
open a new one; the file rotated before that is compressed (readers may still be in the newest), the oldest are removed.

What must stay true: no line is lost, since conmon writes to the renamed file until it has the new one; nothing is
followed and nothing is written through a name that exists; a log that cannot be reopened gets its name back.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from isal import igzip

from nodeagent.runtime.interface import ContainerNotFound, ContainerStatus, Runtime, RuntimeFailure
from tiphys.clock import Clock
from tiphys.logs import fields

_log = logging.getLogger(__name__)

CHECK_SECONDS = 10.0
MAX_BYTES = 10 << 20
MAX_FILES = 5
_ROTATED = re.compile(r"\.(\d{8}-\d{6})(\.gz)?")
_TEMPORARY = ".tmp"
_COPY_BYTES = 1 << 20


class Logs(Protocol):
    """What is needed of the runtime."""

    async def list(self, pod_uid: str = "") -> list[ContainerStatus]: ...

    def reopen_log(self, container_id: str) -> None: ...


def rotated(path: Path) -> list[Path]:
    """The files that the log at `path` had before, oldest first; a file that is there twice counts uncompressed."""
    found: dict[str, Path] = {}
    with suppress(FileNotFoundError):
        for entry in sorted(os.scandir(path.parent), key=lambda entry: entry.name, reverse=True):
            if entry.name.startswith(path.name) and (match := _ROTATED.fullmatch(entry.name[len(path.name) :])):
                found[match[1]] = Path(entry.path)
    return [found[stamp] for stamp in sorted(found)]


def remove_logs(path: Path) -> None:
    """The log of a container that is gone, and all that was rotated from it."""
    for file in (path, *rotated(path)):
        file.unlink(missing_ok=True)


async def remove_with_log(runtime: Runtime, container_id: str) -> None:
    """Remove an attempt that nobody will ask about again, and what it wrote."""
    with suppress(ContainerNotFound):
        status = await runtime.status(container_id)
        await runtime.remove(container_id)
        await asyncio.to_thread(remove_logs, status.spec.log_path)


class LogRotator:
    """`run` until cancelled."""

    def __init__(self, runtime: Logs, clock: Clock, *, max_bytes: int = MAX_BYTES, max_files: int = MAX_FILES) -> None:
        """`max_files` counts the file that is written; at least 2."""
        self._runtime, self._clock = runtime, clock
        self._max_bytes, self._max_files = max_bytes, max(max_files, 2)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                await self.check()
            except OSError as error:
                _log.warning("rotating logs failed", extra=fields(cause=error))

    async def check(self) -> list[str]:
        """Rotate what is too long; the ids of the containers whose log was."""
        done = []
        for status in await self._runtime.list():
            if status.state != "running" or _size(status.spec.log_path) < self._max_bytes:
                continue
            try:
                await self.rotate(status.id, status.spec.log_path)
                done.append(status.id)
            except ContainerNotFound:
                continue  # gone meanwhile
            except (OSError, RuntimeFailure) as error:
                _log.warning("rotating a log failed", extra=fields(container=status.id, cause=error))
        return done

    async def rotate(self, container_id: str, path: Path) -> None:
        """Raises RuntimeFailure, OSError; the log then has its name still."""
        old = rotated(path)
        for file in old[: max(0, len(old) - (self._max_files - 2))]:
            file.unlink(missing_ok=True)
        await asyncio.to_thread(_tidy, path, rotated(path))
        target = path.with_name(f"{path.name}.{self._clock.now():%Y%m%d-%H%M%S}")
        if os.path.lexists(target):
            return  # twice in a second: next time
        path.rename(target)
        try:
            self._runtime.reopen_log(container_id)
        except BaseException:
            target.rename(path)
            raise


def _size(path: Path) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def _tidy(path: Path, files: Iterable[Path]) -> None:
    """Compress what is not, and remove what an earlier attempt left half done."""
    for entry in path.parent.glob(f"{path.name}.*{_TEMPORARY}"):
        entry.unlink(missing_ok=True)
    for file in files:
        if not stat.S_ISREG(os.lstat(file).st_mode):
            file.unlink()  # planted: not ours, and it would keep the log from being rotated
        elif file.suffix != ".gz":
            _compress(file)


def _compress(file: Path) -> None:
    temporary, final = file.with_name(file.name + _TEMPORARY), file.with_name(file.name + ".gz")
    source = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(source, "rb") as plain:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with (
            os.fdopen(os.open(temporary, flags, 0o640), "wb") as raw,
            igzip.IGzipFile(fileobj=raw, mode="wb") as packed,
        ):
            shutil.copyfileobj(plain, packed, _COPY_BYTES)
        info = os.fstat(plain.fileno())
    os.utime(temporary, ns=(info.st_atime_ns, info.st_mtime_ns))  # readers tell by it what is old
    temporary.rename(final)
    file.unlink()
