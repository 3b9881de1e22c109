"""Pod sandboxes: network, IPC and UTS namespaces pinned by bind mounts, without a process that holds them.

    RUN/UID/net ipc uts    bind mounts of the namespaces
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
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Protocol, TypeVar

import orjson

from nodeagent import safepath
from nodeagent.runtime import leftovers, syscalls
from nodeagent.runtime.interface import PodNamespaces, RuntimeFailure, Sandbox, SandboxSpec
from nodeagent.runtime.spec import SHM_SIZE_BYTES

log = logging.getLogger(__name__)

T = TypeVar("T")

_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_SYSCTL_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*([./][a-zA-Z0-9_-]+)+")
_SYSCTL_VALUE = re.compile(r"[ -~\t]*")
_IPC_SYSCTLS = ("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")
# Any user may bind low ports and send pings: neither means anything in a namespace of one's own.
_DEFAULT_NET_SYSCTLS = {
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.ping_group_range": "0 2147483647",
    "net.ipv6.conf.all.accept_ra": "0",
    "net.ipv6.conf.default.accept_ra": "0",
}


class Network(Protocol):
    """What a sandbox needs of the pod network; nodeagent.network.PodNetwork is one."""

    async def attach(self, pod_uid: str, netns: str) -> str:
        """Give the namespace an interface and an address; returns the address.  May be repeated."""

    async def detach(self, pod_uid: str) -> None:
        """Take interface and address away; absent is fine."""


class PodSandboxes:
    """All sandboxes of one agent, below `run_dir` (which should not survive a reboot)."""

    def __init__(self, run_dir: Path, network: Network | None) -> None:
        self._dir = run_dir
        self._network = network
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
        return self._sandboxes.get(pod_uid)

    def list(self) -> list[Sandbox]:
        return list(self._sandboxes.values())

    async def create(self, spec: SandboxSpec) -> Sandbox:
        """The pod's sandbox; the existing one if there is one.  Raises RuntimeFailure; then nothing is left."""
        if not _UID.fullmatch(spec.pod_uid):
            raise RuntimeFailure(f"invalid pod uid {spec.pod_uid!r}")
        async with self._locks.setdefault(spec.pod_uid, asyncio.Lock()):
            if existing := self._sandboxes.get(spec.pod_uid):
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
        settings = _checked_sysctls(spec)
        directory.mkdir(mode=0o700)
        await in_thread(lambda: _pin(spec, directory, settings))
        ip = ""
        if not spec.host_network and self._network:
            ip = await self._network.attach(spec.pod_uid, str(directory / "net"))
        sandbox = Sandbox(
            pod_uid=spec.pod_uid,
            hostname=os.uname().nodename if spec.host_network else spec.hostname,
            namespaces=_namespaces(spec, directory),
            ip=ip,
            host_network=spec.host_network,
        )
        temporary = directory / ".sandbox.json"
        temporary.write_bytes(orjson.dumps(asdict(sandbox)))
        temporary.replace(directory / "sandbox.json")
        return sandbox

    async def _clear(self, pod_uid: str) -> None:
        if self._network:
            await self._network.detach(pod_uid)
        directory = self._dir / pod_uid
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
    flags = {"net": syscalls.CLONE_NEWNET, "ipc": syscalls.CLONE_NEWIPC, "uts": syscalls.CLONE_NEWUTS}
    syscalls.unshare(sum(flags[kind] for kind in kinds))
    if "uts" in kinds:
        syscalls.sethostname(spec.hostname)
    for name, value in settings.items():
        path = Path("/proc/sys", *name.split("." if "." in name else "/"))
        try:
            path.write_text(value)
        except OSError as error:
            if name in spec.sysctls:
                raise RuntimeFailure(f"sysctl {name}: {error.strerror}") from error
    for kind in kinds:
        pin = directory / kind
        pin.touch(mode=0o600)
        syscalls.mount(f"/proc/thread-self/ns/{kind}", str(pin), "", syscalls.MS_BIND)
    if "ipc" in kinds:
        shm = directory / "shm"
        shm.mkdir()
        flags_shm = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
        syscalls.mount("shm", str(shm), "tmpfs", flags_shm, f"mode=1777,size={SHM_SIZE_BYTES}")


def _own_namespaces(spec: SandboxSpec) -> list[str]:
    """On the node's network a pod also shares the node's name, as upstream."""
    return [*([] if spec.host_network else ["net", "uts"]), *([] if spec.host_ipc else ["ipc"])]


def _namespaces(spec: SandboxSpec, directory: Path) -> PodNamespaces:
    paths = {kind: str(directory / kind) for kind in _own_namespaces(spec)}
    return PodNamespaces(**paths, shm="/dev/shm" if spec.host_ipc else str(directory / "shm"))


def _checked_sysctls(spec: SandboxSpec) -> dict[str, str]:
    settings = {} if spec.host_network else dict(_DEFAULT_NET_SYSCTLS)
    for name, value in spec.sysctls.items():
        dotted = name if "." in name else name.replace("/", ".")
        of_net = dotted.startswith("net.") and not spec.host_network
        of_ipc = dotted.startswith(_IPC_SYSCTLS) and not spec.host_ipc
        if not _SYSCTL_NAME.fullmatch(name) or ".." in name or not (of_net or of_ipc):
            raise RuntimeFailure(f"sysctl {name!r} does not belong to a namespace of the pod")
        if not _SYSCTL_VALUE.fullmatch(value):
            raise RuntimeFailure(f"sysctl {name!r} has an invalid value")
        settings[name] = value
    return settings


def _load(directory: Path) -> Sandbox | None:
    """The sandbox, if it is complete and its pins are still mounted."""
    try:
        data = orjson.loads((directory / "sandbox.json").read_bytes())
        namespaces = PodNamespaces(**data.pop("namespaces"))
        sandbox = Sandbox(namespaces=namespaces, **data)
        device = directory.stat().st_dev
        pins = [p for p in (namespaces.net, namespaces.ipc, namespaces.uts) if p]
        if sandbox.pod_uid == directory.name and all(Path(pin).stat().st_dev != device for pin in pins):
            return sandbox
    except (OSError, ValueError, TypeError, KeyError) as error:
        log.info("discarding a sandbox", extra={"pod_uid": directory.name, "error": str(error)})
    return None
