"""The container interface with conmon and crun: ConmonRuntime.

Per container a directory (see records.py), a conmon and a cgroup; in memory only what can be read back from them, which
is what `recover` does.  Exits arrive from exits.py; everything is on one event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from nodeagent import safepath
from nodeagent.runtime import attach, bundle, conmon, doors, execstreams, execution, leftovers, release, syscalls
from nodeagent.runtime.cgroups import Cgroups
from nodeagent.runtime.container import Container, parse_signal
from nodeagent.runtime.facts import NodeFacts, read_node_facts
from nodeagent.runtime.handlers import find_handlers, path_of
from nodeagent.runtime.interface import (
    ContainerExists,
    ContainerNotFound,
    ContainerSpec,
    ContainerStatus,
    ExecResult,
    ExitListener,
    Resources,
    RuntimeFailure,
)
from nodeagent.runtime.monitor import ExitMonitor
from nodeagent.runtime.process import run
from nodeagent.runtime.reaper import Reaper
from nodeagent.runtime.records import Layout, Record, Times
from nodeagent.runtime.seccompfilters import SeccompFilters
from nodeagent.runtime.streams import ExecRequest, Streams
from tiphys.clock import Clock, SystemClock

log = logging.getLogger(__name__)

_KILL_WAIT_SECONDS = 10.0
_CONMON_WAIT_SECONDS = 2.0


def new_container_id() -> str:
    return secrets.token_hex(32)


def find_programs() -> conmon.Programs:
    """conmon, and crun or else runc, from PATH.  Raises RuntimeFailure with the command that installs them."""
    monitor, handlers = shutil.which("conmon"), find_handlers()
    if not monitor or not handlers:
        raise RuntimeFailure("conmon and crun are needed: apt-get install conmon crun")
    return conmon.Programs(monitor, handlers[""])


class ConmonRuntime:
    """See interface.Runtime.  `runtime = ConmonRuntime(root, Cgroups(...)); await runtime.open(); ...; close()`."""

    def __init__(
        self,
        root: Path,
        cgroups: Cgroups,
        *,
        clock: Clock | None = None,
        programs: conmon.Programs | None = None,
        facts: NodeFacts | None = None,
    ) -> None:
        self.layout = Layout(root)
        self._filters = SeccompFilters(self.layout.oci)
        self.cgroups = cgroups
        self.programs = programs or find_programs()
        self._handlers = {**find_handlers(), "": self.programs.oci}
        self._clock = clock or SystemClock()
        self._facts = facts
        self._containers: dict[str, Container] = {}
        self._creating: set[str] = set()
        self._monitor = ExitMonitor(self.layout, cgroups, self._clock, self._containers)
        self._reaper: Reaper | None = None

    # -- life of the runtime itself --------------------------------------------------------------------------------

    async def open(self) -> list[ContainerStatus]:
        """Watch for exits, take hold of all containers on disk (`recover`), and return them."""
        self.layout.make()
        syscalls.become_subreaper()
        self._reaper = Reaper()
        if self._facts is None:
            self._facts = read_node_facts()
        if "CAP_SYS_RESOURCE" not in self._facts.capabilities:
            log.warning("no CAP_SYS_RESOURCE: hard rlimits are not raised and oom_score_adj is not lowered")
        self._monitor.open()
        return await self.recover()

    def close(self) -> None:
        """Let go of everything; containers go on."""
        self._monitor.close()
        if self._reaper:
            self._reaper.close()
        for container in self._containers.values():
            container.release()
        self._containers.clear()

    async def recover(self) -> list[ContainerStatus]:
        """All containers on disk with their true state; what was left half made or half deleted is removed."""
        for directory in sorted(self.layout.containers.iterdir()):
            if directory.name in self._containers or directory.name in self._creating:
                continue
            record = self.layout.record(directory.name)
            spec = record.spec()
            if spec is None or spec.id != directory.name or not self._adopt(spec, record):
                log.info("removing a container that was never made", extra={"id": directory.name})
                path = self.cgroups.container_path(spec.cgroup_parent, spec.id) if spec else ""
                await self._delete(record, directory.name, path)
        await asyncio.to_thread(leftovers.empty, self.layout.trash)
        return await self.list()

    async def teardown_all(self) -> None:
        """Kill and remove every container and the whole cgroup tree of this runtime."""
        await asyncio.gather(*(self.remove(container_id) for container_id in list(self._containers)))
        for _, path in self.cgroups.pods().items():
            await leftovers.remove_cgroup(self.cgroups, path)
        await leftovers.remove_cgroup(self.cgroups, f"{self.cgroups.root}/kubepods")
        self.cgroups.remove(self.cgroups.root)

    # -- the seven verbs -------------------------------------------------------------------------------------------

    async def create(self, spec: ContainerSpec) -> ContainerStatus:
        if spec.id in self._containers or spec.id in self._creating:
            raise ContainerExists(f"container {spec.id} exists")
        record = self.layout.record(spec.id)
        path = self.cgroups.container_path(spec.cgroup_parent, spec.id)
        self._creating.add(spec.id)
        try:
            programs = replace(self.programs, oci=path_of(self._handlers, spec.runtime_handler))
            profile = self._prepare(spec, record, path)
            pid = await conmon.create(programs, self.layout, record, spec)
            container = Container(spec, record, path, record.times())
            if not container.attach(pid):
                raise RuntimeFailure("the container's process ended before it was started")
            self._containers[spec.id] = container
            self._monitor.watch(container)
            self._filters.learn(profile, spec.id)
            return container.status()
        except FileExistsError:
            raise ContainerExists(f"container {spec.id} exists") from None
        except BaseException as error:
            self._containers.pop(spec.id, None)
            await self._delete(record, spec.id, path)
            if isinstance(error, OSError):
                raise RuntimeFailure(f"creating the container: {error}") from error
            raise
        finally:
            self._creating.discard(spec.id)

    async def start(self, container_id: str) -> ContainerStatus:
        container = self._get(container_id)
        async with container.lock:
            if container.started or container.end:
                return container.status()
            # Noted before: the program may have ended before the OCI runtime has.
            before, container.started = container.times, True
            container.times = Times(before.created_at, self._clock.now())
            container.record.write_times(container.times)
            oci = self._oci(container.spec)
            if not release.release(oci[0], self.layout.oci / container_id):
                done = await run([*oci, "start", container_id], timeout_seconds=60)
                if done.exit_code != 0 and container.end is None:
                    container.started, container.times = False, before
                    raise conmon.failure(done.stderr.decode("utf-8", "replace"))
            return container.status()

    async def stop(self, container_id: str, grace_seconds: float, signal: str = "") -> ContainerStatus | None:
        container = self._containers.get(container_id)
        if container is None:
            return None
        if container.end is None:
            if container.started and grace_seconds > 0:
                container.send(parse_signal(signal or container.spec.stop_signal))
                await _within(container.exited.wait(), grace_seconds)
            await self._kill(container)
        return container.status()

    async def remove(self, container_id: str) -> None:
        container = self._containers.get(container_id)
        if container is None:
            return
        async with container.lock:
            if self._containers.get(container_id) is not container:
                return  # another remove was faster
            if container.end is None:
                await self._kill(container)
            container.release()
            await self._delete(container.record, container_id, container.cgroups_path)
            self._containers.pop(container_id, None)

    async def update(self, container_id: str, resources: Resources) -> None:
        container = self._get(container_id)
        async with container.lock:
            if container.end is not None:
                raise RuntimeFailure("container has exited")
            try:
                self.cgroups.update(container.cgroups_path, resources)
            except OSError as error:
                raise RuntimeFailure(f"updating the container's resources: {error}") from error
            container.spec = replace(container.spec, resources=resources)
            container.record.write_spec(container.spec)

    async def status(self, container_id: str) -> ContainerStatus:
        return self._get(container_id).status()

    async def list(self, pod_uid: str = "") -> list[ContainerStatus]:
        found = [c.status() for c in self._containers.values() if pod_uid in ("", c.spec.pod_uid)]
        return sorted(found, key=lambda s: (s.created_at.timestamp() if s.created_at else 0.0, s.id))

    async def exec_sync(
        self, container_id: str, argv: Sequence[str], *, timeout_seconds: float = 0, output_limit_bytes: int = 16 << 20
    ) -> ExecResult:
        container = self._running(container_id)
        assert self._facts is not None
        return await execution.exec_sync(
            self._oci(container.spec),
            container,
            self._facts,
            argv,
            timeout_seconds=timeout_seconds,
            limit_bytes=output_limit_bytes,
        )

    async def exec(self, container_id: str, request: ExecRequest) -> Streams:
        """Start a program with its streams in the caller's hands; see execstreams.start."""
        container = self._running(container_id)
        assert self._facts is not None
        members = partial(self.cgroups.pids, container.cgroups_path)
        return await execstreams.start(self._oci(container.spec), container, self._facts, request, members)

    async def attach(self, container_id: str) -> Streams:
        """The streams of the container's own program; see attach.connect."""
        return await attach.connect(self._running(container_id))

    async def wait(self, container_id: str) -> ContainerStatus:
        container = self._get(container_id)
        await container.exited.wait()
        return container.status()

    def on_exit(self, listener: ExitListener) -> Callable[[], None]:
        return self._monitor.add(listener)

    def reopen_log(self, container_id: str) -> None:
        """After the caller has renamed the log file: conmon opens a new one at the same path."""
        control = self._get(container_id).record.directory / "ctl"
        try:
            fd = os.open(control, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise RuntimeFailure(f"reopening the log: {error.strerror}") from error
        with safepath.opened(fd):
            os.write(fd, b"2 0 0\n")

    # -- making ----------------------------------------------------------------------------------------------------

    def _oci(self, spec: ContainerSpec | None) -> tuple[str, str]:
        """The command line of a container's OCI runtime; of the default one if it is not known or not installed."""
        oci = self._handlers.get(spec.runtime_handler) if spec else None
        return oci or self.programs.oci, f"--root={self.layout.oci}"

    def _get(self, container_id: str) -> Container:
        try:
            return self._containers[container_id]
        except KeyError:
            raise ContainerNotFound(f"container {container_id} not found") from None

    def _running(self, container_id: str) -> Container:
        container = self._get(container_id)
        if container.state != "running":
            raise RuntimeFailure(f"container is {container.state}, not running")
        return container

    def _prepare(self, spec: ContainerSpec, record: Record, cgroups_path: str) -> bytes:
        """Everything on disk before conmon runs; the key of its seccomp profile.

        Raises FileExistsError if the container's directory exists.
        """
        if self._facts is None:
            raise RuntimeFailure("the runtime is not open")
        kind, _, other = spec.namespaces.pid.partition(":")
        pid_namespace = f"/proc/{self._running(other).pid}/ns/pid" if kind == "container" else spec.namespaces.pid
        record.directory.mkdir(mode=0o700)
        record.write_spec(spec)
        record.write_times(Times(created_at=self._clock.now()))
        resolved = replace(spec, namespaces=replace(spec.namespaces, pid=pid_namespace))
        config = bundle.make(resolved, record, self._facts, cgroups_path)
        profile = self._filters.apply(config)
        record.write_config(config)
        return profile

    def _adopt(self, spec: ContainerSpec, record: Record) -> bool:
        """Take hold of a container found on disk; False if its creation never finished."""
        path = self.cgroups.container_path(spec.cgroup_parent, spec.id)
        container = Container(spec, record, path, record.times())
        container.end = record.exit()
        pid = record.pid()
        if container.end is None and pid == 0 and record.conmon_exit() is None:
            return False
        # Whatever we meant to do when we died.
        container.started = not release.waits(self.layout.oci / spec.id)
        if not container.started:
            container.times = Times(container.times.created_at)
        self._containers[spec.id] = container
        if container.end:
            container.exited.set()
        elif record.conmon_exit() is not None:
            self._monitor.finish(container)
        else:
            container.attach(pid)
            self._monitor.watch(container)
        return True

    # -- ending ----------------------------------------------------------------------------------------------------

    async def _kill(self, container: Container) -> None:
        container.send(signal.SIGKILL)
        if await _within(container.exited.wait(), 1.0):
            return
        deadline = self._clock.monotonic() + _KILL_WAIT_SECONDS
        while self._clock.monotonic() < deadline:
            self.cgroups.kill(container.cgroups_path)  # what shares the node's pid namespace outlives its first process
            if await _within(container.exited.wait(), 0.5):
                return
        raise RuntimeFailure(f"container {container.spec.id} cannot be killed")

    async def _delete(self, record: Record, container_id: str, cgroups_path: str) -> None:
        """Remove every trace of a container; each step may already be done."""
        directory = record.directory
        await leftovers.end_conmon(directory, record.conmon_pid(), _CONMON_WAIT_SECONDS)
        if cgroups_path:
            self.cgroups.kill(cgroups_path)
        if (self.layout.oci / container_id).exists():
            done = await run([*self._oci(record.spec()), "delete", "--force", container_id], timeout_seconds=60)
            if done.exit_code != 0:
                log.warning("the OCI runtime could not delete", extra={"id": container_id, "error": done.stderr[:500]})
                safepath.remove_tree(self.layout.oci / container_id)
        if cgroups_path and not await leftovers.remove_cgroup(self.cgroups, cgroups_path):
            raise RuntimeFailure(f"processes of container {container_id} cannot be killed")
        doors.close(container_id)
        leftovers.unmount_below(directory)
        trash = self.layout.trash / f"{container_id}.{secrets.token_hex(4)}"
        with contextlib.suppress(FileNotFoundError):
            directory.rename(trash)
            await asyncio.to_thread(safepath.remove_tree, trash)
        record.exit_file.unlink(missing_ok=True)


async def _within(awaitable: Awaitable[object], seconds: float) -> bool:
    """Whether it finished in time."""
    try:
        async with asyncio.timeout(seconds):
            await awaitable
    except TimeoutError:
        return False
    return True
