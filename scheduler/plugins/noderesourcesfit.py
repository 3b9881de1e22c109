"""NodeResourcesFit: the pod's requests fit into what is left; the emptier node is the better one (LeastAllocated)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scheduler.framework import MAX_SCORE, Verdict
from scheduler.podinfo import PodInfo
from scheduler.snapshot import CPU, MEMORY, PODS, Bools, Ints, Snapshot


class NodeResourcesFit:
    name = "NodeResourcesFit"
    weight = 1

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Verdict | None:
        asked = [(resource, count) for resource, count in pod.requests.items() if count > 0 and resource != "pods"]
        columns = [snapshot.resource_column(resource) for resource, _ in asked]
        counts = np.array([count for _, count in asked], np.int64)
        free = snapshot.allocatable - snapshot.requested
        full = free[:, PODS] < 1
        short = free[:, columns] < counts
        hopeless: Bools = np.any(snapshot.allocatable[:, columns] < counts, axis=1)

        def reasons(row: int) -> Sequence[str]:
            names = [
                f"Insufficient {resource}" for (resource, _), lacks in zip(asked, short[row], strict=True) if lacks
            ]
            return (["Too many pods"] if full[row] else []) + names

        return Verdict(~(full | short.any(axis=1)), reasons, unresolvable=hopeless)

    def score(self, pod: PodInfo, snapshot: Snapshot, rows: Ints) -> Ints | None:
        allocatable = snapshot.allocatable[rows][:, [CPU, MEMORY]]
        wanted = snapshot.assumed[rows] + np.array([pod.assumed_cpu_milli, pod.assumed_memory_bytes], np.int64)
        left = np.where(wanted > allocatable, 0, allocatable - wanted)
        known = allocatable > 0
        share = np.where(known, left * MAX_SCORE // np.maximum(allocatable, 1), 0)
        weights = np.maximum(known.sum(axis=1), 1)
        result: Ints = share.sum(axis=1) // weights
        return result
