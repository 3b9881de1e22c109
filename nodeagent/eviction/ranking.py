"""Which pod goes first when a resource runs out: upstream's order.  Pure.

Whoever uses more than it asked for goes before those who do not; then the lower priority; then whoever is furthest
above its request.  A pod nothing is known of goes first: it may be the one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nodeagent.pods.podrequests import pod_requests
from nodeagent.stats.snapshot import PodStats
from tiphys.api.core.pod import Pod


@dataclass(frozen=True)
class Candidate:
    """A pod and what is known of its use."""

    pod: Pod
    stats: PodStats | None = None

    def used(self, resource: str) -> int | None:
        """In bytes or pieces; None when nothing is known."""
        if self.stats is None:
            return None
        if resource in ("memory", "pids"):
            usage = self.stats.usage
            if usage is None:
                return None
            return usage.working_set_bytes if resource == "memory" else usage.processes or 0
        if self.stats.disk is None:
            return None
        total = self.stats.disk.total()
        return total.inodes if resource == "inodes" else total.bytes

    def requested(self, resource: str) -> int:
        """Nobody requests inodes or processes."""
        return 0 if resource in ("inodes", "pids") else pod_requests(self.pod).get(resource, 0)


def rank(candidates: Sequence[Candidate], resource: str) -> list[Candidate]:
    """The first is to be evicted first.  `resource`: memory, ephemeral-storage, inodes or pids."""
    if resource == "pids":
        return sorted(candidates, key=lambda one: (one.pod.spec.priority or 0, -(one.used(resource) or 0)))

    def order(one: Candidate) -> tuple[bool, bool, int, int]:
        used, requested = one.used(resource), one.requested(resource)
        exceeds = used is not None and used > requested
        return used is not None, not exceeds, one.pod.spec.priority or 0, requested - (used or 0)

    return sorted(candidates, key=order)
