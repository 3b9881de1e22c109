"""Reaping processes that were re-parented to the agent, which is a subreaper.

It matters beyond tidiness: the first process of a PID namespace cannot finish dying while a zombie of its namespace is
unreaped, so one forgotten exec would make its container unkillable.

What must stay true: a child that somebody here started and waits for is never reaped.  An orphan is told from such a
child by its PID namespace (a container's process, reaped at once), or else by being in a session of its own and still a
zombie after some seconds, when every waiter would have been faster.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from pathlib import Path

log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 5.0


class Reaper:
    """Runs on every SIGCHLD of the main thread's loop; elsewhere only when `scan` is called."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._suspects: set[int] = set()
        self._later: asyncio.TimerHandle | None = None
        self._signalled = True
        try:
            self._loop.add_signal_handler(signal.SIGCHLD, self.scan)
        except (ValueError, RuntimeError):
            self._signalled = False
            log.warning("not in the main thread: orphans are reaped late")

    def close(self) -> None:
        if self._signalled:
            self._loop.remove_signal_handler(signal.SIGCHLD)
        if self._later:
            self._later.cancel()

    def scan(self) -> None:
        """Reap the orphans of containers now, and look again at other suspects later."""
        suspects = set()
        for pid in children():
            zombie, nested, own_session = _describe(pid)
            if zombie and nested:
                _reap(pid)
            elif zombie and own_session:
                suspects.add(pid)
        if suspects and self._later is None:
            self._suspects = suspects
            self._later = self._loop.call_later(_PATIENCE_SECONDS, self._second_look)

    def _second_look(self) -> None:
        self._later = None
        for pid in self._suspects & set(children()):
            if _describe(pid)[0]:
                _reap(pid)
        self._suspects = set()
        self.scan()


def children() -> list[int]:
    """Direct children of this process, of all its threads."""
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        try:
            found.extend(map(int, (task / "children").read_text().split()))
        except OSError:
            continue
    return found


def _describe(pid: int) -> tuple[bool, bool, bool]:
    """(is a zombie, lives in a PID namespace below ours, is in another session than ours)."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        return fields["State"].split()[0] == "Z", len(fields["NSpid"].split()) > 1, os.getsid(pid) != os.getsid(0)
    except (OSError, KeyError, ValueError):
        return False, False, False


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
