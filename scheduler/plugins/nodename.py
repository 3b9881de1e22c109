"""NodeName: a pod that names a node may only go there."""

from __future__ import annotations

import numpy as np

from scheduler.framework import Verdict
from scheduler.podinfo import PodInfo
from scheduler.snapshot import Snapshot

REASON = "node(s) didn't match the requested node name"


class NodeName:
    name = "NodeName"

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Verdict | None:
        if not pod.node_name:
            return None
        passed = np.zeros(len(snapshot), np.bool_)
        row = snapshot.row_of.get(pod.node_name)
        if row is not None:
            passed[row] = True
        return Verdict(passed, lambda _: (REASON,), unresolvable=True)
