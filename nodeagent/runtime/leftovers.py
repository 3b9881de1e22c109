"""Finding and ending what containers leave behind: conmons, mounts, cgroups, half-deleted directories.

Every function may be called again; absent things are fine.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from nodeagent import safepath
from nodeagent.runtime import syscalls
from nodeagent.runtime.cgroups import Cgroups
from nodeagent.runtime.exits import reap
from nodeagent.runtime.process import wait_exit

_CGROUP_WAIT_SECONDS = 10.0


def is_conmon_of(pid: int, directory: str) -> bool:
    """Whether the process is the conmon of that container directory."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return words[0].endswith(b"conmon") and os.fsencode(directory) in words


def find_conmons(directory: str) -> list[int]:
    """Its conmons by their command line: for when the pid file was never written."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if is_conmon_of(pid, directory)]


async def end_conmon(directory: Path, pid: int, wait_seconds: float) -> None:
    """Let the conmon end by itself for a moment, then kill it."""
    if not directory.exists():
        return
    found = [pid] if pid and is_conmon_of(pid, str(directory)) else [] if pid else find_conmons(str(directory))
    for conmon in found:
        try:
            async with asyncio.timeout(wait_seconds):
                await wait_exit(conmon)
        except TimeoutError:
            os.kill(conmon, signal.SIGKILL)
            await wait_exit(conmon)
        reap(conmon)


async def remove_cgroup(cgroups: Cgroups, path: str) -> bool:
    """Kill what is in it and remove it; False if that fails for ten seconds."""
    for attempt in range(60):
        if cgroups.remove(path):
            return True
        cgroups.kill(path)
        await asyncio.sleep(min(0.002 * 2**attempt, _CGROUP_WAIT_SECONDS / 50))
    return False


def mounts_below(directory: Path) -> list[str]:
    """Mount points at or below it in this mount namespace, deepest last."""
    prefix = str(directory)
    found = []
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        point = os.fsdecode(line.split(b" ", 5)[4].decode("unicode_escape").encode("latin-1"))
        if point == prefix or point.startswith(prefix + "/"):
            found.append(point)
    return found


def unmount_below(directory: Path) -> None:
    for point in reversed(mounts_below(directory)):
        try:
            syscalls.umount(point)
        except FileNotFoundError:
            continue


def empty(trash: Path) -> None:
    for entry in trash.iterdir():
        unmount_below(entry)
        safepath.remove_tree(entry)
