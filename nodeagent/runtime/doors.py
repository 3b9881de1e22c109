"""Where a pod's own root reaches what is mounted for it: everything of ours is closed to all but the node's root.

The OCI runtime makes the mounts of a container with a user namespace as that namespace's root, whom the agent's
directories do not let in.  So what such a container is made of is mounted a second time below one directory that may be
passed but not listed, in a directory of the pod's root alone.

What must stay true: a door is there before anything is mounted behind it, and `close` leaves nothing of it.
"""

from __future__ import annotations

import os
from pathlib import Path

from nodeagent import safepath
from nodeagent.runtime import leftovers, syscalls

DOORS = Path("/run/tiphys-doors")  # every directory on the way may be passed by anybody


def open_door(name: str, owner: int) -> Path:
    """An empty directory that `owner` (an id of the node) may enter.  Raises OSError."""
    DOORS.mkdir(mode=0o711, exist_ok=True)
    DOORS.chmod(0o711)
    door = DOORS / name
    door.mkdir(mode=0o700)
    os.chown(door, owner, owner)
    return door


def bind(source: str, target: Path) -> None:
    """Mount a directory and what is mounted below it behind a door."""
    target.mkdir()
    syscalls.mount(source, str(target), "", syscalls.MS_BIND | syscalls.MS_REC)


def close(name: str) -> None:
    """Absent is fine."""
    door = DOORS / name
    if not door.exists():
        return
    leftovers.unmount_below(door)
    safepath.remove_tree(door)
    try:
        DOORS.rmdir()
    except OSError:
        return  # others are still in use
