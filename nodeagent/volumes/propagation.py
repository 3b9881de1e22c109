"""Mount propagation: which mounts of the node pass on what is mounted below them, and making ours do so."""

from __future__ import annotations

import os
from pathlib import Path

from nodeagent.runtime.syscalls import MS_BIND, MS_SHARED, mount
from nodeagent.volumes.payload import VolumeError
from nodeagent.volumes.teardown import MOUNTINFO, is_mount_point, mount_points


def covering_mount(path: Path, mountinfo: bytes) -> tuple[str, bool]:
    """(mount point that holds `path`, whether it is shared)."""
    wanted, best, shared = os.path.realpath(os.fsencode(path)), b"", False
    for target, options in mount_points(mountinfo):
        inside = wanted == target or wanted.startswith(target.rstrip(b"/") + b"/")
        if inside and len(target) >= len(best):
            best = target
            shared = any(option.startswith(b"shared:") for option in options)
    return os.fsdecode(best), shared


def check_shared(path: Path) -> None:
    """A path of the node that a container may mount on for all to see.  Raises VolumeError when none would see it."""
    target, shared = covering_mount(path, MOUNTINFO.read_bytes())
    if not shared:
        raise VolumeError(f'path "{path}" is mounted on "{target}" but it is not a shared mount')


def share(path: Path) -> None:
    """Make one of our directories a mount of its own that passes on what is mounted below it."""
    if not is_mount_point(path):
        mount(str(path), str(path), flags=MS_BIND)
    mount("none", str(path), flags=MS_SHARED)
