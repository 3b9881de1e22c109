"""What to do about the pods of a DaemonSet next.  Pure.

First the right number per node (`manage`): one on every node that should run it, none elsewhere.  Only when nothing is
left to do there, an update goes on (`roll`): without surge old pods are deleted and `manage` makes the new ones; with
surge a new pod is started beside the old one, which goes when the new one is available.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from controllers.daemonset_pods import HASH_LABEL, node_of, should_run
from controllers.deployment_scaling import scaled
from controllers.podconditions import available_in_seconds, is_ready
from tiphys.api.apps.daemonset import DaemonSet
from tiphys.api.core.node import Node
from tiphys.api.core.pod import Pod

PodsByNode = Mapping[str, Sequence[Pod]]  # oldest first


@dataclass
class Plan:
    """`ended` pods are deleted too, but one that fails again and again not at once."""

    create: list[str] = field(default_factory=list)  # names of nodes
    delete: list[Pod] = field(default_factory=list)
    ended: list[Pod] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.create or self.delete or self.ended)


@dataclass(frozen=True)
class Situation:
    """The DaemonSet, every node of the cluster, its pods by node, the hash of the wanted revision."""

    daemon_set: DaemonSet
    nodes: Sequence[Node]
    pods: PodsByNode
    hashed: str
    now: datetime

    @cached_property
    def fits(self) -> Mapping[str, tuple[bool, bool]]:
        """For each node: whether a pod should be started there, whether one that is there may stay."""
        return {node.metadata.name: should_run(self.daemon_set, node) for node in self.nodes}

    @cached_property
    def wanted(self) -> Sequence[str]:
        """The names of the nodes that should have a pod."""
        return [name for name, (start, _) in self.fits.items() if start]

    def is_available(self, pod: Pod) -> bool:
        return available_in_seconds(pod, self.daemon_set.spec.minReadySeconds, self.now) == 0

    def is_updated(self, pod: Pod) -> bool:
        return pod.metadata.labels.get(HASH_LABEL) == self.hashed


def by_node(pods: Iterable[Pod]) -> PodsByNode:
    """The pods of each node; one that was deleted and has ended counts no more."""
    found: dict[str, list[Pod]] = defaultdict(list)
    for pod in sorted(pods, key=_age):
        if not (pod.metadata.deletionTimestamp and pod.status.phase in ("Succeeded", "Failed")):
            found[node_of(pod)].append(pod)
    return found


def _age(pod: Pod) -> tuple[bool, str, str]:
    return not pod.spec.nodeName, pod.metadata.creationTimestamp, pod.metadata.name


def manage(now: Situation) -> Plan:
    """Create where there is no pod, delete where there are too many or should be none."""
    plan = Plan()
    for name, (start, stay) in now.fits.items():
        found = now.pods.get(name, ())
        if start and not found:
            plan.create.append(name)
        elif stay:
            alive = [pod for pod in found if not pod.metadata.deletionTimestamp]
            plan.ended += [pod for pod in alive if pod.status.phase in ("Failed", "Succeeded")]
            plan.delete += _excess(now, [pod for pod in alive if pod.status.phase not in ("Failed", "Succeeded")])
        else:
            plan.delete += [pod for pod in found if not pod.metadata.deletionTimestamp]
    for name, pods in now.pods.items():
        if name not in now.fits:
            plan.delete += [pod for pod in pods if not pod.spec.nodeName and not pod.metadata.deletionTimestamp]
    return plan


def _excess(now: Situation, running: Sequence[Pod]) -> list[Pod]:
    """Pods of one node beyond the one, or during a surge the two, it may have; `running` oldest first."""
    if len(running) <= 1:
        return []
    if max_surge(now) == 0:
        return list(running[1:])
    new = [pod for pod in running if now.is_updated(pod)]
    old = [pod for pod in running if not now.is_updated(pod)]
    excess = [*new[1:], *old[1:]]
    if new and old and (not is_ready(old[0]) or now.is_available(new[0])):
        excess.append(old[0])
    return excess


def roll(now: Situation) -> Plan:
    """The next step of a rolling update."""
    if now.daemon_set.spec.updateStrategy.type != "RollingUpdate":
        return Plan()
    return _replace(now) if max_surge(now) == 0 else _surge(now)


def _replace(now: Situation) -> Plan:
    """Delete old pods as long as no more than maxUnavailable nodes are without an available one."""
    unavailable, doomed, candidates = 0, list[Pod](), list[Pod]()
    for name in now.wanted:
        new, old, clear = _pair(now, name)
        if clear and old is not None and new is None:
            if now.is_available(old):
                candidates.append(old)
            else:
                doomed.append(old)  # it serves nobody: replacing it costs nothing
                unavailable += 1
        elif not clear or new is None or old is not None or not now.is_available(new):
            unavailable += 1
    room = max(0, max_unavailable(now) - unavailable)
    return Plan(delete=[*doomed, *candidates[:room]])


def _surge(now: Situation) -> Plan:
    """Start new pods beside old ones, at most maxSurge nodes at a time."""
    surging, plan, candidates = 0, Plan(), list[str]()
    for name in now.wanted:
        new, old, clear = _pair(now, name)
        if not clear:
            surging += 1
        elif old is not None and new is None:
            if now.is_available(old):
                candidates.append(name)
            else:
                plan.create.append(name)
        elif old is not None and new is not None:
            if now.is_available(new):
                plan.delete.append(old)
            else:
                surging += 1
    plan.create += candidates[: max(0, max_surge(now) - surging)]
    return plan


def _pair(now: Situation, node: str) -> tuple[Pod | None, Pod | None, bool]:
    """(the new pod, the old pod, True unless there are two of either) among those of a node that stay."""
    alive = [pod for pod in now.pods.get(node, ()) if not pod.metadata.deletionTimestamp]
    new = [pod for pod in alive if now.is_updated(pod)]
    old = [pod for pod in alive if not now.is_updated(pod)]
    return next(iter(new), None), next(iter(old), None), len(new) <= 1 and len(old) <= 1


def max_surge(now: Situation) -> int:
    return _bounds(now)[0]


def max_unavailable(now: Situation) -> int:
    return _bounds(now)[1]


def _bounds(now: Situation) -> tuple[int, int]:
    """(surge, unavailable) in nodes, both rounded up, never both zero."""
    rolling = now.daemon_set.spec.updateStrategy.rollingUpdate
    if rolling is None or now.daemon_set.spec.updateStrategy.type != "RollingUpdate":
        return 0, 1
    wanted = len(now.wanted)
    surge = scaled(rolling.maxSurge, wanted, round_up=True)
    unavailable = scaled(rolling.maxUnavailable, wanted, round_up=True)
    return surge, unavailable if surge or unavailable else 1
