"""What the scheduler needs to know of a pod, computed once when the pod is first seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tiphys.api.core.pod import Pod
from tiphys.api.quantity import milli, value

DEFAULT_CPU_MILLI = 100  # what scoring assumes of a container that requests nothing
DEFAULT_MEMORY_BYTES = 200 * 1024 * 1024
TERMINAL_PHASES = ("Succeeded", "Failed")

Requests = dict[str, int]  # millicores for cpu, whole units for everything else


@dataclass(frozen=True, slots=True)
class HostPort:
    ip: str
    protocol: str
    port: int

    def clashes(self, other: HostPort) -> bool:
        """Two host ports clash unless they differ in port, protocol or specific address."""
        if (self.port, self.protocol) != (other.port, other.protocol):
            return False
        return self.ip == other.ip or "0.0.0.0" in (self.ip, other.ip)


@dataclass(frozen=True, slots=True)
class PodInfo:
    """`requests` is what the pod takes from a node; `assumed` is the same with defaults for scoring."""

    pod: Pod
    uid: str
    key: str  # namespace/name
    priority: int
    requests: Mapping[str, int]
    assumed_cpu_milli: int
    assumed_memory_bytes: int
    host_ports: frozenset[HostPort]

    @property
    def node_name(self) -> str:
        return self.pod.spec.nodeName


def amount(resource: str, quantity: str) -> int:
    return milli(quantity) if resource == "cpu" else value(quantity)


def _container_requests(requests: Mapping[str, str], *, assume: bool) -> Requests:
    result = {name: amount(name, quantity) for name, quantity in requests.items()}
    if assume:
        result.setdefault("cpu", DEFAULT_CPU_MILLI)
        result.setdefault("memory", DEFAULT_MEMORY_BYTES)
    return result


def _add(total: Requests, more: Mapping[str, int]) -> None:
    for name, count in more.items():
        total[name] = total.get(name, 0) + count


def _max(total: Requests, other: Mapping[str, int]) -> None:
    for name, count in other.items():
        total[name] = max(total.get(name, 0), count)


def pod_requests(pod: Pod, *, assume: bool = False) -> Requests:
    """The sum over containers and sidecars, at least what each init container needs while it runs, plus overhead.

    Pod-level requests replace the sum for the resources they name.  Source: component-helpers resource.PodRequests.
    """
    total: Requests = {}
    for container in pod.spec.containers:
        _add(total, _container_requests(container.resources.requests, assume=assume))
    sidecars: Requests = {}
    while_starting: Requests = {}
    for container in pod.spec.initContainers:
        mine = _container_requests(container.resources.requests, assume=assume)
        if container.restartPolicy == "Always":
            _add(sidecars, mine)
            _add(total, mine)
            _max(while_starting, sidecars)
        else:
            _add(mine, sidecars)
            _max(while_starting, mine)
    _max(total, while_starting)
    if pod.spec.resources is not None:
        total.update({name: amount(name, text) for name, text in pod.spec.resources.requests.items()})
    _add(total, {name: amount(name, text) for name, text in pod.spec.overhead.items()})
    return total


def _host_ports(pod: Pod) -> Iterable[HostPort]:
    for container in (*pod.spec.containers, *(c for c in pod.spec.initContainers if c.restartPolicy == "Always")):
        for port in container.ports:
            if port.hostPort:
                yield HostPort(port.hostIP or "0.0.0.0", port.protocol or "TCP", port.hostPort)


def pod_info(pod: Pod) -> PodInfo:
    assumed = pod_requests(pod, assume=True)
    return PodInfo(
        pod=pod,
        uid=pod.metadata.uid,
        key=f"{pod.metadata.namespace}/{pod.metadata.name}",
        priority=pod.spec.priority or 0,
        requests=pod_requests(pod),
        assumed_cpu_milli=assumed.get("cpu", 0),
        assumed_memory_bytes=assumed.get("memory", 0),
        host_ports=frozenset(_host_ports(pod)),
    )
