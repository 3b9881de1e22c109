"""The status of a Deployment: counts over its ReplicaSets and three conditions.  Pure.

`Available` follows the counts.  `Progressing` tells the story of the rollout: created, found, updated, complete, or
past its deadline.  `ReplicaFailure` repeats what a ReplicaSet says.  A condition's times change as upstream's do:
tools compute deadlines from lastUpdateTime, and `kubectl rollout status` reads the reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from controllers.deployment_scaling import max_unavailable, replicas_of, total
from tiphys.api.apps.deployment import Deployment, DeploymentCondition, DeploymentStatus
from tiphys.api.apps.replicaset import ReplicaSet
from tiphys.api.times import format_time, parse_time

NO_DEADLINE = 2**31 - 1
Conditions = list[DeploymentCondition]


def find(conditions: Sequence[DeploymentCondition], type: str) -> DeploymentCondition | None:
    return next((condition for condition in conditions if condition.type == type), None)


def without(conditions: Sequence[DeploymentCondition], type: str) -> Conditions:
    return [condition for condition in conditions if condition.type != type]


def made(type: str, status: str, reason: str, message: str, now: datetime) -> DeploymentCondition:
    at = format_time(now)
    return DeploymentCondition(
        type=type, status=status, reason=reason, message=message, lastUpdateTime=at, lastTransitionTime=at
    )


def with_condition(conditions: Sequence[DeploymentCondition], new: DeploymentCondition) -> Conditions:
    """`conditions` with `new`; nothing changes while status and reason stay, a transition is a change of status."""
    current = find(conditions, new.type)
    if current is not None and (current.status, current.reason) == (new.status, new.reason):
        return list(conditions)
    if current is not None and current.status == new.status:
        new = new.model_copy(update={"lastTransitionTime": current.lastTransitionTime})
    return [*without(conditions, new.type), new]


def has_deadline(deployment: Deployment) -> bool:
    return deployment.spec.progressDeadlineSeconds not in (None, NO_DEADLINE)


def counted(deployment: Deployment, everyone: Sequence[ReplicaSet], new: ReplicaSet | None) -> DeploymentStatus:
    """The counts of now with the conditions of before."""
    available = sum(rs.status.availableReplicas for rs in everyone)
    return deployment.status.model_copy(
        update={
            "observedGeneration": deployment.metadata.generation,
            "replicas": sum(rs.status.replicas for rs in everyone),
            "updatedReplicas": new.status.replicas if new is not None else 0,
            "readyReplicas": sum(rs.status.readyReplicas for rs in everyone),
            "availableReplicas": available,
            "unavailableReplicas": max(0, total(everyone) - available),
            "terminatingReplicas": sum(rs.status.terminatingReplicas or 0 for rs in everyone),
        }
    )


def is_complete(deployment: Deployment, status: DeploymentStatus) -> bool:
    """Every wanted pod is of the new template and available, and no other is left."""
    wanted = replicas_of(deployment)
    counts = (status.updatedReplicas, status.replicas, status.availableReplicas)
    return counts == (wanted, wanted, wanted) and status.observedGeneration >= deployment.metadata.generation


def has_progressed(before: DeploymentStatus, status: DeploymentStatus) -> bool:
    return (
        status.updatedReplicas > before.updatedReplicas
        or status.replicas - status.updatedReplicas < before.replicas - before.updatedReplicas
        or status.readyReplicas > before.readyReplicas
        or status.availableReplicas > before.availableReplicas
    )


def has_timed_out(deployment: Deployment, conditions: Sequence[DeploymentCondition], now: datetime) -> bool:
    progressing = find(conditions, "Progressing")
    if progressing is None or progressing.reason == "NewReplicaSetAvailable":
        return False
    if progressing.reason == "ProgressDeadlineExceeded":
        return True
    if not progressing.lastUpdateTime:
        return False
    allowed = timedelta(seconds=deployment.spec.progressDeadlineSeconds or 0)
    return parse_time(progressing.lastUpdateTime) + allowed < now


def _availability(deployment: Deployment, status: DeploymentStatus, now: datetime) -> DeploymentCondition:
    if status.availableReplicas >= replicas_of(deployment) - max_unavailable(deployment):
        message = "Deployment has minimum availability."
        return made("Available", "True", "MinimumReplicasAvailable", message, now)
    message = "Deployment does not have minimum availability."
    return made("Available", "False", "MinimumReplicasUnavailable", message, now)


def scaling_status(
    deployment: Deployment, everyone: Sequence[ReplicaSet], new: ReplicaSet | None, now: datetime
) -> DeploymentStatus:
    """The status while paused or only being scaled: counts and availability, no word about progress."""
    status = counted(deployment, everyone, new)
    conditions = with_condition(status.conditions, _availability(deployment, status, now))
    return status.model_copy(update={"conditions": conditions})


def rollout_status(
    deployment: Deployment,
    everyone: Sequence[ReplicaSet],
    new: ReplicaSet | None,
    note: DeploymentCondition | None,
    now: datetime,
) -> DeploymentStatus:
    """The status during and after a rollout; `note` is what this turn did (created or found the ReplicaSet)."""
    status = scaling_status(deployment, everyone, new, now)
    conditions: Conditions = list(status.conditions)
    if note is not None:
        conditions = with_condition(conditions, note)
    if not has_deadline(deployment):
        conditions = without(conditions, "Progressing")
    elif not _was_complete(conditions, status):
        conditions = _told_progress(deployment, status, conditions, new, now)
    failing = [rs for rs in [*([new] if new else []), *everyone] for c in rs.status.conditions if c.type == FAILURE]
    if failing:
        said = next(c for c in failing[0].status.conditions if c.type == FAILURE)
        conditions = with_condition(conditions, made(FAILURE, said.status, said.reason, said.message, now))
    else:
        conditions = without(conditions, FAILURE)
    return status.model_copy(update={"conditions": conditions})


FAILURE = "ReplicaFailure"


def _was_complete(conditions: Sequence[DeploymentCondition], status: DeploymentStatus) -> bool:
    progressing = find(conditions, "Progressing")
    available = progressing is not None and progressing.reason == "NewReplicaSetAvailable"
    return available and status.replicas == status.updatedReplicas


def _told_progress(
    deployment: Deployment,
    status: DeploymentStatus,
    conditions: Conditions,
    new: ReplicaSet | None,
    now: datetime,
) -> Conditions:
    subject = f'ReplicaSet "{new.metadata.name}"' if new is not None else f'Deployment "{deployment.metadata.name}"'
    if is_complete(deployment, status):
        message = f"{subject} has successfully progressed."
        return with_condition(conditions, made("Progressing", "True", "NewReplicaSetAvailable", message, now))
    if has_progressed(deployment.status, status):
        told = made("Progressing", "True", "ReplicaSetUpdated", f"{subject} is progressing.", now)
        current = find(conditions, "Progressing")
        if current is not None and current.status == "True":
            told = told.model_copy(update={"lastTransitionTime": current.lastTransitionTime})
        return [*without(conditions, "Progressing"), told]  # replaced even when equal: the deadline starts anew
    if has_timed_out(deployment, conditions, now):
        message = f"{subject} has timed out progressing."
        return with_condition(conditions, made("Progressing", "False", "ProgressDeadlineExceeded", message, now))
    return conditions


def paused_condition(deployment: Deployment, now: datetime) -> DeploymentCondition | None:
    """The Progressing condition that pausing or resuming calls for; None: nothing to say."""
    progressing = find(deployment.status.conditions, "Progressing")
    reason = progressing.reason if progressing is not None else ""
    if not has_deadline(deployment) or reason == "ProgressDeadlineExceeded":
        return None
    if deployment.spec.paused and reason != "DeploymentPaused":
        return made("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", now)
    if not deployment.spec.paused and reason == "DeploymentPaused":
        return made("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed", now)
    return None


def deadline_due_seconds(deployment: Deployment, status: DeploymentStatus, now: datetime) -> float | None:
    """When to look whether the rollout is past its deadline; None: it is not being timed."""
    progressing = find(status.conditions, "Progressing")
    if not has_deadline(deployment) or progressing is None or not progressing.lastUpdateTime:
        return None
    if is_complete(deployment, status) or progressing.reason in ("ProgressDeadlineExceeded", "NewReplicaSetAvailable"):
        return None
    if deployment.spec.paused:
        return None
    due = parse_time(progressing.lastUpdateTime) + timedelta(seconds=deployment.spec.progressDeadlineSeconds or 0)
    return max(0.0, (due - now).total_seconds()) + 1.0
