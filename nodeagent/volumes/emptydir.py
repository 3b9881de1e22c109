"""emptyDir volumes: a directory, a tmpfs or huge pages, empty when the pod starts and gone with it.

What must stay true: what a pod has written is never thrown away while it lives, so a directory that is there with its
mount is left as it is; one that was only half made when the agent died is finished.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from nodeagent.runtime.syscalls import MS_NODEV, MS_NOSUID, mount
from nodeagent.volumes.payload import VolumeError
from nodeagent.volumes.teardown import is_mount_point
from tiphys.api.core.pod import Pod
from tiphys.api.core.volumes import EmptyDirVolumeSource
from tiphys.api.quantity import format_bytes, value

HUGE_PAGES = Path("/sys/kernel/mm/hugepages")
_PREFIX = "hugepages-"


def set_up(pod: Pod, source: EmptyDirVolumeSource, path: Path, group: int, allocatable_bytes: int) -> None:
    """Make the volume at `path`.  `allocatable_bytes` is the node's memory for pods.  Raises VolumeError, OSError."""
    if not path.exists():
        fresh = path.with_name(f".{path.name}.new")
        fresh.mkdir(exist_ok=True)
        _open_for(fresh, group)
        fresh.rename(path)
    if source.medium == "Memory":
        if not is_mount_point(path):
            size = memory_size(pod, source, allocatable_bytes)
            mount("tmpfs", str(path), "tmpfs", MS_NOSUID | MS_NODEV, f"mode=0777,size={size}")
            _open_for(path, group)
    elif source.medium.startswith("HugePages"):
        if not is_mount_point(path):
            page = huge_page_size(pod, source.medium)
            mount("nodev", str(path), "hugetlbfs", MS_NOSUID | MS_NODEV, f"pagesize={page}")
            _open_for(path, group)
    elif source.medium:
        raise VolumeError(f'unknown storage medium "{source.medium}"')


def _open_for(path: Path, group: int) -> None:
    path.chmod(0o777)
    if group >= 0:
        os.chown(path, -1, group)
        path.chmod(0o777 | stat.S_ISGID)


def memory_size(pod: Pod, source: EmptyDirVolumeSource, allocatable_bytes: int) -> int:
    """Bytes a volume in memory may hold: its limit, but no more than the pod's memory limit or what the node has.

    0: nobody has set any."""
    bounds = [allocatable_bytes, value(source.sizeLimit) if source.sizeLimit else 0]
    limits = [container.resources.limits.get("memory") for container in pod.spec.containers]
    if pod.spec.resources is not None and "memory" in pod.spec.resources.limits:
        bounds.append(value(pod.spec.resources.limits["memory"]))
    elif limits and all(limits):
        bounds.append(sum(value(limit) for limit in limits if limit))
    return min((bound for bound in bounds if bound > 0), default=0)


def huge_page_size(pod: Pod, medium: str, root: Path = HUGE_PAGES) -> str:
    """The `pagesize` option, in bytes.  Raises VolumeError."""
    if medium != "HugePages":
        sizes = {medium.removeprefix("HugePages-")}
    else:
        containers = [*pod.spec.containers, *pod.spec.initContainers]
        requests = {name for one in containers for name in one.resources.requests if name.startswith(_PREFIX)}
        sizes = {name.removeprefix(_PREFIX) for name in requests}
    if len(sizes) != 1:
        raise VolumeError(f'medium "{medium}" can only be used if container uses exactly one hugepage size')
    size = value(sizes.pop())
    if not (root / f"{_PREFIX}{size >> 10}kB").is_dir():
        raise VolumeError(f"huge pages of {format_bytes(size)} do not exist on this node")
    return str(size)


def disk_limit(source: EmptyDirVolumeSource | None) -> int:
    """Bytes that a volume on disk may take before its pod is evicted; 0: no limit."""
    if source is None or source.medium or not source.sizeLimit:
        return 0
    return max(value(source.sizeLimit), 0)
