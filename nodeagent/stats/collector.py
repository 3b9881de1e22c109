"""Looks at cgroups, network namespaces, /proc and the disk, and says what it saw as a NodeSnapshot.

What must stay true: nothing runs unless somebody asks; a look at the cgroups is shared by all who ask within
SHARE_SECONDS; directories are looked through only for those who want to know about the disk (disk.py).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from nodeagent.pods.qos import qos_class
from nodeagent.runtime.cgroups import Cgroups
from nodeagent.runtime.interface import ContainerStatus
from nodeagent.stats import machine
from nodeagent.stats.cgroupusage import Usage, read_usage
from nodeagent.stats.disk import DiskUsage
from nodeagent.stats.rates import CpuRates
from nodeagent.stats.snapshot import ContainerStats, NodeSnapshot, PodStats, SystemContainer
from tiphys.api.core.pod import Pod
from tiphys.clock import Clock

SHARE_SECONDS = 1.0
DISK_AGE_SECONDS = 60.0


@dataclass(frozen=True)
class StatsSources:
    """Where to look.  `pods` are those of this node, `containers` what the runtime has of them."""

    node_name: str
    cgroups: Cgroups
    disk: DiskUsage
    node_dir: Path
    images_dir: Path
    images_bytes: Callable[[], int]
    pods: Callable[[], Sequence[Pod]]
    containers: Callable[[], Awaitable[Sequence[ContainerStatus]]]
    log_dir: Callable[[Pod], Path]


class StatsCollector:
    """One per agent."""

    def __init__(self, sources: StatsSources, clock: Clock) -> None:
        self._sources, self._clock = sources, clock
        self._rates = CpuRates()
        self._turn = asyncio.Lock()
        self._last: tuple[float, bool, NodeSnapshot] | None = None  # when, how lean, what
        self._booted_at = datetime.fromtimestamp(machine.boot_seconds(), UTC)
        self._started_at = clock.now()

    async def look(self, *, disk: bool = False, lean: bool = False) -> NodeSnapshot:
        """The node now; with `disk` also what pods take on it (up to a minute old); `lean`: only CPU time and memory of
        pods and containers are asked for."""
        async with self._turn:
            now = self._clock.monotonic()
            last = self._last
            if last is None or now - last[0] >= SHARE_SECONDS or (last[1] and not lean):
                pods = self._running_pods(await self._sources.containers())
                last = self._last = now, lean, await asyncio.to_thread(self._look, pods, now, lean)
            found = last[2]
        return await self._with_disk(found) if disk else found

    def _running_pods(self, statuses: Iterable[ContainerStatus]) -> list[tuple[Pod, list[ContainerStatus]]]:
        by_pod: dict[str, list[ContainerStatus]] = {}
        for status in statuses:
            if status.state == "running":
                by_pod.setdefault(status.spec.pod_uid, []).append(status)
        return [(pod, by_pod[pod.metadata.uid]) for pod in self._sources.pods() if pod.metadata.uid in by_pod]

    def _look(self, pods: Iterable[tuple[Pod, list[ContainerStatus]]], now: float, lean: bool) -> NodeSnapshot:
        sources = self._sources
        found = tuple(self._pod(pod, containers, now, lean) for pod, containers in pods)
        here = machine.interfaces_of("self")
        cpu = machine.cpu_ns()
        snapshot = NodeSnapshot(
            at=self._clock.now(),
            node_name=sources.node_name,
            booted_at=self._booted_at,
            cpu_ns=cpu,
            cpu_nano_cores=self._rates.rate("/", cpu, now),
            cpus=os.cpu_count() or 1,
            memory=machine.memory(),
            processes=machine.processes(),
            node_fs=machine.file_system(sources.node_dir),
            image_fs=machine.file_system(sources.images_dir),
            images_bytes=sources.images_bytes(),
            containers_bytes=None,
            interfaces=tuple(here),
            default_interface=_default_interface() or (here[0].name if here else ""),
            system=tuple(self._system(now)),
            pods=found,
        )
        self._rates.forget_all_but(now)
        return snapshot

    def _pod(self, pod: Pod, statuses: Sequence[ContainerStatus], now: float, lean: bool) -> PodStats:
        cgroups = self._sources.cgroups
        path = cgroups.pod_path(pod.metadata.uid, qos_class(pod))
        containers = []
        for status in statuses:
            own = cgroups.container_path(status.spec.cgroup_parent, status.id)
            usage = read_usage(cgroups, own, lean=lean)
            if usage is not None:
                rate = self._rates.rate(own, usage.cpu_ns, now)
                image = status.spec.image
                containers.append(
                    ContainerStats(status.id, status.spec.name, image, own, status.started_at, usage, rate)
                )
        usage = read_usage(cgroups, path, lean=True)  # the details are asked of containers
        return PodStats(
            uid=pod.metadata.uid,
            name=pod.metadata.name,
            namespace=pod.metadata.namespace,
            cgroup=path,
            started_at=min((s.created_at for s in statuses if s.created_at is not None), default=None),
            usage=usage,
            cpu_nano_cores=self._rates.rate(path, usage.cpu_ns, now) if usage is not None else None,
            interfaces=() if lean or pod.spec.hostNetwork else tuple(machine.interfaces_of(statuses[0].pid)),
            containers=tuple(containers),
        )

    def _system(self, now: float) -> Iterable[SystemContainer]:
        cgroups = self._sources.cgroups
        path = cgroups.qos_path("Guaranteed")
        usage = read_usage(cgroups, path)
        if usage is not None:
            yield SystemContainer("pods", path, self._started_at, usage, self._rates.rate(path, usage.cpu_ns, now))
        own = _own_usage()
        yield SystemContainer("kubelet", "/kubelet", self._started_at, own, self._rates.rate("self", own.cpu_ns, now))

    async def _with_disk(self, found: NodeSnapshot) -> NodeSnapshot:
        """The same with what the pods take on disk, which may be older."""
        sources = self._sources
        containers = await sources.containers()
        by_uid = {pod.metadata.uid: pod for pod in sources.pods()}
        pods, layers = [], 0
        for one in found.pods:
            pod = by_uid.get(one.uid)
            if pod is None:
                continue  # gone meanwhile
            own = [status for status in containers if status.spec.pod_uid == one.uid]
            disk = await sources.disk.of_pod(pod, own, sources.log_dir(pod), DISK_AGE_SECONDS)
            layers += sum(layer.bytes for layer in disk.layers.values())
            pods.append(replace(one, disk=disk))
        sources.disk.forget_all_but(by_uid)
        return replace(found, pods=tuple(pods), containers_bytes=layers)


def _own_usage() -> Usage:
    """Of this process, from /proc: it has no cgroup of its own."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    memory = [int(word) * os.sysconf("SC_PAGE_SIZE") for word in Path("/proc/self/statm").read_text().split()[:3]]
    ticks = (int(fields[11]) + int(fields[12])) * 10**9 // os.sysconf("SC_CLK_TCK")
    rss = memory[1]
    return Usage(
        cpu_ns=ticks,
        memory_bytes=rss,
        working_set_bytes=rss,
        rss_bytes=rss - memory[2],
        page_faults=int(fields[7]),
        major_page_faults=int(fields[9]),
    )


def _default_interface() -> str:
    """The interface of the default route; "" when there is none."""
    for line in Path("/proc/self/net/route").read_text().splitlines()[1:]:
        words = line.split()
        if len(words) > 2 and words[1] == "00000000":
            return words[0]
    return ""
