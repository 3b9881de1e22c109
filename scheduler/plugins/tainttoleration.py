"""TaintToleration: taints keep pods off a node, or make it a worse choice, unless the pod tolerates them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scheduler.framework import Verdict, normalise
from scheduler.podinfo import PodInfo
from scheduler.snapshot import Ints, Snapshot
from tiphys.api.core.scheduling import Taint, Toleration

REASON = "node(s) had untolerated taint(s)"


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """An empty effect or (with Exists) an empty key matches every one."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    match toleration.operator:
        case "" | "Equal":
            return bool(toleration.key) and toleration.value == taint.value
        case "Exists":
            return True
        case "Lt" | "Gt":
            return _compare(toleration, taint)
        case _:
            return False


def _compare(toleration: Toleration, taint: Taint) -> bool:
    try:
        bound, actual = int(toleration.value), int(taint.value)
    except ValueError:
        return False
    return actual < bound if toleration.operator == "Lt" else actual > bound


def tolerated(tolerations: Sequence[Toleration], taint: Taint) -> bool:
    return any(tolerates(toleration, taint) for toleration in tolerations)


class TaintToleration:
    name = "TaintToleration"
    weight = 3

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Verdict | None:
        tolerations = pod.pod.spec.tolerations
        blocked = np.array(
            [
                any(
                    taint.effect in ("NoSchedule", "NoExecute") and not tolerated(tolerations, taint)
                    for taint in taints
                )
                for taints in snapshot.taint_lists
            ],
            np.bool_,
        )
        if not blocked.any():
            return None
        return Verdict(~blocked[snapshot.taint_class], lambda _: (REASON,), unresolvable=True)

    def score(self, pod: PodInfo, snapshot: Snapshot, rows: Ints) -> Ints | None:
        tolerations = [t for t in pod.pod.spec.tolerations if t.effect in ("", "PreferNoSchedule")]
        counts = np.array(
            [
                sum(taint.effect == "PreferNoSchedule" and not tolerated(tolerations, taint) for taint in taints)
                for taints in snapshot.taint_lists
            ],
            np.int64,
        )
        if not counts.any():
            return None
        return normalise(counts[snapshot.taint_class[rows]], reverse=True)
