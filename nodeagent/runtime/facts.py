"""What this node and this process can do, read once: the inputs of the OCI configuration that are not the container.

Where a right is missing (CAP_SYS_RESOURCE in many sandboxes) the configuration asks for less instead of failing; the
runtime logs that once.
"""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from nodeagent.runtime.capabilities import from_mask
from nodeagent.runtime.interface import Device


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """The closed set of node-side inputs of `oci_config`."""

    capabilities: frozenset[str]
    cgroup_v2: bool
    swap_accounting: bool  # the kernel can limit memory+swap together
    hard_rlimits: Mapping[str, int] = field(default_factory=dict)  # empty: may raise any; -1 in it: unlimited
    lowest_oom_score_adj: int = -1000
    devices: tuple[Device, ...] = ()  # of the node, for privileged containers


def read_node_facts(cgroup_mount: Path = Path("/sys/fs/cgroup")) -> NodeFacts:
    """Reads /proc/self, /sys/fs/cgroup and /dev."""
    status = Path("/proc/self/status").read_text()
    bounding = next(line.split()[1] for line in status.splitlines() if line.startswith("CapBnd:"))
    capabilities = from_mask(int(bounding, 16))
    may_raise = "CAP_SYS_RESOURCE" in capabilities
    cgroup_v2 = (cgroup_mount / "cgroup.controllers").exists()
    return NodeFacts(
        capabilities=capabilities,
        cgroup_v2=cgroup_v2,
        swap_accounting=cgroup_v2 or (cgroup_mount / "memory/memory.memsw.limit_in_bytes").exists(),
        hard_rlimits={} if may_raise else _hard_rlimits(),
        lowest_oom_score_adj=-1000 if may_raise else int(Path("/proc/self/oom_score_adj").read_text()),
        devices=_node_devices(),
    )


def _hard_rlimits() -> dict[str, int]:
    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return {name: resource.getrlimit(getattr(resource, name))[1] for name in names}


def _node_devices(root: str = "/dev") -> tuple[Device, ...]:
    """Every device node below /dev, but not what is mounted there (pts, shm, mqueue) nor the agent's terminals."""
    found: list[Device] = []
    device = Path(root).stat().st_dev
    for directory, names, files in os.walk(root):
        names[:] = [n for n in names if os.lstat(f"{directory}/{n}").st_dev == device and n != "fd"]
        for name in files:
            path = f"{directory}/{name}"
            try:
                info = os.lstat(path)
            except FileNotFoundError:
                continue
            if name in ("console", "ptmx") or not (stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode)):
                continue
            kind: Literal["c", "b"] = "c" if stat.S_ISCHR(info.st_mode) else "b"
            found.append(
                Device(path, kind, os.major(info.st_rdev), os.minor(info.st_rdev), mode=stat.S_IMODE(info.st_mode))
            )
    return tuple(found)
