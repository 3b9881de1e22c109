"""Reading a pod's Ready condition: ready, since when, and available for how long."""

from __future__ import annotations

from datetime import datetime

from tiphys.api.core.pod import Pod
from tiphys.api.core.podstatus import PodCondition
from tiphys.api.times import parse_time


def condition(pod: Pod, type: str) -> PodCondition | None:
    for item in pod.status.conditions:
        if item.type == type:
            return item
    return None


def is_ready(pod: Pod) -> bool:
    ready = condition(pod, "Ready")
    return ready is not None and ready.status == "True"


def ready_since(pod: Pod) -> datetime | None:
    """When the Ready condition last changed; None if the pod is not ready or does not say."""
    ready = condition(pod, "Ready")
    if ready is None or ready.status != "True" or not ready.lastTransitionTime:
        return None
    return parse_time(ready.lastTransitionTime)


def available_in_seconds(pod: Pod, min_ready_seconds: int, now: datetime) -> float | None:
    """0: the pod is available; more: it will be then, if it stays ready; None: it is not ready."""
    if not is_ready(pod):
        return None
    if min_ready_seconds == 0:
        return 0.0
    since = ready_since(pod)
    if since is None:
        return None
    return max(0.0, min_ready_seconds - (now - since).total_seconds())
