"""Limits on ephemeral storage: a pod or container that takes more than it may ends its pod.  Pure."""

from __future__ import annotations

from nodeagent.eviction import messages
from nodeagent.stats.disk import PodDisk
from tiphys.api.core.pod import Pod
from tiphys.api.quantity import value

RESOURCE = "ephemeral-storage"


def is_limited(pod: Pod) -> bool:
    """Whether the pod's disk need be looked at at all."""
    return _pod_limit(pod) is not None


def over_limit(pod: Pod, disk: PodDisk) -> str:
    """Upstream's sentence for the first limit that is exceeded, or ""."""
    limit = _pod_limit(pod)
    if limit is not None and disk.total().bytes > limit:
        return messages.pod_over_limit(limit)
    for container in pod.spec.containers:
        own = container.resources.limits.get(RESOURCE, "")
        if own and disk.container(container.name).bytes > value(own):
            return messages.container_over_limit(container, own)
    return ""


def _pod_limit(pod: Pod) -> int | None:
    """The sum of the limits of those that have one (or the largest of an init container); None when nobody has."""
    together = [value(text) for one in pod.spec.containers if (text := one.resources.limits.get(RESOURCE, ""))]
    sidecars = [one for one in pod.spec.initContainers if one.restartPolicy == "Always"]
    together += [value(text) for one in sidecars if (text := one.resources.limits.get(RESOURCE, ""))]
    alone = [value(text) for one in pod.spec.initContainers if (text := one.resources.limits.get(RESOURCE, ""))]
    return max(sum(together), *alone) if alone else sum(together) if together else None
