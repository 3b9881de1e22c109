"""NodePorts: a host port can be taken once per address and protocol."""

from __future__ import annotations

import numpy as np

from scheduler.framework import Verdict
from scheduler.podinfo import PodInfo
from scheduler.snapshot import Snapshot

REASON = "node(s) didn't have free ports for the requested pod ports"


class NodePorts:
    name = "NodePorts"

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Verdict | None:
        if not pod.host_ports:
            return None
        passed = np.array(
            [not any(mine.clashes(used) for used in ports for mine in pod.host_ports) for ports in snapshot.ports],
            np.bool_,
        )
        return Verdict(passed, lambda _: (REASON,))
