"""subPath: a place inside a volume that containers can write to, pinned before it is mounted.

The path is resolved by the kernel below the volume's directory (no link may lead out) and the opened place, not its
name, is bind-mounted to a directory of ours; the container's mount takes it from there.  So a link swapped in later
changes nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

from nodeagent.runtime.syscalls import MS_BIND, MS_REC, mount
from nodeagent.safepath import Links, Root, UnsafePathError
from nodeagent.volumes.payload import VolumeError
from nodeagent.volumes.teardown import is_mount_point, unmount_below


def pin(volume_dir: Path, sub_path: str, pinned: Path) -> Path:
    """Bind `sub_path` of the volume at `pinned` (made if missing) and return it.  Raises VolumeError.

    A place that does not exist becomes a directory with the volume's own mode.  A pin that is no longer that place
    (a live update has replaced the file) is made anew; a container that runs keeps what it has."""
    try:
        with Root.at(volume_dir, links=Links.BENEATH, cross_mounts=True) as root:
            try:
                descriptor = root.open(sub_path, os.O_PATH, follow=True)
            except FileNotFoundError:
                descriptor = root.makedirs(sub_path, stat.S_IMODE(os.fstat(root.fd).st_mode))
            try:
                if not _is_pinned(descriptor, pinned):
                    _bind(descriptor, pinned)
            finally:
                os.close(descriptor)
    except UnsafePathError as error:
        raise VolumeError(f"subPath {sub_path!r} is not a path inside the volume") from error
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.ELOOP):
            raise VolumeError(f"subPath {sub_path!r} leads out of the volume") from error
        raise VolumeError(f"failed to prepare subPath {sub_path!r}: {error.strerror}") from error
    return pinned


def _is_pinned(descriptor: int, pinned: Path) -> bool:
    """Whether the place is what is mounted; a stale mount is taken away."""
    if not is_mount_point(pinned):
        return False
    if os.path.samestat(os.fstat(descriptor), pinned.lstat()):
        return True
    unmount_below(pinned)
    with contextlib.suppress(OSError):
        pinned.rmdir() if pinned.is_dir() else pinned.unlink()
    return False


def _bind(descriptor: int, pinned: Path) -> None:
    pinned.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    source = Path(f"/proc/self/fd/{descriptor}")
    if source.is_dir():
        pinned.mkdir(exist_ok=True, mode=0o700)
    else:
        pinned.touch(mode=0o600)
    mount(str(source), str(pinned), flags=MS_BIND | MS_REC)
