"""How many pods of a disruption budget may go now.  Pure.

A pod is healthy when it is ready and nobody has begun to take it away: an eviction notes its pod in
`status.disruptedPods` before it deletes it, and the note holds until the pod is seen going or DELETION_SECONDS passed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from controllers.deployment_scaling import scaled
from controllers.podconditions import is_ready
from tiphys.api.core.pod import Pod
from tiphys.api.meta import Condition
from tiphys.api.policy.poddisruptionbudget import PodDisruptionBudget, PodDisruptionBudgetStatus
from tiphys.api.times import format_time, parse_time

DELETION_SECONDS = 120  # how long an evicted pod may stay before it counts as healthy again
ALLOWED = "DisruptionAllowed"


@dataclass(frozen=True)
class Disrupted:
    """`pods`: noted and still expected to go; `overdue`: noted, but they did not; `next_seconds`: when to look."""

    pods: Mapping[str, str]
    overdue: Sequence[Pod]
    next_seconds: float | None


def needs_scale(budget: PodDisruptionBudget) -> bool:
    """The bound is relative to how many pods the owners want, not only to those that are there."""
    spec = budget.spec
    return spec.maxUnavailable is not None or isinstance(spec.minAvailable, str)


def desired_healthy(budget: PodDisruptionBudget, expected: int) -> int:
    """How many of `expected` pods must be healthy; shares are rounded up."""
    spec = budget.spec
    if spec.maxUnavailable is not None:
        return max(0, expected - scaled(spec.maxUnavailable, expected, round_up=True))
    return scaled(spec.minAvailable, expected, round_up=True)


def disrupted(budget: PodDisruptionBudget, pods: Sequence[Pod], now: datetime) -> Disrupted:
    noted, overdue, waits = dict[str, str](), list[Pod](), list[float]()
    for pod in pods:
        at = budget.status.disruptedPods.get(pod.metadata.name)
        if at is None or pod.metadata.deletionTimestamp:
            continue
        left = (parse_time(at) + timedelta(seconds=DELETION_SECONDS) - now).total_seconds()
        if left < 0:
            overdue.append(pod)
        else:
            noted[pod.metadata.name] = at
            waits.append(left)
    return Disrupted(noted, overdue, min(waits, default=None))


def next_status(
    budget: PodDisruptionBudget,
    pods: Sequence[Pod],
    expected: int,
    going: Mapping[str, str],
    now: datetime,
) -> PodDisruptionBudgetStatus:
    """`pods` are those the budget selects, `expected` how many its owners want, `going` those noted as disrupted."""
    healthy = sum(
        is_ready(pod) for pod in pods if not pod.metadata.deletionTimestamp and pod.metadata.name not in going
    )
    desired = desired_healthy(budget, expected)
    allowed = max(0, healthy - desired) if expected > 0 else 0
    reason = "SufficientPods" if allowed else "InsufficientPods"
    return budget.status.model_copy(
        update={
            "observedGeneration": budget.metadata.generation,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
            "disruptionsAllowed": allowed,
            "disruptedPods": dict(going),
            "conditions": _conditions(budget, bool(allowed), reason, "", now),
        }
    )


def failed_status(budget: PodDisruptionBudget, message: str, now: datetime) -> PodDisruptionBudgetStatus:
    """Nobody knows how many pods there should be, so none may go."""
    return budget.status.model_copy(
        update={
            "observedGeneration": budget.metadata.generation,
            "disruptionsAllowed": 0,
            "conditions": _conditions(budget, False, "SyncFailed", message, now),
        }
    )


def _conditions(
    budget: PodDisruptionBudget, allowed: bool, reason: str, message: str, now: datetime
) -> list[Condition]:
    status = "True" if allowed else "False"
    before = next((one for one in budget.status.conditions if one.type == ALLOWED), None)
    since = before.lastTransitionTime if before is not None and before.status == status else format_time(now)
    new = Condition(
        type=ALLOWED,
        status=status,
        reason=reason,
        message=message,
        observedGeneration=budget.metadata.generation,
        lastTransitionTime=since,
    )
    if before is None:
        return [*budget.status.conditions, new]
    return [new if one.type == ALLOWED else one for one in budget.status.conditions]
