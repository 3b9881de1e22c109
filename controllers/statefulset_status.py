"""The status of a StatefulSet: counts over its pods, and which revision is current.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from controllers.podconditions import available_in_seconds, is_ready
from controllers.statefulset_identity import replicas_of, revision_of
from controllers.statefulset_plan import is_available, is_terminating
from tiphys.api.apps.statefulset import StatefulSet, StatefulSetStatus
from tiphys.api.core.pod import Pod


def next_status(
    stateful_set: StatefulSet,
    pods: Sequence[Pod],
    current: str,
    update: str,
    collision_count: int | None,
    now: datetime,
) -> StatefulSetStatus:
    """`current` and `update` are names of revisions; the update becomes current when every pod has it and is ready."""
    staying = [pod for pod in pods if not is_terminating(pod)]
    updated = sum(revision_of(pod) == update for pod in staying)
    ready = sum(pod.status.phase == "Running" and is_ready(pod) for pod in pods)
    current_count = sum(revision_of(pod) == current for pod in staying)
    wanted = replicas_of(stateful_set)
    rolling = stateful_set.spec.updateStrategy.type == "RollingUpdate"
    if rolling and (updated, ready, len(pods)) == (wanted, wanted, wanted):
        current, current_count = update, updated
    return stateful_set.status.model_copy(
        update={
            "observedGeneration": stateful_set.metadata.generation,
            "replicas": len(pods),
            "readyReplicas": ready,
            "availableReplicas": sum(is_available(pod, stateful_set.spec.minReadySeconds, now) for pod in pods),
            "currentReplicas": current_count,
            "updatedReplicas": updated,
            "currentRevision": current,
            "updateRevision": update,
            "collisionCount": collision_count or 0,
        }
    )


def availability_due_seconds(stateful_set: StatefulSet, pods: Sequence[Pod], now: datetime) -> float | None:
    """When the next ready pod becomes available by the passing of minReadySeconds."""
    min_ready = stateful_set.spec.minReadySeconds
    waiting = [left for pod in pods if (left := available_in_seconds(pod, min_ready, now))]
    return min(waiting, default=None)
