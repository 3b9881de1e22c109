"""What to do about the pods of a StatefulSet next.  Pure.

OrderedReady takes one step at a time: a pod is created when all before it are available, and taken away when all
before it are available and all after it are gone.  Parallel waits for nobody.  Updates come last, when every wanted
pod exists, from the highest ordinal down.  An ordinal is only ever free when its pod is gone from the store: a pod that
is being deleted still holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from controllers.deployment_scaling import scaled
from controllers.podconditions import available_in_seconds
from controllers.statefulset_identity import ordinal_of, ordinals, replicas_of, revision_of
from tiphys.api.apps.statefulset import StatefulSet
from tiphys.api.core.pod import Pod

Members = Mapping[int, Pod | None]  # every wanted ordinal, ascending
Check = Callable[[Pod], bool]


@dataclass(frozen=True)
class Plan:
    create: Sequence[int] = ()  # ordinals, lowest first
    delete: Sequence[Pod] = ()


def plan(stateful_set: StatefulSet, pods: Sequence[Pod], update: str, now: datetime) -> Plan:
    """`pods` are all pods of the set, those being deleted included; `update` is the name of the wanted revision."""
    if stateful_set.metadata.deletionTimestamp:
        return Plan()
    members, condemned = split(stateful_set, pods)

    def unavailable(pod: Pod) -> bool:
        return not is_available(pod, stateful_set.spec.minReadySeconds, now)

    blocking = _next_ordered if is_ordered(stateful_set) else _all_at_once
    todo = blocking(members, condemned, unavailable)
    return Plan(delete=outdated(stateful_set, members, update, unavailable)) if todo is None else todo


def is_ordered(stateful_set: StatefulSet) -> bool:
    return stateful_set.spec.podManagementPolicy != "Parallel"


def split(stateful_set: StatefulSet, pods: Sequence[Pod]) -> tuple[Members, list[Pod]]:
    """(the pod or None for each wanted ordinal, the pods with other ordinals, highest first)"""
    wanted = ordinals(stateful_set)
    found = {ordinal_of(pod): pod for pod in pods}
    surplus = sorted((ordinal for ordinal in found if ordinal >= 0 and ordinal not in wanted), reverse=True)
    return {ordinal: found.get(ordinal) for ordinal in wanted}, [found[ordinal] for ordinal in surplus]


def has_ended(pod: Pod) -> bool:
    return pod.status.phase in ("Succeeded", "Failed")


def is_terminating(pod: Pod) -> bool:
    return bool(pod.metadata.deletionTimestamp)


def is_available(pod: Pod, min_ready_seconds: int, now: datetime) -> bool:
    """Running, ready for long enough and not on its way out."""
    running = pod.status.phase == "Running" and not is_terminating(pod)
    return running and available_in_seconds(pod, min_ready_seconds, now) == 0


def _next_ordered(members: Members, condemned: Sequence[Pod], unavailable: Check) -> Plan | None:
    """The one next step, an empty Plan to wait; None when every wanted pod is available and no other is left."""
    for ordinal, pod in members.items():
        if pod is None:
            return Plan(create=[ordinal])
        if has_ended(pod):
            return Plan() if is_terminating(pod) else Plan(delete=[pod])
        if unavailable(pod):
            return Plan()
    if not condemned:
        return None
    last = condemned[0]
    first_unavailable = next(filter(unavailable, reversed(condemned)), last)
    if is_terminating(last) or (unavailable(last) and last is not first_unavailable):
        return Plan()
    return Plan(delete=[last])


def _all_at_once(members: Members, condemned: Sequence[Pod], unavailable: Check) -> Plan | None:
    create = [ordinal for ordinal, pod in members.items() if pod is None]
    ended = [pod for pod in members.values() if pod is not None and has_ended(pod)]
    delete = [pod for pod in [*ended, *condemned] if not is_terminating(pod)]
    return Plan(create, delete) if create or delete else None


def max_unavailable(stateful_set: StatefulSet) -> int:
    """How many pods an update may take at once: at least one."""
    rolling = stateful_set.spec.updateStrategy.rollingUpdate
    value = rolling.maxUnavailable if rolling is not None else None
    return 1 if value is None else max(1, scaled(value, replicas_of(stateful_set), round_up=False))


def partition(stateful_set: StatefulSet) -> int:
    """How many pods, from the lowest ordinal, keep the current revision."""
    rolling = stateful_set.spec.updateStrategy.rollingUpdate
    return (rolling.partition or 0) if rolling is not None else 0


def outdated(stateful_set: StatefulSet, members: Members, update: str, unavailable: Check) -> list[Pod]:
    """The pods to replace now.  One that is unavailable anyway costs nothing, so a broken revision can be left."""
    if stateful_set.spec.updateStrategy.type == "OnDelete":
        return []
    limit = max_unavailable(stateful_set)
    missing = sum(pod is None or unavailable(pod) for pod in members.values())
    chosen: list[Pod] = []
    waiting_for = 0
    for pod in reversed(list(members.values())[partition(stateful_set) :]):
        if waiting_for >= limit:
            break
        if pod is None or is_terminating(pod):
            waiting_for += 1
        elif revision_of(pod) == update:
            waiting_for += unavailable(pod)
        elif unavailable(pod) or missing < limit:
            missing += not unavailable(pod)
            waiting_for += 1
            chosen.append(pod)
    return chosen


def keeps_current(stateful_set: StatefulSet, ordinal: int) -> bool:
    """A new pod for `ordinal` is made of the current revision, not of the wanted one."""
    strategy, start = stateful_set.spec.updateStrategy, ordinals(stateful_set).start
    if strategy.type == "OnDelete":
        return False
    if strategy.rollingUpdate is None:
        return ordinal < start + stateful_set.status.currentReplicas
    return ordinal < start + partition(stateful_set)
