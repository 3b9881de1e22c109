"""Pod sandboxes: network, IPC and UTS namespaces pinned by bind mounts, without a process that holds them.

A user namespace (usernamespace.py) and a shared PID namespace (pause.py, the one that needs a process) come on top.

    RUN/UID/net ipc uts    bind mounts of the namespaces; where asked for also user, pid
    RUN/UID/pause oci      the process that holds the PID namespace
    RUN/UID/shm            tmpfs shared by the pod's containers as /dev/shm
    RUN/UID/sandbox.json   written last: a sandbox without it was never finished and is made again

What must stay true: namespaces are entered and unshared only in a thread that ends right after; a sandbox survives the
agent; only sysctls that belong to a namespace of the pod are ever written.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Protocol, TypeVar

import orjson

from nodeagent import safepath
from nodeagent.runtime import leftovers, pause, syscalls, usernamespace
from nodeagent.runtime.handlers import find_handlers, path_of
from nodeagent.runtime.interface import PodNamespaces, PortMapping, RuntimeFailure, Sandbox, SandboxSpec
from nodeagent.runtime.spec import SHM_SIZE_BYTES
from nodeagent.runtime.sysctls import checked, file_of, of_ipc

log = logging.getLogger(__name__)

T = TypeVar("T")

_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_FLAGS = {"net": syscalls.CLONE_NEWNET, "ipc": syscalls.CLONE_NEWIPC, "uts": syscalls.CLONE_NEWUTS}


class Network(Protocol):
    """What a sandbox needs of the pod network; nodeagent.network.PodNetwork is one."""

    async def attach(self, pod_uid: str, netns: str) -> str:
        """Give the namespace an interface and an address; returns the address.  May be repeated."""

    async def publish(self, pod_uid: str, mappings: Sequence[PortMapping]) -> None:
        """Let ports of the node lead to the pod."""

    async def detach(self, pod_uid: str) -> None:
        """Take interface and address away; absent is fine."""


class PodSandboxes:
    """All sandboxes of one agent, below `run_dir` (which should not survive a reboot)."""

    def __init__(self, run_dir: Path, network: Network | None, *, handlers: Mapping[str, str] | None = None) -> None:
        """`handlers` as of handlers.find_handlers, which is the default."""
        self._dir = run_dir
        self._network = network
        self._handlers = find_handlers() if handlers is None else handlers
        self._oci = self._handlers.get("", "")
        self._newest_base = zlib.crc32(str(run_dir).encode()) % (1 << 14) * usernamespace.IDS  # another agent: others
        self._bases: set[int] = set()  # of sandboxes being made
        self._sandboxes: dict[str, Sandbox] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def open(self) -> list[Sandbox]:
        """Read back what is there; removes what was never finished or did not survive a reboot."""
        self._dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for directory in sorted(self._dir.iterdir()):
            sandbox = _load(directory)
            if sandbox:
                self._sandboxes[sandbox.pod_uid] = sandbox
            else:
                await self.remove(directory.name)
        return self.list()

    def get(self, pod_uid: str) -> Sandbox | None:
        """None when there is none, or when its shared PID namespace has died."""
        sandbox = self._sandboxes.get(pod_uid)
        return sandbox if sandbox and _pid_namespace_lives(self._dir / pod_uid, sandbox.namespaces) else None

    def list(self) -> list[Sandbox]:
        return list(self._sandboxes.values())

    async def create(self, spec: SandboxSpec) -> Sandbox:
        """The pod's sandbox; the existing one if there is one.  Raises RuntimeFailure; then nothing is left."""
        if not _UID.fullmatch(spec.pod_uid):
            raise RuntimeFailure(f"invalid pod uid {spec.pod_uid!r}")
        async with self._locks.setdefault(spec.pod_uid, asyncio.Lock()):
            if existing := self.get(spec.pod_uid):
                return existing
            directory = self._dir / spec.pod_uid
            if directory.exists():
                await self._clear(spec.pod_uid)
            try:
                sandbox = await self._make(spec, directory)
            except BaseException as error:
                await self._clear(spec.pod_uid)
                if isinstance(error, OSError):
                    raise RuntimeFailure(f"creating the pod sandbox: {error}") from error
                raise
            self._sandboxes[spec.pod_uid] = sandbox
            return sandbox

    async def remove(self, pod_uid: str) -> None:
        """Absent is fine.  The pod's containers must be gone, or they keep the namespaces alive."""
        if "/" in pod_uid or pod_uid in ("", ".", ".."):
            raise RuntimeFailure(f"invalid pod uid {pod_uid!r}")
        async with self._locks.setdefault(pod_uid, asyncio.Lock()):
            await self._clear(pod_uid)
            self._sandboxes.pop(pod_uid, None)
        self._locks.pop(pod_uid, None)

    async def teardown_all(self) -> None:
        for directory in list(self._dir.iterdir()):
            await self.remove(directory.name)
        self._dir.rmdir()

    async def _make(self, spec: SandboxSpec, directory: Path) -> Sandbox:
        path_of(self._handlers, spec.runtime_handler)
        settings = checked(spec.sysctls, host_network=spec.host_network, host_ipc=spec.host_ipc)
        directory.mkdir(mode=0o700)
        namespaces = _namespaces(spec, directory)
        if spec.user_namespace:
            namespaces = await self._pin_for_user(spec, directory, namespaces, settings)
        else:
            await in_thread(lambda: _pin(spec, directory, settings))
        ip = ""
        if not spec.host_network and self._network:
            ip = await self._network.attach(spec.pod_uid, str(directory / "net"))
            if spec.host_ports:
                await self._network.publish(spec.pod_uid, spec.host_ports)
        if spec.share_pid:
            await pause.start(self._oci, directory, namespaces, f"{spec.cgroup_parent}/pause")
        sandbox = Sandbox(
            pod_uid=spec.pod_uid,
            hostname=os.uname().nodename if spec.host_network else spec.hostname,
            namespaces=namespaces,
            ip=ip,
            host_network=spec.host_network,
            runtime_handler=spec.runtime_handler,
        )
        temporary = directory / ".sandbox.json"
        temporary.write_bytes(orjson.dumps(asdict(sandbox)))
        temporary.replace(directory / "sandbox.json")
        return sandbox

    async def _pin_for_user(
        self, spec: SandboxSpec, directory: Path, namespaces: PodNamespaces, settings: Mapping[str, str]
    ) -> PodNamespaces:
        """Namespaces that belong to a user namespace of the pod's own."""
        if spec.host_network or spec.host_ipc or spec.host_pid:
            raise RuntimeFailure("hostUsers: false cannot be combined with a namespace of the node")
        taken = {s.namespaces.id_base for s in self._sandboxes.values()} | self._bases
        base = self._newest_base = usernamespace.choose_base(taken, self._newest_base)
        self._bases.add(base)
        try:
            kinds = _own_namespaces(spec)
            await usernamespace.pin(directory, kinds, base)
            mine = {name: value for name, value in settings.items() if not of_ipc(name)}
            await in_thread(lambda: _configure(spec, directory, mine))
            ipc = {name: value for name, value in settings.items() if of_ipc(name)}
            await usernamespace.write_ipc_sysctls(directory, ipc)
        finally:
            self._bases.discard(base)
        return replace(namespaces, user=str(directory / "user"), id_base=base)

    async def _clear(self, pod_uid: str) -> None:
        if self._network:
            await self._network.detach(pod_uid)
        directory = self._dir / pod_uid
        await pause.stop(self._oci, directory)
        leftovers.unmount_below(directory)
        safepath.remove_tree(directory)


