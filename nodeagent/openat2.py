"""Opening paths below an untrusted directory: the openat2 system call, its rules for links, and making what is missing.

The low half of nodeagent.safepath, which is what other rooms import.  What must stay true: the kernel resolves, in one
call, and no rule here lets a path leave the directory it starts from.
"""

from __future__ import annotations

import ctypes
import enum
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

Name = str | bytes
AnyPath = str | bytes | os.PathLike[str]

_SYS_OPENAT2 = 437  # the same number on every architecture
_RESOLVE_NO_XDEV = 0x01
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08
_RESOLVE_IN_ROOT = 0x10

DIR_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MAX_LINKS = 40


class Links(enum.IntEnum):
    """What a link in the directory part of a path may do."""

    IN_ROOT = _RESOLVE_IN_ROOT  # resolved as if the root were "/" (chroot's meaning)
    BENEATH = _RESOLVE_BENEATH  # followed while it stays below the root; one that is absolute or climbs out is EXDEV
    NONE = _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS  # any link is ELOOP


class UnsafePathError(ValueError):
    """A path that cannot name anything below a root."""


class _OpenHow(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long


def openat2(
    dir_fd: int, path: Name, flags: int, *, mode: int = 0, links: Links = Links.IN_ROOT, cross_mounts: bool = False
) -> int:
    """Open `path` below `dir_fd` under the given rule; returns a close-on-exec descriptor.  Raises OSError."""
    raw = os.fsencode(path)
    if b"\0" in raw:
        raise UnsafePathError("NUL in path")
    resolve = links.value | _RESOLVE_NO_MAGICLINKS | (0 if cross_mounts else _RESOLVE_NO_XDEV)
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    while True:
        fd = _syscall(
            ctypes.c_long(_SYS_OPENAT2),
            ctypes.c_int(dir_fd),
            ctypes.c_char_p(raw),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        if fd >= 0:
            return int(fd)
        code = ctypes.get_errno()
        if code not in (errno.EINTR, errno.EAGAIN):  # EAGAIN: a rename raced with "..": look again
            raise OSError(code, os.strerror(code), os.fsdecode(raw))


def split(path: Name) -> list[bytes]:
    """Components of a path below a root: "/a/./b/" -> [b"a", b"b"].  Raises UnsafePathError for ".." and NUL."""
    raw = os.fsencode(path)
    if b"\0" in raw:
        raise UnsafePathError("NUL in path")
    parts = [part for part in raw.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise UnsafePathError(f"{os.fsdecode(raw)!r} contains '..'")
    return parts


@contextmanager
def opened(fd: int) -> Iterator[int]:
    """Closes the descriptor at the end of the block."""
    try:
        yield fd
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def open_or_make_dir(root_fd: int, path: bytes, *, links: Links, mode: int = 0o755) -> tuple[int, list[bytes]]:
    """Open the directory `path` (split and joined by `split`) below `root_fd`, making what is missing.

    Returns the descriptor and the directories made, as link-free paths from the root, outermost first.  The walk
    keeps a canonical path of its own, so that each step is one component opened without following anything.
    EXDEV if a link leaves the root and the rule is BENEATH; ELOOP if the rule is NONE or links go in circles.
    """
    if not path:
        return os.dup(root_fd), []
    try:
        return openat2(root_fd, path, DIR_FLAGS, links=links), []
    except FileNotFoundError:
        pass
    todo = path.split(b"/")[::-1]
    done: list[bytes] = []
    made: list[bytes] = []
    links_left = _MAX_LINKS
    while todo:
        part = todo.pop()
        if part in (b"", b"."):
            continue
        if part == b"..":
            if done:
                done.pop()
            elif links is not Links.IN_ROOT:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), os.fsdecode(path))
            continue
        with opened(openat2(root_fd, b"/".join(done) or b".", DIR_FLAGS, links=Links.NONE)) as here:
            try:
                info = os.stat(part, dir_fd=here, follow_symlinks=False)
            except FileNotFoundError:
                os.mkdir(part, mode, dir_fd=here)
                done.append(part)
                made.append(b"/".join(done))
                continue
            if not stat.S_ISLNK(info.st_mode):
                done.append(part)  # if it is no directory the next step, or the last, says ENOTDIR
                continue
            links_left -= 1
            if links_left < 0 or links is Links.NONE:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fsdecode(path))
            target = os.readlink(part, dir_fd=here)
        if target.startswith(b"/"):
            if links is not Links.IN_ROOT:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), os.fsdecode(path))
            done.clear()
        todo.extend(target.split(b"/")[::-1])
    return openat2(root_fd, b"/".join(done) or b".", DIR_FLAGS, links=Links.NONE), made
