"""The status of a ReplicaSet: counts over its pods, and the ReplicaFailure condition.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from controllers.podconditions import available_in_seconds, is_ready
from tiphys.api.apps.replicaset import ReplicaSet, ReplicaSetCondition, ReplicaSetStatus
from tiphys.api.core.pod import Pod
from tiphys.api.times import format_time

FAILURE = "ReplicaFailure"


def next_status(
    replica_set: ReplicaSet,
    owned: Sequence[Pod],
    active: Sequence[Pod],
    failed: tuple[str, str] | None,
    now: datetime,
) -> ReplicaSetStatus:
    """What the status should say; `failed` is (reason, message) of creates or deletes that were refused."""
    min_ready, labels = replica_set.spec.minReadySeconds, replica_set.spec.template.metadata.labels.items()
    return replica_set.status.model_copy(
        update={
            "replicas": len(active),
            "fullyLabeledReplicas": sum(labels <= pod.metadata.labels.items() for pod in active),
            "readyReplicas": sum(is_ready(pod) for pod in active),
            "availableReplicas": sum(available_in_seconds(pod, min_ready, now) == 0 for pod in active),
            "terminatingReplicas": sum(_is_terminating(pod) for pod in owned),
            "observedGeneration": replica_set.metadata.generation,
            "conditions": _conditions(replica_set.status, failed, now),
        }
    )


def _is_terminating(pod: Pod) -> bool:
    return bool(pod.metadata.deletionTimestamp) and pod.status.phase not in ("Succeeded", "Failed")


def _conditions(
    status: ReplicaSetStatus, failed: tuple[str, str] | None, now: datetime
) -> Sequence[ReplicaSetCondition]:
    """The condition appears with the first failure, stays as it is while failing, and goes with the first success."""
    present = any(condition.type == FAILURE for condition in status.conditions)
    if failed is None:
        return [condition for condition in status.conditions if condition.type != FAILURE]
    if present:
        return status.conditions
    reason, message = failed
    return [
        *status.conditions,
        ReplicaSetCondition(
            type=FAILURE, status="True", reason=reason, message=message, lastTransitionTime=format_time(now)
        ),
    ]


def availability_due_seconds(replica_set: ReplicaSet, active: Sequence[Pod], now: datetime) -> float | None:
    """When the next ready pod becomes available by the passing of minReadySeconds; None when none waits for that."""
    min_ready = replica_set.spec.minReadySeconds
    waiting = [left for pod in active if (left := available_in_seconds(pod, min_ready, now))]
    return min(waiting, default=None)
