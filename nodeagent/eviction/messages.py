"""What an eviction says, in upstream's words.  Pure."""

from __future__ import annotations

from collections.abc import Iterable

from nodeagent.eviction.ranking import Candidate
from nodeagent.eviction.signals import Observation
from nodeagent.eviction.thresholds import Threshold
from tiphys.api.core.container import Container
from tiphys.api.quantity import canonical, format_bytes, value

REASON = "Evicted"
_COUNTS = ("inodes", "pids")


def evicted(candidate: Candidate, threshold: Threshold, seen: Observation | None) -> str:
    """Why the pod had to go, and which of its containers used more than they asked for."""
    resource = threshold.resource
    text = f"The node was low on resource: {resource}. "
    if seen is not None:
        wanted = _amount(threshold.amount.of(seen.capacity), resource)
        text += f"Threshold quantity: {wanted}, available: {_amount(seen.available, resource)}. "
    for container in candidate.pod.spec.containers:
        used = _used(candidate, container.name, resource)
        request = container.resources.requests.get(resource, "")
        if used is not None and used > (value(request) if request else 0):
            asked = canonical(request) if request else "0"
            text += (
                f"Container {container.name} was using {format_bytes(used)}, request is {asked}, "
                f"has larger consumption of {resource}. "
            )
    return text


def rejected(conditions: Iterable[str]) -> str:
    """Why a pod is not taken."""
    return f"The node had condition: [{' '.join(sorted(conditions))}]. "


def container_over_limit(container: Container, limit: str) -> str:
    return f'Container {container.name} exceeded its local ephemeral storage limit "{canonical(limit)}". '


def pod_over_limit(limit_bytes: int) -> str:
    text = format_bytes(limit_bytes)
    return f"Pod ephemeral local storage usage exceeds the total limit of containers {text}. "


def _used(candidate: Candidate, container: str, resource: str) -> int | None:
    stats = candidate.stats
    if stats is None or resource in _COUNTS:
        return None
    if resource == "memory":
        return next((one.usage.working_set_bytes for one in stats.containers if one.name == container), None)
    return stats.disk.container(container).bytes if stats.disk is not None else None


def _amount(number: int, resource: str) -> str:
    return str(number) if resource in _COUNTS else format_bytes(number)
