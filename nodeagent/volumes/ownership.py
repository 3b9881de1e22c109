"""fsGroup: a volume's files belong to the pod's group, which may read and write them.

Works on open directories and follows no link, so a link left in a volume changes nothing outside of it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from nodeagent.safepath import DIR_FLAGS, opened, walk

_DIRECTORY = 0o770 | stat.S_ISGID
_FILE = 0o660


def set_group(path: Path, group: int, policy: str = "Always") -> None:
    """Give `path` and everything in it to `group`.  Policy OnRootMismatch: nothing if the directory itself is right.

    Raises OSError."""
    if policy == "OnRootMismatch" and is_right(path, group):
        return
    with opened(os.open(path, DIR_FLAGS)) as root:
        for directory in walk(root):
            for name in os.listdir(directory):  # noqa: PTH208 - of a descriptor
                _give(directory, name, group)
            if not os.path.sameopenfile(directory, root):
                _give_directory(directory, group)
        _give_directory(root, group)  # last: what OnRootMismatch looks at says that all is done


def is_right(path: Path, group: int) -> bool:
    """Whether the directory is the group's, with the mode it would get."""
    info = path.stat()
    return info.st_gid == group and info.st_mode & _DIRECTORY == _DIRECTORY


def _give_directory(descriptor: int, group: int) -> None:
    os.fchown(descriptor, -1, group)
    os.fchmod(descriptor, stat.S_IMODE(os.fstat(descriptor).st_mode) | _DIRECTORY)


def _give(directory: int, name: str, group: int) -> None:
    """Anything but a directory; of a link the link itself."""
    try:
        info = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if stat.S_ISDIR(info.st_mode):
            return
        if not stat.S_ISREG(info.st_mode):
            os.chown(name, -1, group, dir_fd=directory, follow_symlinks=False)
            return
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        return  # its program has removed it meanwhile
    try:
        os.fchown(descriptor, -1, group)
        os.fchmod(descriptor, stat.S_IMODE(os.fstat(descriptor).st_mode) | _FILE)
    finally:
        os.close(descriptor)
