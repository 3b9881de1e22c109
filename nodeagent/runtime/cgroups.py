"""The cgroup tree of pods: kubepods/{pod<uid>, burstable/pod<uid>, besteffort/pod<uid>} below a configurable root.

One small interface over v1 (one directory per controller) and v2 (one directory).  The runtime makes the
container's own cgroup below the pod's; this module makes and removes pods', reads what the kernel counted, and kills
what is left.
Paths are given as the runtime wants them: absolute inside the hierarchy, "/tiphys/kubepods/burstable/pod1234".
"""

from __future__ import annotations

import errno
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from nodeagent.runtime import syscalls
from nodeagent.runtime.interface import Resources, RuntimeFailure

log = logging.getLogger(__name__)

QosClass = Literal["Guaranteed", "Burstable", "BestEffort"]
MIN_SHARES, MAX_SHARES = 2, 262_144
MIN_QUOTA_US = 1_000
_V1_POD_CONTROLLERS = ("cpu", "memory", "pids")


def cpu_shares(milli_cpu: int) -> int:
    """Requests to v1 cpu.shares, as the kubelet: 1000m = 1024, within 2..262144."""
    return max(MIN_SHARES, min(MAX_SHARES, milli_cpu * 1024 // 1000))


def cpu_quota_us(milli_cpu: int, period_us: int = 100_000) -> int:
    """Limits to quota per period; 0 = none."""
    return 0 if milli_cpu == 0 else max(MIN_QUOTA_US, milli_cpu * period_us // 1000)


def cpu_weight(shares: int) -> int:
    """v1 shares to v2 cpu.weight, the kubelet's line through (2, 1) and (262144, 10000)."""
    return 1 + (max(shares, MIN_SHARES) - MIN_SHARES) * 9999 // (MAX_SHARES - MIN_SHARES)


def mount_missing_hugetlb(mount: Path = Path("/sys/fs/cgroup")) -> None:
    """On a v1 host whose unified mount carries hugetlb, mount it as v1: crun refuses the mixture otherwise."""
    target = mount / "hugetlb"
    if (mount / "cgroup.controllers").exists() or not (mount / "unified").is_dir() or target.is_dir():
        return
    controllers = Path("/proc/cgroups").read_text()
    if "hugetlb" not in controllers:
        return
    try:
        target.mkdir()
        syscalls.mount("cgroup", str(target), "cgroup", 0, "hugetlb")
        log.info("mounted the hugetlb cgroup controller", extra={"path": str(target)})
    except OSError as error:
        log.warning("cannot mount the hugetlb cgroup controller", extra={"error": str(error)})


class Cgroups:
    """Pod cgroups below `root` (a name, or several with slashes; one agent owns it alone)."""

    def __init__(self, root: str = "tiphys", mount: Path = Path("/sys/fs/cgroup")) -> None:
        self.root = "/" + root.strip("/")
        mount_missing_hugetlb(mount)  # first, so that it is among the hierarchies
        self.v2 = (mount / "cgroup.controllers").exists()
        self._hierarchies: dict[str, Path] = {"": mount} if self.v2 else _v1_hierarchies(mount)

    def pod_path(self, pod_uid: str, qos: QosClass) -> str:
        """The `cgroup_parent` of the pod's containers."""
        if not pod_uid or "/" in pod_uid or "\0" in pod_uid:
            raise RuntimeFailure(f"invalid pod uid {pod_uid!r}")
        middle = "" if qos == "Guaranteed" else f"/{qos.lower()}"
        return f"{self.root}/kubepods{middle}/pod{pod_uid}"

    def container_path(self, parent: str, container_id: str) -> str:
        return f"{parent or self.root}/{container_id}"

    def create_pod(self, pod_uid: str, qos: QosClass, resources: Resources) -> str:
        """Make the pod's cgroup with the sums of its containers' resources; returns its path.  May be repeated."""
        return self._create(self.pod_path(pod_uid, qos), resources)

    def bound_pods(self, resources: Resources) -> None:
        """All pods together get no more than this.  Raises RuntimeFailure."""
        self._create(self.qos_path("Guaranteed"), resources)

    def _create(self, path: str, resources: Resources) -> str:
        try:
            if self.v2:
                self._make_v2(path)
            else:
                for controller in (*_V1_POD_CONTROLLERS, *(["hugetlb"] if resources.hugepage_limits else [])):
                    (self._hierarchies[controller] / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
            self.update(path, resources)
        except (OSError, KeyError) as error:
            raise RuntimeFailure(f"creating pod cgroup {path}: {error}") from error
        return path

    def update(self, path: str, resources: Resources) -> None:
        """Write the limits of an existing cgroup (also for in-place resize); zero takes a limit away.

        Raises OSError with the kernel's refusal, or EBUSY when more memory is in use than is to be allowed."""
        limit = resources.memory_limit_bytes
        if limit and limit < self.memory_in_use(path):
            raise OSError(errno.EBUSY, "attempting to set the memory limit below current usage")
        for controller, name, value in _settings(resources, self.v2):
            self._write(self.directory(path, controller) / name, value)
        swap = self.directory(path) / "memory.memsw.limit_in_bytes"
        if not self.v2 and swap.exists():
            self._write(swap, str(limit or -1))

    def _write(self, file: Path, value: str) -> None:
        try:
            file.write_text(value)
        except OSError as error:
            swap = file.with_name("memory.memsw.limit_in_bytes")
            if error.errno != errno.EINVAL or file.name != "memory.limit_in_bytes" or not swap.exists():
                raise
            swap.write_text(value)  # memory alone may not exceed memory and swap together: those go first when raised
            file.write_text(value)

    def memory_in_use(self, path: str) -> int:
        """Bytes that cannot be reclaimed at once, as the kernel counts; 0 if it is gone."""
        try:
            used = int((self.directory(path) / ("memory.current" if self.v2 else "memory.usage_in_bytes")).read_text())
            text = (self.directory(path) / "memory.stat").read_text()
        except OSError:
            return 0
        key = "inactive_file " if self.v2 else "total_inactive_file "
        return used - next((int(line.split()[1]) for line in text.splitlines() if line.startswith(key)), 0)

    def qos_path(self, qos: QosClass) -> str:
        """The cgroup of all pods of a class, for `update` with the sum of their requests."""
        return f"{self.root}/kubepods" if qos == "Guaranteed" else f"{self.root}/kubepods/{qos.lower()}"

    def directory(self, path: str, controller: str = "memory") -> Path:
        """Where the files of `controller` are for the cgroup `path`."""
        return self._hierarchies["" if self.v2 else controller] / path.lstrip("/")

    def pids(self, path: str) -> set[int]:
        """Processes in the cgroup and below it, in any hierarchy."""
        found: set[int] = set()
        for base in self._hierarchies.values():
            for directory in _tree(base / path.lstrip("/")):
                try:
                    found.update(map(int, (directory / "cgroup.procs").read_text().split()))
                except OSError:
                    continue  # removed meanwhile
        return found

    def oom_kills(self, path: str) -> int:
        """How many processes of this cgroup the kernel has killed for memory; 0 if it is gone."""
        name = "memory.events" if self.v2 else "memory.oom_control"
        try:
            text = (self.directory(path) / name).read_text()
        except OSError:
            return 0
        return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill ")), 0)

    def kill(self, path: str) -> None:
        """SIGKILL to everything in it."""
        if path.strip("/").count("/") < 1:
            raise ValueError(f"refusing to kill the cgroup {path!r}")
        for pid in self.pids(path):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def remove(self, path: str) -> bool:
        """Remove the cgroup and those below it in all hierarchies; False if processes still hold one of them."""
        empty = True
        for base in self._hierarchies.values():
            for directory in reversed(list(_tree(base / path.lstrip("/")))):
                try:
                    directory.rmdir()
                except FileNotFoundError:
                    continue
                except OSError as error:
                    if error.errno != errno.EBUSY:
                        raise
                    empty = False
        return empty

    def pods(self) -> dict[str, str]:
        """uid -> path of every pod cgroup that exists."""
        found: dict[str, str] = {}
        for base in self._hierarchies.values():
            top = base / self.root.lstrip("/") / "kubepods"
            for pattern in ("pod*", "burstable/pod*", "besteffort/pod*"):
                for directory in top.glob(pattern):
                    found[directory.name.removeprefix("pod")] = "/" + str(directory.relative_to(base))
        return found

    def _make_v2(self, path: str) -> None:
        mount = self._hierarchies[""]
        wanted = {"cpu", "memory", "pids", "cpuset", "io", "hugetlb"}
        directory = mount
        for part in path.strip("/").split("/"):
            present = set((directory / "cgroup.controllers").read_text().split())
            for controller in sorted(wanted & present):
                try:
                    (directory / "cgroup.subtree_control").write_text(f"+{controller}")
                except OSError as error:
                    log.warning("cannot enable a cgroup controller", extra={"name": controller, "error": str(error)})
            directory = directory / part
            directory.mkdir(exist_ok=True)


def _v1_hierarchies(mount: Path) -> dict[str, Path]:
    """controller name -> mount point, for every v1 hierarchy and the unified one beside them."""
    found: dict[str, Path] = {}
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").split("\n")[:-1]:
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        point = Path(left.split()[4])
        if not point.is_relative_to(mount):
            continue
        if kind == "cgroup2":
            found["unified"] = point
        elif kind == "cgroup":
            for option in options.split(","):
                if (point / "cgroup.procs").exists() and option not in ("rw", "ro", "xattr", "none", "clone_children"):
                    found[option.removeprefix("name=")] = point
    return found


def _tree(top: Path) -> Iterator[Path]:
    """`top` and the directories below it, parents first; nothing if it is absent."""
    for directory, names, _ in os.walk(top):
        yield Path(directory)
        names.sort()


def hugepage_size(name: str) -> str:
    """The kernel's word for a page size of a resource name: "2Mi" is "2MB"."""
    return name.replace("i", "") + "B"


def _settings(resources: Resources, v2: bool) -> Iterator[tuple[str, str, str]]:
    """(controller, file, value) in the order of writing."""
    r = resources
    if v2:
        if r.cpu_shares:
            yield "cpu", "cpu.weight", str(cpu_weight(r.cpu_shares))
        yield "cpu", "cpu.max", f"{r.cpu_quota_us or 'max'} {r.cpu_period_us}"
        yield "memory", "memory.max", str(r.memory_limit_bytes or "max")
    else:
        if r.cpu_shares:
            yield "cpu", "cpu.shares", str(r.cpu_shares)
        yield "cpu", "cpu.cfs_period_us", str(r.cpu_period_us)
        yield "cpu", "cpu.cfs_quota_us", str(r.cpu_quota_us or -1)
        yield "memory", "memory.limit_in_bytes", str(r.memory_limit_bytes or -1)
    yield "pids", "pids.max", str(r.pids_limit or "max")
    for size, limit in sorted(r.hugepage_limits.items()):
        yield "hugetlb", f"hugetlb.{size}.{'max' if v2 else 'limit_in_bytes'}", str(limit)
