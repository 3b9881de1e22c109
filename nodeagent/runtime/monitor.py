"""Learning that containers have ended, writing it down once, telling the listeners.

What must stay true: exit.json is written before anybody is told, and is never written twice; an exit code is only
invented (255, "Unknown") when neither conmon nor the kernel could tell it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from nodeagent.runtime import leftovers
from nodeagent.runtime.cgroups import Cgroups
from nodeagent.runtime.container import Container
from nodeagent.runtime.exits import ExitFiles, ProcessWatch
from nodeagent.runtime.interface import ExitListener
from nodeagent.runtime.records import Exit, Layout
from tiphys.clock import Clock

log = logging.getLogger(__name__)

UNKNOWN_EXIT_CODE = 255


class ExitMonitor:
    """`containers` is the runtime's own table: the monitor only looks ids up in it."""

    def __init__(self, layout: Layout, cgroups: Cgroups, clock: Clock, containers: Mapping[str, Container]) -> None:
        self._layout, self._cgroups, self._clock, self._containers = layout, cgroups, clock, containers
        self._listeners: list[ExitListener] = []
        self._files: ExitFiles | None = None

    def open(self) -> None:
        self._files = ExitFiles(self._layout.exits, self._exit_file_appeared)

    def close(self) -> None:
        if self._files:
            self._files.close()

    def add(self, listener: ExitListener) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def watch(self, container: Container) -> None:
        """Begin to wait for the end of its conmon, or of itself if that is dead."""
        monitor = container.record.conmon_pid()
        if monitor and leftovers.is_conmon_of(monitor, str(container.record.directory)):
            try:
                container.conmon = ProcessWatch(monitor, lambda _code: self._conmon_ended(container))
                return
            except ProcessLookupError:
                pass
        self._conmon_ended(container)

    def finish(self, container: Container, reaped_code: int | None = None) -> None:
        """Write the last word about a container, once, and tell the listeners."""
        if container.end:
            return
        container.end = self._ending(container, reaped_code)
        try:
            container.record.write_exit(container.end)
            container.record.exit_file.unlink(missing_ok=True)
        except OSError as error:  # a full disk must not hide the exit; conmon's file still holds it
            log.warning("cannot record an exit", extra={"id": container.spec.id, "error": str(error)})
        container.exited.set()
        status = container.status()
        for listener in list(self._listeners):
            try:
                listener(status)
            except Exception:
                log.exception("an exit listener failed", extra={"id": container.spec.id})

    def _ending(self, container: Container, reaped_code: int | None) -> Exit:
        oom_killed = self._cgroups.oom_kills(container.cgroups_path) > 0
        code, finished_at = container.record.conmon_exit() or (reaped_code, self._clock.now())
        if container.times.started_at:
            finished_at = max(finished_at, container.times.started_at)  # file times are as coarse as the kernel's tick
        if code is None:
            return Exit(UNKNOWN_EXIT_CODE, finished_at, oom_killed, "Unknown")
        return Exit(code, finished_at, oom_killed, "OOMKilled" if oom_killed else "Error" if code else "Completed")

    def _exit_file_appeared(self, name: str) -> None:
        if container := self._containers.get(name):
            self.finish(container)

    def _conmon_ended(self, container: Container) -> None:
        """Usually after the exit file.  Without one conmon was killed: watch the container itself."""
        if container.end or container.record.conmon_exit() is not None:
            self.finish(container)
            return
        log.warning("conmon has died", extra={"id": container.spec.id})
        try:
            if container.pidfd < 0:
                raise ProcessLookupError
            container.orphan = ProcessWatch(container.pid, lambda code: self.finish(container, code))
        except ProcessLookupError:
            self.finish(container)
