"""The arithmetic of a rollout: how large each ReplicaSet of a Deployment should be next.  Pure.

Every function takes the sizes as they are and returns `Resize`s; the rounding is upstream's (surge up, unavailable
down, never both zero), because clients watch the numbers in between.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from controllers.deployment_revisions import by_age, int_annotation
from tiphys.api.apps.deployment import Deployment
from tiphys.api.apps.replicaset import ReplicaSet

DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"


@dataclass(frozen=True)
class Resize:
    replica_set: ReplicaSet
    size: int


def replicas_of(obj: Deployment | ReplicaSet) -> int:
    return 1 if obj.spec.replicas is None else obj.spec.replicas


def total(replica_sets: Iterable[ReplicaSet]) -> int:
    return sum(map(replicas_of, replica_sets))


def occupied(replica_set: ReplicaSet) -> int:
    """How many pods it may have until its controller has followed its last resize: the surge counts those too."""
    return max(replicas_of(replica_set), replica_set.status.replicas)


def is_settled(replica_set: ReplicaSet) -> bool:
    """Its controller has seen its size: until then it may still start pods for an older one."""
    return replica_set.status.observedGeneration >= replica_set.metadata.generation


def lasting(replica_set: ReplicaSet) -> int:
    """How many of its available pods stay once its controller has followed its last resize."""
    return min(replicas_of(replica_set), replica_set.status.availableReplicas)


def active(replica_sets: Iterable[ReplicaSet]) -> list[ReplicaSet]:
    """Those that want pods."""
    return [rs for rs in replica_sets if replicas_of(rs) > 0]


def is_rolling(deployment: Deployment) -> bool:
    return deployment.spec.strategy.type != "Recreate"


def scaled(value: int | str | None, of: int, *, round_up: bool) -> int:
    """An absolute number as it is, "25%" of `of` rounded."""
    if value is None:
        return 0
    if isinstance(value, int):
        return value
    percent = int(value.removesuffix("%"))
    return -(-percent * of // 100) if round_up else percent * of // 100


def fenceposts(deployment: Deployment) -> tuple[int, int]:
    """(surge, unavailable): how many pods more and how many available pods fewer than wanted a rollout may have."""
    if not is_rolling(deployment):
        return 0, 0
    wanted, rolling = replicas_of(deployment), deployment.spec.strategy.rollingUpdate
    surge = scaled(rolling.maxSurge if rolling else None, wanted, round_up=True)
    unavailable = scaled(rolling.maxUnavailable if rolling else None, wanted, round_up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1  # otherwise the rollout could never take a step
    return surge, min(unavailable, wanted)


def max_surge(deployment: Deployment) -> int:
    return fenceposts(deployment)[0]


def max_unavailable(deployment: Deployment) -> int:
    return fenceposts(deployment)[1]


def new_size(deployment: Deployment, replica_sets: Sequence[ReplicaSet], current: int) -> int:
    """How large the new ReplicaSet, now `current`, may become beside all `replica_sets` (itself included)."""
    wanted = replicas_of(deployment)
    if current > wanted or not is_rolling(deployment):
        return wanted
    room = wanted + max_surge(deployment) - sum(map(occupied, replica_sets))
    if current and not all(map(is_settled, replica_sets)):
        return current
    return current if room <= 0 else current + min(room, wanted - current)


def scale_down_old(deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]) -> list[Resize]:
    """The next sizes of the old ReplicaSets in a rolling update: unhealthy pods first, then as availability allows."""
    if total(old) == 0:
        return []
    least = replicas_of(deployment) - max_unavailable(deployment)
    new_unavailable = replicas_of(new) - new.status.availableReplicas
    budget = total([*old, new]) - least - new_unavailable
    if budget <= 0:
        return []
    sizes = {rs.metadata.uid: replicas_of(rs) for rs in old}
    oldest_first = sorted(old, key=by_age)
    for rs in oldest_first:
        unhealthy = min(budget, max(0, sizes[rs.metadata.uid] - rs.status.availableReplicas))
        sizes[rs.metadata.uid] -= unhealthy
        budget -= unhealthy
    surplus = sum(map(lasting, [*old, new])) - least
    for rs in oldest_first:
        healthy = min(max(surplus, 0), sizes[rs.metadata.uid])
        sizes[rs.metadata.uid] -= healthy
        surplus -= healthy
    return [Resize(rs, sizes[rs.metadata.uid]) for rs in oldest_first if sizes[rs.metadata.uid] != replicas_of(rs)]


def is_scaling_event(deployment: Deployment, replica_sets: Sequence[ReplicaSet]) -> bool:
    """spec.replicas changed since the active ReplicaSets were last sized."""
    wanted = replicas_of(deployment)
    noted = (int_annotation(rs, DESIRED_REPLICAS) for rs in active(replica_sets))
    return any(desired is not None and desired != wanted for desired in noted)


def rescale(deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet]) -> list[Resize]:
    """Follow a changed spec.replicas, or shrink old ReplicaSets when the new one is complete."""
    wanted = replicas_of(deployment)
    everyone = [*old, *([new] if new else [])]
    one = _active_or_latest(new, old)
    if one is not None:
        return [Resize(one, wanted)] if _needs(one, wanted, deployment) else []
    if new is not None and _is_saturated(deployment, new):
        return [Resize(rs, 0) for rs in active(old)]
    if not is_rolling(deployment):
        return []
    return [resize for resize in _proportional(deployment, active(everyone)) if _needs_resize(resize, deployment)]


def _needs_resize(resize: Resize, deployment: Deployment) -> bool:
    return _needs(resize.replica_set, resize.size, deployment)


def _needs(replica_set: ReplicaSet, size: int, deployment: Deployment) -> bool:
    noted = size_annotations(deployment)
    current = {name: replica_set.metadata.annotations.get(name) for name in noted}
    return replicas_of(replica_set) != size or (replicas_of(replica_set) > 0 and current != noted)


def size_annotations(deployment: Deployment) -> dict[str, str]:
    """What a ReplicaSet notes about the Deployment it was last sized for."""
    wanted = replicas_of(deployment)
    return {DESIRED_REPLICAS: str(wanted), MAX_REPLICAS: str(wanted + max_surge(deployment))}


def _active_or_latest(new: ReplicaSet | None, old: Sequence[ReplicaSet]) -> ReplicaSet | None:
    running = active([*old, *([new] if new else [])])
    if len(running) == 1:
        return running[0]
    if running:
        return None
    return new or max(old, key=by_age, default=None)


def _is_saturated(deployment: Deployment, new: ReplicaSet) -> bool:
    wanted = replicas_of(deployment)
    sizes = (replicas_of(new), int_annotation(new, DESIRED_REPLICAS), new.status.availableReplicas)
    return all(size == wanted for size in sizes)


def _proportional(deployment: Deployment, running: Sequence[ReplicaSet]) -> list[Resize]:
    """Spread the change over all active ReplicaSets by their share, so that no version takes the whole risk."""
    wanted = replicas_of(deployment)
    allowed = wanted + max_surge(deployment) if wanted > 0 else 0
    to_add = allowed - total(running)
    newest_first = sorted(running, key=by_age, reverse=to_add > 0)
    largest_first = sorted(newest_first, key=replicas_of, reverse=True)
    added, sizes = 0, []
    for rs in largest_first:
        part = _share(deployment, rs, to_add, added)
        sizes.append(replicas_of(rs) + part)
        added += part
    if sizes and to_add:
        sizes[0] = max(0, sizes[0] + to_add - added)
    return [Resize(rs, size) for rs, size in zip(largest_first, sizes, strict=True)]


def _share(deployment: Deployment, rs: ReplicaSet, to_add: int, added: int) -> int:
    if to_add in (0, added):
        return 0
    wanted, size = replicas_of(deployment), replicas_of(rs)
    if wanted == 0:
        fraction = -size
    else:
        before = int_annotation(rs, MAX_REPLICAS) or deployment.status.replicas
        fraction = _round(size * (wanted + max_surge(deployment)) / before) - size if before else 0
    left = to_add - added
    return min(fraction, left) if to_add > 0 else max(fraction, left)


def _round(number: float) -> int:
    """Half away from zero, as Go's integer.RoundToInt32."""
    return math.floor(number + 0.5) if number >= 0 else math.ceil(number - 0.5)
