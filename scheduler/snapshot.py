"""The nodes in columns: one row per node, one NumPy array per fact, so that a plugin looks at all nodes at once.

Rows are dense: removing a node moves the last row into its place.  Nodes that share a taint list share a number in
`taint_class`, so a plugin decides once per list.

What holds: `requested` of a row is the sum over the pods placed on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from scheduler.podinfo import HostPort, PodInfo, amount
from scheduler.volumes import StorageView
from tiphys.api.core.node import Node
from tiphys.api.core.scheduling import Taint

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FIRST_RESOURCES = ("cpu", "memory", "ephemeral-storage", "pods")
CPU, MEMORY, EPHEMERAL_STORAGE, PODS = range(4)


class Snapshot:
    def __init__(self) -> None:
        self.names: list[str] = []
        self.row_of: dict[str, int] = {}
        self.resources: list[str] = list(FIRST_RESOURCES)
        self.labels: list[Mapping[str, str]] = []
        self.ports: list[dict[HostPort, int]] = []
        self.taint_lists: list[tuple[Taint, ...]] = []
        self.generation = 0  # grows with every change
        self.storage = StorageView()
        self._taint_number: dict[tuple[tuple[str, str, str], ...], int] = {}
        self._placed: dict[str, tuple[PodInfo, str]] = {}  # uid -> (pod, node name)
        self._waiting: dict[str, dict[str, PodInfo]] = {}  # node name not yet known -> pods
        self._allocatable: Ints = np.zeros((16, len(self.resources)), np.int64)
        self._requested: Ints = np.zeros_like(self._allocatable)
        self._assumed: Ints = np.zeros((16, 2), np.int64)
        self._unschedulable: Bools = np.zeros(16, np.bool_)
        self._taint_class: Ints = np.zeros(16, np.int64)

    def __len__(self) -> int:
        return len(self.names)

    # The columns, one entry per node

    @property
    def allocatable(self) -> Ints:
        """[nodes, resources]; millicores for cpu, whole units else."""
        return self._allocatable[: len(self.names)]

    @property
    def requested(self) -> Ints:
        """[nodes, resources]; the pods column counts the pods."""
        return self._requested[: len(self.names)]

    @property
    def assumed(self) -> Ints:
        """[nodes, 2]: cpu and memory with the defaults that scoring assumes."""
        return self._assumed[: len(self.names)]

    @property
    def unschedulable(self) -> Bools:
        return self._unschedulable[: len(self.names)]

    @property
    def taint_class(self) -> Ints:
        """The row of `taint_lists` each node has."""
        return self._taint_class[: len(self.names)]

    # Nodes

    def set_node(self, node: Node) -> None:
        """Add the node, or take over what changed in it."""
        name = node.metadata.name
        row = self.row_of.get(name)
        if row is None:
            row = self._new_row(name)
        for resource in node.status.allocatable:
            self.resource_column(resource)
        self._allocatable[row] = 0
        for resource, quantity in node.status.allocatable.items():
            self._allocatable[row, self.resource_column(resource)] = amount(resource, quantity)
        self._unschedulable[row] = node.spec.unschedulable
        self._taint_class[row] = self._taints(node.spec.taints)
        self.labels[row] = node.metadata.labels
        self.generation += 1
        for info in list(self._waiting.pop(name, {}).values()):
            self.add_pod(info, name)

    def remove_node(self, name: str) -> None:
        row = self.row_of.pop(name, None)
        if row is None:
            return
        for info, node_name in list(self._placed.values()):
            if node_name == name:
                del self._placed[info.uid]
                self._waiting.setdefault(name, {})[info.uid] = info
        last = len(self.names) - 1
        if row != last:
            for column in (self._allocatable, self._requested, self._assumed, self._unschedulable, self._taint_class):
                column[row] = column[last]
            self.names[row], self.labels[row], self.ports[row] = self.names[last], self.labels[last], self.ports[last]
            self.row_of[self.names[row]] = row
        del self.names[last], self.labels[last], self.ports[last]
        self.generation += 1

    def resource_column(self, resource: str) -> int:
        """The column of a resource; a new one is added with zeros."""
        try:
            return self.resources.index(resource)
        except ValueError:
            self.resources.append(resource)
            zeros = np.zeros((len(self._allocatable), 1), np.int64)
            self._allocatable = np.hstack([self._allocatable, zeros])
            self._requested = np.hstack([self._requested, zeros])
            return len(self.resources) - 1

    def _new_row(self, name: str) -> int:
        row = len(self.names)
        if row == len(self._allocatable):
            self._allocatable = np.vstack([self._allocatable, np.zeros_like(self._allocatable)])
            self._requested = np.vstack([self._requested, np.zeros_like(self._requested)])
            self._assumed = np.vstack([self._assumed, np.zeros_like(self._assumed)])
            self._unschedulable = np.concatenate([self._unschedulable, np.zeros_like(self._unschedulable)])
            self._taint_class = np.concatenate([self._taint_class, np.zeros_like(self._taint_class)])
        for column in (self._allocatable, self._requested, self._assumed, self._unschedulable, self._taint_class):
            column[row] = 0
        self.names.append(name)
        self.labels.append({})
        self.ports.append({})
        self.row_of[name] = row
        return row

    def _taints(self, taints: Sequence[Taint]) -> int:
        key = tuple((taint.key, taint.value, taint.effect) for taint in taints)
        number = self._taint_number.get(key)
        if number is None:
            number = self._taint_number[key] = len(self.taint_lists)
            self.taint_lists.append(tuple(taints))
        return number

    # Pods

    def add_pod(self, info: PodInfo, node_name: str) -> None:
        """Count the pod on the node.  A pod already counted is moved; one on an unknown node waits for it."""
        self.remove_pod(info.uid)
        row = self.row_of.get(node_name)
        if row is None:
            self._waiting.setdefault(node_name, {})[info.uid] = info
            return
        self._placed[info.uid] = (info, node_name)
        self._count(info, row, +1)

    def remove_pod(self, uid: str) -> bool:
        """Whether the pod was counted on a known node."""
        placed = self._placed.pop(uid, None)
        if placed is None:
            for node_name, pods in list(self._waiting.items()):
                pods.pop(uid, None)
                if not pods:
                    del self._waiting[node_name]
            return False
        info, node_name = placed
        self._count(info, self.row_of[node_name], -1)
        return True

    def placed_pods(self) -> Iterator[PodInfo]:
        """Every pod counted on a known node."""
        return (info for info, _ in self._placed.values())

    def node_of(self, uid: str) -> str | None:
        """The node the pod is counted on."""
        placed = self._placed.get(uid)
        return placed[1] if placed else None

    def _count(self, info: PodInfo, row: int, sign: int) -> None:
        for resource, count in info.requests.items():
            column = self.resource_column(resource)
            self._requested[row, column] += sign * count
        self._requested[row, PODS] += sign
        self._assumed[row, 0] += sign * info.assumed_cpu_milli
        self._assumed[row, 1] += sign * info.assumed_memory_bytes
        ports = self.ports[row]
        for port in info.host_ports:
            ports[port] = ports.get(port, 0) + sign
            if ports[port] <= 0:
                del ports[port]
        self.generation += 1
