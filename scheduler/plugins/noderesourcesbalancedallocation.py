"""NodeResourcesBalancedAllocation: a node whose cpu and memory would be used to the same share is the better one."""

from __future__ import annotations

import numpy as np

from scheduler.framework import MAX_SCORE
from scheduler.podinfo import PodInfo
from scheduler.snapshot import CPU, MEMORY, Ints, Snapshot


class NodeResourcesBalancedAllocation:
    name = "NodeResourcesBalancedAllocation"
    weight = 1

    def score(self, pod: PodInfo, snapshot: Snapshot, rows: Ints) -> Ints | None:
        if not pod.requests.get("cpu") and not pod.requests.get("memory"):
            return None  # best-effort pods do not tip the balance, so it must not decide for them
        allocatable = snapshot.allocatable[rows][:, [CPU, MEMORY]].astype(np.float64)
        asked = np.array([pod.requests.get("cpu", 0), pod.requests.get("memory", 0)], np.int64)
        wanted = (snapshot.requested[rows][:, [CPU, MEMORY]] + asked).astype(np.float64)
        share = np.divide(wanted, allocatable, out=np.zeros_like(wanted), where=allocatable > 0)
        share = np.minimum(share, 1.0)
        spread = np.abs(share[:, 0] - share[:, 1]) / 2
        result: Ints = ((1.0 - spread) * MAX_SCORE).astype(np.int64)
        return result
