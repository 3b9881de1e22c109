"""NodeUnschedulable: no new pods on a cordoned node, unless they tolerate its taint."""

from __future__ import annotations

from scheduler.framework import Verdict
from scheduler.plugins.tainttoleration import tolerated
from scheduler.podinfo import PodInfo
from scheduler.snapshot import Snapshot
from tiphys.api.core.scheduling import Taint

REASON = "node(s) were unschedulable"
TAINT = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")


class NodeUnschedulable:
    name = "NodeUnschedulable"

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Verdict | None:
        unschedulable = snapshot.unschedulable
        if not unschedulable.any() or tolerated(pod.pod.spec.tolerations, TAINT):
            return None
        return Verdict(~unschedulable, lambda _: (REASON,), unresolvable=True)
