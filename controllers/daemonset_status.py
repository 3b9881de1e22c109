"""The status of a DaemonSet: on how many nodes it should run, does run, is ready.  Pure."""

from __future__ import annotations

from controllers.daemonset_plan import Situation
from controllers.podconditions import available_in_seconds, is_ready
from tiphys.api.apps.daemonset import DaemonSetStatus


def next_status(now: Situation, collision_count: int | None) -> DaemonSetStatus:
    """A node counts by its oldest pod."""
    wanted = scheduled = misscheduled = ready = available = updated = 0
    for name, (start, _) in now.fits.items():
        found = now.pods.get(name, ())
        wanted += start
        if not found:
            continue
        if not start:
            misscheduled += 1
            continue
        scheduled += 1
        ready += is_ready(found[0])
        available += now.is_available(found[0])
        updated += now.is_updated(found[0])
    return now.daemon_set.status.model_copy(
        update={
            "observedGeneration": now.daemon_set.metadata.generation,
            "desiredNumberScheduled": wanted,
            "currentNumberScheduled": scheduled,
            "numberMisscheduled": misscheduled,
            "numberReady": ready,
            "numberAvailable": available,
            "numberUnavailable": wanted - available,
            "updatedNumberScheduled": updated,
            "collisionCount": collision_count,
        }
    )


def availability_due_seconds(now: Situation) -> float | None:
    """When the next ready pod becomes available by the passing of minReadySeconds."""
    min_ready = now.daemon_set.spec.minReadySeconds
    pods = [pod for found in now.pods.values() for pod in found]
    return min((left for pod in pods if (left := available_in_seconds(pod, min_ready, now.now))), default=None)
