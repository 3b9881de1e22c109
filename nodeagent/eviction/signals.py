"""What is available of what can run out, now.  A few system calls; no pod is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nodeagent.stats import machine


@dataclass(frozen=True)
class Observation:
    available: int
    capacity: int


def observe(node_dir: Path, images_dir: Path) -> Mapping[str, Observation]:
    """Signal -> what is available of how much.  Raises OSError."""
    memory, processes = machine.memory(), machine.processes()
    found = {
        "memory.available": Observation(memory.available_bytes, memory.total_bytes),
        "pid.available": Observation(max(0, processes.most - processes.running), processes.most),
    }
    for name, directory in (("nodefs", node_dir), ("imagefs", images_dir), ("containerfs", node_dir)):
        disk = machine.file_system(directory)
        found[f"{name}.available"] = Observation(disk.available_bytes, disk.capacity_bytes)
        if disk.inodes:
            found[f"{name}.inodesFree"] = Observation(disk.inodes_free, disk.inodes)
    return found
