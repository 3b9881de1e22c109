"""The system calls that Python does not offer, one thin function each; every failure is an OSError with the path.

No policy here.  All of them act on the calling thread or on what is passed in.
"""

from __future__ import annotations

import ctypes
import os
import struct

_libc = ctypes.CDLL(None, use_errno=True)

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC, MS_PRIVATE, MS_SHARED = 4096, 16384, 1 << 18, 1 << 20
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWNET = 0x40000000

OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC, MOVE_MOUNT_F_EMPTY_PATH = 0x1, os.O_CLOEXEC, 0x4
MOUNT_ATTR_IDMAP = 0x00100000

IN_CLOSE_WRITE, IN_MOVED_TO, IN_ONLYDIR = 0x8, 0x80, 0x01000000

_PR_SET_CHILD_SUBREAPER = 36
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442  # the same numbers on every architecture


def _check(result: int, what: str) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), what)
    return result


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    where = (os.fsencode(source), os.fsencode(target))
    _check(_libc.mount(*where, kind.encode() or None, ctypes.c_ulong(flags), data.encode() or None), target)


def umount(target: str, flags: int = MNT_DETACH | UMOUNT_NOFOLLOW) -> None:
    _check(_libc.umount2(os.fsencode(target), flags), target)


def open_tree(source: str, *, recursive: bool) -> int:
    """A descriptor of a copy of the mount at `source` that is mounted nowhere yet."""
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (_AT_RECURSIVE if recursive else 0)
    return _check(_libc.syscall(_OPEN_TREE, _AT_FDCWD, os.fsencode(source), ctypes.c_uint(flags)), source)


def map_ids(tree: int, user_namespace: int, *, recursive: bool) -> None:
    """Let the mount of `open_tree` show ids through the mapping of a user namespace (a descriptor)."""
    attributes = struct.pack("=QQQQ", MOUNT_ATTR_IDMAP, 0, 0, user_namespace)
    flags = ctypes.c_uint(_AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0))
    size = ctypes.c_size_t(len(attributes))
    _check(_libc.syscall(_MOUNT_SETATTR, tree, b"", flags, attributes, size), "mount_setattr")


def move_mount(tree: int, target: str) -> None:
    """Attach the mount of `open_tree` at `target`."""
    where = (_AT_FDCWD, os.fsencode(target))
    _check(_libc.syscall(_MOVE_MOUNT, tree, b"", *where, MOVE_MOUNT_F_EMPTY_PATH), target)


def unshare(flags: int) -> None:
    _check(_libc.unshare(flags), "unshare")


def setns(fd: int, kind: int) -> None:
    _check(_libc.setns(fd, kind), "setns")


def sethostname(name: str) -> None:
    raw = name.encode()
    _check(_libc.sethostname(raw, ctypes.c_size_t(len(raw))), "sethostname")


def become_subreaper() -> None:
    """Orphaned descendants are re-parented to this process instead of process 1."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")


def inotify_init() -> int:
    return _check(_libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK), "inotify_init1")


def inotify_add_watch(fd: int, path: str, mask: int) -> int:
    return _check(_libc.inotify_add_watch(fd, os.fsencode(path), ctypes.c_uint32(mask)), path)
