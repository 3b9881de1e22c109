"""Requests and limits of containers and pods as the numbers a cgroup takes.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nodeagent.pods.qos import request_milli_cpu
from nodeagent.pods.restart import is_sidecar
from nodeagent.runtime.cgroups import cpu_quota_us, cpu_shares, hugepage_size
from nodeagent.runtime.interface import Resources
from tiphys.api.core.container import Container
from tiphys.api.core.pod import Pod
from tiphys.api.quantity import milli, value

POD_PIDS_LIMIT = 0  # none, as the kubelet's default


def container_resources(container: Container, pids_limit: int = POD_PIDS_LIMIT) -> Resources:
    """CPU shares from the request, quota and memory limit from the limits."""
    limits = container.resources.limits
    return Resources(
        cpu_shares=cpu_shares(request_milli_cpu(container)),
        cpu_quota_us=cpu_quota_us(milli(limits["cpu"])) if limits.get("cpu") else 0,
        memory_limit_bytes=value(limits["memory"]) if limits.get("memory") else 0,
        pids_limit=pids_limit,
        hugepage_limits=_hugepages(limits),
    )


def _hugepages(limits: Mapping[str, str]) -> dict[str, int]:
    prefix = "hugepages-"
    found = {name: amount for name, amount in limits.items() if name.startswith(prefix)}
    return {hugepage_size(name.removeprefix(prefix)): value(amount) for name, amount in found.items()}


def pod_resources(pod: Pod, pids_limit: int = POD_PIDS_LIMIT) -> Resources:
    """The pod's cgroup: sums of what runs at the same time; a limit only where every container has one."""
    together = [*pod.spec.containers, *(c for c in pod.spec.initContainers if is_sidecar(c))]
    alone = [c for c in pod.spec.initContainers if not is_sidecar(c)]

    def limit(name: str, amounts: Iterable[tuple[Container, int]]) -> int:
        by_container = {c.name: amount for c, amount in amounts}
        if not all(by_container.values()):
            return 0
        return max([sum(by_container[c.name] for c in together), *(by_container[c.name] for c in alone)])

    everyone = [*together, *alone]
    cpu = limit("cpu", ((c, milli(c.resources.limits.get("cpu", "0"))) for c in everyone))
    memory = limit("memory", ((c, value(c.resources.limits.get("memory", "0"))) for c in everyone))
    request = max([sum(map(request_milli_cpu, together)), *map(request_milli_cpu, alone)])
    return Resources(
        cpu_shares=cpu_shares(request),
        cpu_quota_us=cpu_quota_us(cpu) if cpu else 0,
        memory_limit_bytes=memory,
        pids_limit=pids_limit,
    )
