"""hostPath volumes: a path of the node, checked or made by its `type`."""

from __future__ import annotations

import stat
from pathlib import Path

from nodeagent.volumes.payload import VolumeError

_CHECKS = {
    "Directory": (stat.S_ISDIR, "is not a directory"),
    "DirectoryOrCreate": (stat.S_ISDIR, "is not a directory"),
    "File": (stat.S_ISREG, "is not a file"),
    "FileOrCreate": (stat.S_ISREG, "is not a file"),
    "Socket": (stat.S_ISSOCK, "is not a socket file"),
    "CharDevice": (stat.S_ISCHR, "is not a character device"),
    "BlockDevice": (stat.S_ISBLK, "is not a block device"),
}


def prepare(path: str, kind: str) -> Path:
    """The path to bind, after the check or creation that `kind` asks for.  Raises VolumeError."""
    target = Path(path)
    if not kind:
        if not target.exists():
            target.mkdir(parents=True, mode=0o755, exist_ok=True)
        return target
    if kind == "DirectoryOrCreate" and not target.exists():
        target.mkdir(parents=True, mode=0o755, exist_ok=True)
    if kind == "FileOrCreate" and not target.exists():
        target.touch(mode=0o644)
    check, complaint = _CHECKS.get(kind, (stat.S_ISDIR, "is of an unknown type"))
    try:
        mode = target.stat().st_mode
    except OSError as error:
        raise VolumeError(f"hostPath type check failed: {path} {complaint}") from error
    if not check(mode):
        raise VolumeError(f"hostPath type check failed: {path} {complaint}")
    return target
