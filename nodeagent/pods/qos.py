"""The quality of service of a pod, from its requests and limits: which cgroup it lives in and how soon the OOM killer
comes.

Pure; upstream's GetPodQOS over cpu and memory of containers and init containers.
"""

from __future__ import annotations

from typing import cast, get_args

from nodeagent.runtime.cgroups import QosClass
from tiphys.api.core.container import Container
from tiphys.api.core.pod import Pod
from tiphys.api.quantity import milli, parse_quantity, value

_COMPUTE = ("cpu", "memory")


def qos_class(pod: Pod) -> QosClass:
    """Guaranteed, Burstable or BestEffort."""
    for known in get_args(QosClass):
        if pod.status.qosClass == known:
            return cast("QosClass", known)
    requests = dict.fromkeys(_COMPUTE, False)
    guaranteed = True
    any_set = False
    for container in [*pod.spec.containers, *pod.spec.initContainers]:
        for name in _COMPUTE:
            limit = _nonzero(container.resources.limits.get(name, ""))
            request = _nonzero(container.resources.requests.get(name, "")) or limit
            any_set = any_set or bool(limit or request)
            requests[name] = requests[name] or bool(request)
            if not limit or parse_quantity(limit) != parse_quantity(request):
                guaranteed = False
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _nonzero(text: str) -> str:
    return text if text and parse_quantity(text) != 0 else ""


def request_milli_cpu(container: Container) -> int:
    """The CPU request in thousandths; the limit stands in for a missing request."""
    text = container.resources.requests.get("cpu", "") or container.resources.limits.get("cpu", "")
    return milli(text) if text else 0


def oom_score_adj(pod: Pod, container: Container, memory_capacity_bytes: int) -> int:
    """Guaranteed -997, BestEffort 1000, Burstable by its share of the node's memory request (2..999)."""
    if pod.spec.priorityClassName == "system-node-critical":
        return -997
    quality = qos_class(pod)
    if quality == "Guaranteed":
        return -997
    if quality == "BestEffort":
        return 1000
    text = container.resources.requests.get("memory", "") or container.resources.limits.get("memory", "")
    request = value(text) if text else 0
    adjust = 1000 - (1000 * request) // max(memory_capacity_bytes, 1)
    return max(3, min(adjust, 999))
