"""One container as the runtime holds it in memory: its record on disk, its process, its end.

What must stay true: a state only moves forward; `exited` is set after exit.json is written.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from nodeagent.runtime.exits import ProcessWatch
from nodeagent.runtime.interface import ContainerSpec, ContainerState, ContainerStatus
from nodeagent.runtime.records import Exit, Record, Times


@dataclass(slots=True, eq=False)
class Container:
    spec: ContainerSpec
    record: Record
    cgroups_path: str
    times: Times = field(default_factory=Times)
    pid: int = 0
    pidfd: int = -1
    started: bool = False
    end: Exit | None = None
    conmon: ProcessWatch | None = None
    orphan: ProcessWatch | None = None  # the container's own process, once its conmon is dead
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    exited: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def state(self) -> ContainerState:
        return "exited" if self.end else "running" if self.started else "created"

    def status(self) -> ContainerStatus:
        end = self.end
        return ContainerStatus(
            id=self.spec.id,
            spec=self.spec,
            state=self.state,
            pid=0 if end else self.pid,
            created_at=self.times.created_at,
            started_at=self.times.started_at,
            finished_at=end.finished_at if end else None,
            exit_code=end.exit_code if end else None,
            oom_killed=bool(end and end.oom_killed),
            reason=end.reason if end else "",
            message=end.message if end else "",
        )

    def attach(self, pid: int) -> bool:
        """Take hold of the first process if it is alive and of this container."""
        try:
            self.pidfd = os.pidfd_open(pid)
        except (ProcessLookupError, OSError):
            return False
        if not in_cgroup(pid, self.cgroups_path):
            self.release()
            return False
        self.pid = pid
        return True

    def send(self, number: signal.Signals) -> None:
        """Signal the first process; nothing if it has ended."""
        if self.pidfd >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, number)

    def release(self) -> None:
        """Close what is held of the kernel.  The process is not touched."""
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
        for watch in (self.conmon, self.orphan):
            if watch:
                watch.close()


def in_cgroup(pid: int, cgroups_path: str) -> bool:
    """Whether the process lives in that cgroup or below: the proof that a pid is still the one we mean."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return False
    paths = [line.split(":", 2)[2] for line in lines]
    return any(path == cgroups_path or path.startswith(cgroups_path + "/") for path in paths)


def parse_signal(name: str) -> signal.Signals:
    """SIGTERM, TERM, 15; RTMIN+3.  An unknown name is SIGTERM, as the runtime must be able to stop everything."""
    text = name.strip().upper().removeprefix("SIG")
    try:
        if text.isdigit():
            return signal.Signals(int(text))
        if text.startswith("RTMIN+"):
            return signal.Signals(signal.SIGRTMIN + int(text[6:]))
        return signal.Signals[f"SIG{text}"]
    except (KeyError, ValueError):
        return signal.SIGTERM