async def in_thread(work: Callable[[], T]) -> T:
    """Run in a fresh thread that ends afterwards, so that its namespaces are nobody else's."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def deliver(result: T | None, error: BaseException | None) -> None:
        if outcome.cancelled():
            return
        if error:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)  # type: ignore[arg-type]

    def body() -> None:
        result, failed = None, None
        try:
            result = work()
        except BaseException as error:
            failed = error
        loop.call_soon_threadsafe(deliver, result, failed)

    threading.Thread(target=body, name="namespace", daemon=True).start()
    return await outcome


def _pin(spec: SandboxSpec, directory: Path, settings: Mapping[str, str]) -> None:
    """In a thread of its own: unshare, set up, bind."""
    kinds = _own_namespaces(spec)
    syscalls.unshare(sum(_FLAGS[kind] for kind in kinds))
    if "uts" in kinds:
        syscalls.sethostname(spec.hostname)
    _write_sysctls(spec, settings)
    for kind in kinds:
        pin = directory / kind
        pin.touch(mode=0o600)
        syscalls.mount(f"/proc/thread-self/ns/{kind}", str(pin), "", syscalls.MS_BIND)
    if "ipc" in kinds:
        _mount_shm(directory)


def _configure(spec: SandboxSpec, directory: Path, settings: Mapping[str, str]) -> None:
    """In a thread of its own: set up namespaces that are pinned already."""
    for kind in _own_namespaces(spec):
        with safepath.opened(os.open(directory / kind, os.O_RDONLY | os.O_CLOEXEC)) as fd:
            syscalls.setns(fd, _FLAGS[kind])
    syscalls.sethostname(spec.hostname)
    _write_sysctls(spec, settings)
    _mount_shm(directory)


def _write_sysctls(spec: SandboxSpec, settings: Mapping[str, str]) -> None:
    """Only what the pod asked for must succeed."""
    for name, value in settings.items():
        try:
            Path(file_of(name)).write_text(value)
        except OSError as error:
            if name in spec.sysctls:
                raise RuntimeFailure(f"sysctl {name}: {error.strerror}") from error


def _mount_shm(directory: Path) -> None:
    shm = directory / "shm"
    shm.mkdir()
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    syscalls.mount("shm", str(shm), "tmpfs", flags, f"mode=1777,size={SHM_SIZE_BYTES}")


def _own_namespaces(spec: SandboxSpec) -> list[str]:
    """On the node's network a pod also shares the node's name, as upstream."""
    return [*([] if spec.host_network else ["net", "uts"]), *([] if spec.host_ipc else ["ipc"])]


def _namespaces(spec: SandboxSpec, directory: Path) -> PodNamespaces:
    own = {kind: str(directory / kind) for kind in _own_namespaces(spec)}
    return PodNamespaces(
        net=own.get("net", ""),
        ipc=own.get("ipc", ""),
        uts=own.get("uts", ""),
        pid="host" if spec.host_pid else str(directory / "pid") if spec.share_pid else "",
        shm="/dev/shm" if spec.host_ipc else str(directory / "shm"),
    )


def _pid_namespace_lives(directory: Path, namespaces: PodNamespaces) -> bool:
    return namespaces.pid in ("", "host") or pause.holder(directory) != 0


def _load(directory: Path) -> Sandbox | None:
    """The sandbox, if it is complete and its pins are still mounted."""
    try:
        data = orjson.loads((directory / "sandbox.json").read_bytes())
        namespaces = PodNamespaces(**data.pop("namespaces"))
        sandbox = Sandbox(namespaces=namespaces, **data)
        device = directory.stat().st_dev
        pins = [p for p in (namespaces.net, namespaces.ipc, namespaces.uts, namespaces.user) if p]
        pinned = all(Path(pin).stat().st_dev != device for pin in pins)
        if sandbox.pod_uid == directory.name and pinned and _pid_namespace_lives(directory, namespaces):
            return sandbox
    except (OSError, ValueError, TypeError, KeyError) as error:
        log.info("discarding a sandbox", extra={"pod_uid": directory.name, "error": str(error)})
    return None
