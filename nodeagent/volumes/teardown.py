"""Removing a directory that containers have written to.

What must stay true: first everything mounted below is unmounted, then the tree is removed through
`nodeagent.safepath`, which follows no link and enters no mount, so nothing outside can be deleted.
"""

from __future__ import annotations

from pathlib import Path

from nodeagent import safepath
from nodeagent.runtime.syscalls import umount

_LAYERS = 8  # stacked mounts on one path that are looked for


def mounts_below(root: Path) -> list[str]:
    """Mount points at or below `root`, in the order they were made."""
    prefix = str(root)
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        target = line.split(" ")[4].encode().decode("unicode_escape")
        if target == prefix or target.startswith(prefix + "/"):
            found.append(target)
    return found


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
