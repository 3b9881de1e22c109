"""Which pods of a ReplicaSet go first when there are too many: upstream's order, most expendable first.

Unassigned before assigned, pending before unknown before running, not ready before ready, lower deletion cost first,
more pods of the same owner on the node first, shorter ready first, more restarts first, younger first.  Times are
compared by powers of two, so that pods of about the same age go in an order that favours none.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cmp_to_key

from controllers.podconditions import is_ready, ready_since
from tiphys.api.core.pod import Pod
from tiphys.api.times import parse_time

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def deletion_order(pods: Sequence[Pod], related: Sequence[Pod], now: datetime) -> list[Pod]:
    """`pods`, the one to delete first in front.  `related` are the owner's active pods, for the count per node."""
    per_node = Counter(pod.spec.nodeName for pod in related if pod.spec.nodeName)

    def compare(a: Pod, b: Pod) -> int:
        for left, right in zip(_rank(a, per_node), _rank(b, per_node), strict=True):
            if left != right:
                return -1 if left < right else 1
        if is_ready(a) and is_ready(b):
            difference = _younger_first(ready_since(a), ready_since(b), now)
            if difference:
                return difference
        if restarts(a) != restarts(b):
            return -1 if restarts(a) > restarts(b) else 1
        created = _younger_first(_created(a), _created(b), now)
        return created or (-1 if a.metadata.uid < b.metadata.uid else 1)

    return sorted(pods, key=cmp_to_key(compare))


def _rank(pod: Pod, per_node: Counter[str]) -> tuple[bool, int, bool, int, int]:
    return (
        bool(pod.spec.nodeName),
        _PHASES.get(pod.status.phase, 0),
        is_ready(pod),
        deletion_cost(pod),
        -per_node[pod.spec.nodeName],
    )


def deletion_cost(pod: Pod) -> int:
    """The annotated cost; 0 where there is none or it is not an int32."""
    text = pod.metadata.annotations.get(DELETION_COST, "0")
    try:
        cost = int(text)
    except ValueError:
        return 0
    return cost if -(2**31) <= cost < 2**31 else 0


def restarts(pod: Pod) -> int:
    """The largest restart count among the pod's containers."""
    return max((status.restartCount for status in pod.status.containerStatuses), default=0)


def _created(pod: Pod) -> datetime | None:
    return parse_time(pod.metadata.creationTimestamp) if pod.metadata.creationTimestamp else None


def _younger_first(a: datetime | None, b: datetime | None, now: datetime) -> int:
    """-1 when `a` is younger by at least a power of two; an unknown time is the youngest."""
    if a is None or b is None:
        return 0 if a is b else (-1 if a is None else 1)
    rank_a, rank_b = _magnitude(now - a), _magnitude(now - b)
    return (rank_a > rank_b) - (rank_a < rank_b)


def _magnitude(age: timedelta) -> int:
    nanoseconds = age.total_seconds() * 1e9
    return int(math.log2(nanoseconds)) if nanoseconds > 1 else 0
