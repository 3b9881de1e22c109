"""Figures of other systems that are quoted beside ours, because their programs are not at hand when this runs.

KUBERNETES: v1.36.2 with etcd and containerd 1.6 on a two-core Debian 12 machine, in quiet windows, same kind of load.
The others are the projects' own or widely published figures.
"""

from __future__ import annotations

from dataclasses import dataclass

KUBERNETES = "Kubernetes v1.36.2, 2 cores"


@dataclass(frozen=True)
class Peer:
    """`best` is what a ratio is taken against; `text` is how the figure was given."""

    best: float
    text: str
    source: str


SERVER_READY_SECONDS = Peer(2.6, "2.6 s", f"etcd + kube-apiserver to /readyz, {KUBERNETES}")
RUNNING_POD_SECONDS = Peer(5.0, "5 s; 6-20 s; 12-33 s", "kwok; k3d; kind, published")
POD_START_P50_MS = Peer(292, "292 ms", f"kubelet + containerd 1.6, {KUBERNETES}")
POD_START_P99_MS = Peer(372, "372 ms", f"kubelet + containerd 1.6, {KUBERNETES}")
BURST_PODS_PER_SECOND = Peer(3.6, "3.6 pods/s", f"burst of 30, {KUBERNETES}")
IDLE_MEMORY_MIB = Peer(356, "356 MB", f"etcd + kube-apiserver + scheduler only, {KUBERNETES}")
IDLE_CPU_PERCENT = Peer(5, "5-10 %", "k3s, kind, minikube, published")
GET_1_PER_SECOND = Peer(681, "593-681 /s", KUBERNETES)
GET_32_PER_SECOND = Peer(2401, "1,572-2,401 /s", KUBERNETES)
GET_32_CACHED_PER_SECOND = Peer(2807, "2,284-2,807 /s", KUBERNETES)
LIST_1000_MS = Peer(47, "47 ms", f"401 ms per 8,500 pods, {KUBERNETES}")
CREATE_1_PER_SECOND = Peer(427, "277-427 /s", KUBERNETES)
CREATE_32_PER_SECOND = Peer(1415, "858-1,415 /s", KUBERNETES)
CREATE_CPU_MS = Peer(1.1, "1.1-1.35 ms", f"apiserver and etcd, {KUBERNETES}")
CREATE_POD_32_PER_SECOND = Peer(686, "595-686 /s", KUBERNETES)
LIST_10000_MS = Peer(472, "472 ms", f"401 ms per 8,500 pods, {KUBERNETES}")
POD_MEMORY_KB = Peer(36, "36 kB", f"1,000 nodes, 8,500 pods, {KUBERNETES}")
POD_MEMORY_FACTOR = Peer(5.2, "5.2 x", "decoded objects in kube-apiserver, published")
WATCH_DELAY_MS = Peer(50, "50 ms", "our own target")
WATCH_EVENTS_PER_SECOND = Peer(49700, "49,700 /s", f"wall, 100 watchers, {KUBERNETES}")
UPDATE_32_PER_SECOND = Peer(1584, "1,375-1,584 /s", KUBERNETES)
