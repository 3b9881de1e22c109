"""How many replicas the use of a metric calls for.  Pure.

Pods that are not ready, or of which nothing is known, are counted so that they hold a decision back and never push it:
when growing they use nothing, when shrinking they use all that was asked for; and a decision that turns round when
they are counted is not taken.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controllers.podconditions import condition
from tiphys.api.core.pod import Pod
from tiphys.api.quantity import milli
from tiphys.api.times import parse_time

TOLERANCE = 0.1
CPU_INITIALIZATION = timedelta(minutes=5)
INITIAL_READINESS = timedelta(seconds=30)


@dataclass(frozen=True)
class Tolerance:
    """How far a ratio of use to target may be from 1 before anything is done."""

    up: float = TOLERANCE
    down: float = TOLERANCE

    def allows(self, ratio: float) -> bool:
        return 1.0 - self.down <= ratio <= 1.0 + self.up


@dataclass(frozen=True)
class Sample:
    """A pod's (or one container's) use, in thousandths, measured over `window` up to `at`."""

    milli: int
    at: datetime
    window: timedelta = timedelta(seconds=30)


@dataclass
class Groups:
    ready: list[str] = field(default_factory=list)
    unready: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


class NoReplicas(Exception):
    """Nothing can be said; the text says why."""


def group_pods(pods: Sequence[Pod], samples: Mapping[str, Sample], resource: str, now: datetime) -> Groups:
    """Which pods count how; by name."""
    groups = Groups()
    for pod in pods:
        name = pod.metadata.name
        if pod.metadata.deletionTimestamp or pod.status.phase == "Failed":
            groups.ignored.append(name)
        elif pod.status.phase == "Pending":
            groups.unready.append(name)
        elif name not in samples:
            groups.missing.append(name)
        elif resource == "cpu" and _is_starting(pod, samples[name], now):
            groups.unready.append(name)
        else:
            groups.ready.append(name)
    return groups


def _is_starting(pod: Pod, sample: Sample, now: datetime) -> bool:
    """The CPU a pod uses while it starts says nothing about its load."""
    ready, start = condition(pod, "Ready"), pod.status.startTime
    if ready is None or not start:
        return True
    changed = parse_time(ready.lastTransitionTime) if ready.lastTransitionTime else parse_time(start)
    if parse_time(start) + CPU_INITIALIZATION > now:
        return ready.status == "False" or sample.at < changed + sample.window
    return ready.status == "False" and parse_time(start) + INITIAL_READINESS > changed


def requests_of(pods: Sequence[Pod], resource: str, container: str = "") -> dict[str, int]:
    """Thousandths each pod asks for.  Raises NoReplicas when one does not say."""
    found = {}
    for pod in pods:
        total = 0
        beside = [one for one in pod.spec.initContainers if one.restartPolicy == "Always"]
        for one in [*pod.spec.containers, *beside]:
            if container and one.name != container:
                continue
            text = one.resources.requests.get(resource)
            if text is None:
                where = f"container {one.name} of Pod {pod.metadata.name}"
                raise NoReplicas(f"missing request for {resource} in {where}")
            total += milli(text)
        found[pod.metadata.name] = total
    return found


@dataclass(frozen=True)
class Wish:
    """`replicas` a metric asks for; what it measured: percent of the requests, and thousandths per pod."""

    replicas: int
    utilization: int | None
    average_milli: int


def by_utilization(
    current: int,
    groups: Groups,
    samples: Mapping[str, Sample],
    requests: Mapping[str, int],
    target_percent: int,
    tolerance: Tolerance,
) -> Wish:
    """Replicas for a use of `target_percent` of what the pods ask for.  Raises NoReplicas."""
    used = _used(groups, samples)

    def ratio_of(values: Mapping[str, int]) -> tuple[float, int]:
        asked = sum(requests[name] for name in values)
        if asked == 0:
            raise NoReplicas("no metrics returned matched known pods")
        percent = sum(values.values()) * 100 // asked
        return percent / target_percent, percent

    ratio, percent = ratio_of(used)
    fallback = max(100, target_percent)
    filled = {name: requests[name] * fallback // 100 for name in groups.missing}
    replicas = _replicas(current, groups, used, filled, ratio, lambda values: ratio_of(values)[0], tolerance)
    return Wish(replicas, percent, sum(used.values()) // len(used))


def by_average(
    current: int, groups: Groups, samples: Mapping[str, Sample], target_milli: int, tolerance: Tolerance
) -> Wish:
    """Replicas for `target_milli` per pod.  Raises NoReplicas."""
    used = _used(groups, samples)

    def ratio_of(values: Mapping[str, int]) -> float:
        return sum(values.values()) // len(values) / target_milli

    filled = dict.fromkeys(groups.missing, target_milli)
    replicas = _replicas(current, groups, used, filled, ratio_of(used), ratio_of, tolerance)
    return Wish(replicas, None, sum(used.values()) // len(used))


def _used(groups: Groups, samples: Mapping[str, Sample]) -> dict[str, int]:
    used = {name: samples[name].milli for name in groups.ready}
    if not used:
        raise NoReplicas("did not receive metrics for targeted pods (pods might be unready)")
    return used


def _replicas(
    current: int,
    groups: Groups,
    used: Mapping[str, int],
    filled: Mapping[str, int],
    ratio: float,
    ratio_of: object,
    tolerance: Tolerance,
) -> int:
    """The rule all pod metrics share; `filled` is what pods without metrics are taken to use when shrinking."""
    assert callable(ratio_of)
    growing_unready = bool(groups.unready) and ratio > 1.0
    if not growing_unready and not groups.missing:
        return current if tolerance.allows(ratio) else math.ceil(ratio * len(used))
    values = dict(used)
    if groups.missing:
        values |= filled if ratio < 1.0 else dict.fromkeys(groups.missing, 0) if ratio > 1.0 else {}
    if growing_unready:
        values |= dict.fromkeys(groups.unready, 0)
    again = float(ratio_of(values))
    if tolerance.allows(again) or (ratio < 1.0 < again) or (again < 1.0 < ratio):
        return current
    replicas = math.ceil(again * len(values))
    if (again < 1.0 and replicas > current) or (again > 1.0 and replicas < current):
        return current
    return replicas


def by_value(current: int, ready: int, value_milli: int, target_milli: int, tolerance: Tolerance) -> int:
    """Replicas for a metric that is no pod's and is shared by all."""
    ratio = value_milli / target_milli
    if current == 0:
        return math.ceil(ratio)
    return current if tolerance.allows(ratio) else math.ceil(ratio * ready)


def by_shared_average(replicas: int, value_milli: int, target_milli: int, tolerance: Tolerance) -> Wish:
    """Replicas for a metric that is no pod's, divided among `replicas`."""
    wanted = replicas
    if replicas == 0 or not tolerance.allows(value_milli / (target_milli * replicas)):
        wanted = math.ceil(value_milli / target_milli)
    return Wish(wanted, None, math.ceil(value_milli / wanted) if wanted else 0)


def ready_count(pods: Collection[Pod]) -> int:
    """Running pods that are ready."""
    found = (condition(pod, "Ready") for pod in pods if pod.status.phase == "Running")
    return sum(1 for one in found if one is not None and one.status == "True")
