"""What one look at the node saw, as frozen values: the pages of summary.py and nodeagent/metrics are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from nodeagent.stats.cgroupusage import Usage
from nodeagent.stats.disk import PodDisk
from nodeagent.stats.machine import FileSystem, Interface, MachineMemory, Processes


@dataclass(frozen=True, slots=True)
class ContainerStats:
    """A running container.  `cpu_nano_cores` is the rate between two looks, None at the first."""

    id: str
    name: str
    image: str
    cgroup: str
    started_at: datetime | None
    usage: Usage
    cpu_nano_cores: int | None = None


@dataclass(frozen=True, slots=True)
class PodStats:
    """A pod with at least one running container.  `usage` is of the pod's own cgroup, None when that is gone."""

    uid: str
    name: str
    namespace: str
    cgroup: str
    started_at: datetime | None
    usage: Usage | None
    cpu_nano_cores: int | None = None
    interfaces: tuple[Interface, ...] = ()  # none on the node's network
    containers: tuple[ContainerStats, ...] = ()
    disk: PodDisk | None = None  # None: nobody asked for it


@dataclass(frozen=True, slots=True)
class SystemContainer:
    """Part of the node that is not one pod: "pods" (all of them), "kubelet" (the agent and what holds containers)."""

    name: str
    cgroup: str
    started_at: datetime | None
    usage: Usage
    cpu_nano_cores: int | None = None


@dataclass(frozen=True, slots=True)
class NodeSnapshot:
    """`at` is when it was taken."""

    at: datetime
    node_name: str
    booted_at: datetime
    cpu_ns: int
    cpu_nano_cores: int | None
    cpus: int
    memory: MachineMemory
    processes: Processes
    node_fs: FileSystem
    image_fs: FileSystem
    images_bytes: int
    containers_bytes: int | None  # writable layers on the image file system; None: not asked for
    interfaces: tuple[Interface, ...]
    default_interface: str
    system: tuple[SystemContainer, ...] = ()
    pods: tuple[PodStats, ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict)  # what could not be read, and why
