"""A container's root directory: an overlay of its image's layers, checked before the runtime may touch it.

What must stay true: layers are never written (each container has its own upper directory); nothing is resolved through
the image's symbolic links except inside the root; /dev, /proc and /sys are real directories, or it is refused;
the files we mount over (/etc/hosts, /etc/resolv.conf, /etc/hostname) are real files.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from nodeagent.runtime import syscalls
from nodeagent.runtime.interface import Mount, RootfsUnsafe, RuntimeFailure
from nodeagent.safepath import Root, UnsafePathError, opened, split

MAX_LAYERS = 128
_SAFE_OPTIONS = "redirect_dir=nofollow,metacopy=off,index=off"  # xattrs in a layer can name no path outside of it
_OWN_FILES = (b"etc/hosts", b"etc/resolv.conf", b"etc/hostname")


def mount_overlay(layers: Sequence[Path], upper: Path, work: Path, target: Path) -> None:
    """Mount `layers` (bottom first) below `upper` at `target`; all directories exist.  Raises RuntimeFailure.

    The directories are named by descriptor, so that 128 of them fit into the one page the kernel reads and no
    character of a path can be taken for a separator.
    """
    if not layers:
        raise RuntimeFailure("image has no layers")
    if len(layers) > MAX_LAYERS:
        raise RootfsUnsafe(f"image has {len(layers)} layers, more than {MAX_LAYERS}")
    with ExitStack() as stack:

        def named(path: Path) -> str:
            try:
                fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except OSError as error:
                raise RuntimeFailure(f"layer {path.name}: {error.strerror}") from error
            stack.callback(os.close, fd)
            return f"/proc/self/fd/{fd}"

        lower = ":".join(named(layer) for layer in reversed(layers))
        options = f"lowerdir={lower},upperdir={named(upper)},workdir={named(work)},{_SAFE_OPTIONS}"
        try:
            # volatile: the upper directory dies with the container, so nobody needs it flushed when it is unmounted
            syscalls.mount("overlay", str(target), "overlay", syscalls.MS_NODEV, f"{options},volatile")
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise RuntimeFailure(f"mounting the root directory: {error.strerror}") from error
            try:
                syscalls.mount("overlay", str(target), "overlay", syscalls.MS_NODEV, options)
            except OSError as second:
                raise RuntimeFailure(f"mounting the root directory: {second.strerror}") from second


def prepare(rootfs: Path, mounts: Sequence[Mount], cwd: str) -> list[Mount]:
    """Make the mounted root ready for the runtime; returns the mounts with targets free of links.

    Raises RootfsUnsafe when a place the runtime will use leads elsewhere, RuntimeFailure when a target cannot be made.
    """
    targets = [_parts(mount.target) for mount in mounts]
    workplace = os.fsdecode(b"/".join(_parts(os.path.normpath(cwd))))
    with Root.at(rootfs) as root:
        for name in (b"dev", b"proc", b"sys"):
            _real_directory(root, name)
        if any(parts[0] == b"etc" for parts in targets if parts):
            _real_directory(root, b"etc")
        resolved = [_prepare_mount(root, mount, parts) for mount, parts in zip(mounts, targets, strict=True)]
        if workplace and workplace.split("/")[0] != "dev":
            _refuse_kernel_paths(_make_directory(root, f"/{workplace}", "working directory"), cwd)
        return resolved


def _parts(path: str) -> list[bytes]:
    try:
        return split(path)
    except UnsafePathError as error:
        raise RuntimeFailure(f"path in the container {path!r}: {error}") from error


def _real_directory(root: Root, name: bytes) -> None:
    try:
        kind = root.stat(name).st_mode
    except FileNotFoundError:
        root.mkdir(name)
        return
    if not stat.S_ISDIR(kind):
        raise RootfsUnsafe(f"/{name.decode()} in the image is not a directory")


def _prepare_mount(root: Root, mount: Mount, parts: list[bytes]) -> Mount:
    if not parts:
        raise RuntimeFailure("a volume cannot be mounted at /")
    if parts[0] == b"dev":
        return replace(mount, target="/" + os.fsdecode(b"/".join(parts)))  # on the fresh tmpfs, made by the runtime
    try:
        source_is_directory = stat.S_ISDIR(Path(mount.source).stat().st_mode)
    except OSError as error:
        raise RuntimeFailure(f"mount source of {mount.target!r}: {error.strerror}") from error
    target = _make_directory(root, mount.target, "mount path") if source_is_directory else _make_file(root, parts)
    _refuse_kernel_paths(target, mount.target)
    return replace(mount, target=target)


def _make_directory(root: Root, path: str, what: str) -> str:
    try:
        _refuse_kernel_paths("/" + os.fsdecode(b"/".join(split(path))), path)
        with opened(root.makedirs(path)) as fd:
            return _path_of(root, fd)
    except OSError as error:
        raise RuntimeFailure(f"{what} {path!r} cannot be used: {error.strerror}") from error


def _make_file(root: Root, parts: list[bytes]) -> str:
    path = b"/".join(parts)
    shown = "/" + os.fsdecode(path)
    try:
        with opened(root.makedirs(b"/".join(parts[:-1]))) as directory:
            parent = _path_of(root, directory)
            _refuse_kernel_paths(parent, shown)
            name = parts[-1]
            if path in _OWN_FILES and _is_not_file(directory, name):
                os.unlink(
                    name, dir_fd=directory
                )  # a link to some other place: ours is a plain file (only in the upper)
            try:
                fd = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644, dir_fd=directory)
                os.close(fd)
            except FileExistsError:
                pass
            if not stat.S_ISLNK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
                return f"{parent.rstrip('/')}/{os.fsdecode(name)}"
        with opened(root.open(path, os.O_PATH, follow=True)) as fd:
            return _path_of(root, fd)
    except OSError as error:
        raise RuntimeFailure(f"mount path {shown!r} cannot be used: {error.strerror}") from error


def _is_not_file(directory: int, name: bytes) -> bool:
    try:
        kind = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))


def _path_of(root: Root, fd: int) -> str:
    """Path inside the root of an open descriptor, as the kernel names it."""
    base = str(Path(f"/proc/self/fd/{root.fd}").readlink())
    full = str(Path(f"/proc/self/fd/{fd}").readlink())
    if full != base and not full.startswith(base + "/"):
        raise RootfsUnsafe(f"{full!r} is outside of the root directory")
    return full[len(base) :] or "/"


def _refuse_kernel_paths(resolved: str, asked: str) -> None:
    """Only the kernel's own file systems may appear below /proc and /sys."""
    parts = resolved.strip("/").split("/")
    if parts[0] == "proc" or (parts[0] == "sys" and parts[1:2] != ["fs"]):
        raise RootfsUnsafe(f"path {asked!r} leads into /{parts[0]}")
