"""Removing a directory that containers have written to.

What must stay true: first everything mounted below is unmounted, then the tree is removed through
`nodeagent.safepath`, which follows no link and enters no mount, so nothing outside can be deleted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from nodeagent import safepath
from nodeagent.runtime.syscalls import umount

MOUNTINFO = Path("/proc/self/mountinfo")
_OCTAL = re.compile(rb"\\([0-3][0-7]{2})")
_LAYERS = 8  # stacked mounts on one path that are looked for


def mounts_below(root: Path) -> list[str]:
    """Mount points at or below `root`, in the order they were made."""
    prefix = os.fsencode(root)
    return [
        os.fsdecode(target)
        for target, _ in mount_points(MOUNTINFO.read_bytes())
        if target == prefix or target.startswith(prefix + b"/")
    ]


def mount_points(mountinfo: bytes) -> Iterator[tuple[bytes, list[bytes]]]:
    """(mount point, optional fields such as b"shared:1") of each line.

    Bytes throughout: a container can mount on a name that is no text."""
    for line in mountinfo.split(b"\n"):
        words = line.split(b" ")
        if len(words) > 6:
            target = words[4] if b"\\" not in words[4] else _OCTAL.sub(lambda m: bytes([int(m[1], 8)]), words[4])
            yield target, words[6 : words.index(b"-", 6)]


def is_mount_point(path: Path) -> bool:
    """Whether something is mounted exactly at `path`."""
    return str(path) in mounts_below(path)


def unmount_below(root: Path) -> None:
    """Unmount everything at or below `root`, newest first."""
    for _ in range(_LAYERS):
        targets = mounts_below(root)
        if not targets:
            return
        for target in reversed(targets):
            try:
                umount(target)
            except OSError:
                continue  # covered by a newer mount: the next pass gets it


def remove_tree(root: Path) -> None:
    """Unmount and delete `root`; a missing one is fine.  Raises OSError when something is left."""
    unmount_below(root)
    safepath.remove_tree(root)
