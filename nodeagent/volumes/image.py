"""Image volumes: the files of an image, read-only, as they are in its layers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from nodeagent.runtime.syscalls import MS_NODEV, MS_NOSUID, MS_RDONLY, mount
from nodeagent.volumes.payload import VolumeError
from nodeagent.volumes.teardown import is_mount_point

MAX_LAYERS = 128
_SAFE_OPTIONS = "redirect_dir=nofollow,metacopy=off,index=off"  # xattrs in a layer can name no path outside of it


def note_of(target: Path) -> Path:
    """The file beside a volume that says which image it shows."""
    return target.with_name(f".{target.name}.image")


def mount_image(layers: Sequence[Path], target: Path) -> None:
    """Mount `layers` (bottom first) at `target`, which is made; one that is mounted stays.  Raises VolumeError."""
    if is_mount_point(target):
        return
    if not 0 < len(layers) <= MAX_LAYERS:
        raise VolumeError(f"image has {len(layers)} layers")
    target.mkdir(parents=True, exist_ok=True)
    empty = target.with_name(f".{target.name}.empty")  # overlayfs wants two lower directories at least
    empty.mkdir(exist_ok=True)
    with ExitStack() as stack:

        def named(path: Path) -> str:
            descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            stack.callback(os.close, descriptor)
            return f"/proc/self/fd/{descriptor}"

        try:
            lower = ":".join(named(path) for path in [*reversed(layers), empty])
            mount(
                "overlay", str(target), "overlay", MS_RDONLY | MS_NODEV | MS_NOSUID, f"lowerdir={lower},{_SAFE_OPTIONS}"
            )
        except OSError as error:
            raise VolumeError(f"mounting the image: {error.strerror}") from error
