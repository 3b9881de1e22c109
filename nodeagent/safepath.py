"""Filesystem work below a root whose contents somebody else wrote: image layers, volumes, container file systems.

What must stay true: no operation here has an effect, or reads a byte, outside the root it was given, whatever links,
mounts or special files lie below it.  Three means hold that:

- the directory part of every path is resolved by the kernel with `openat2`, never by string work, and never across
  magic links (/proc/self/fd) or mount points;
- the last component is always acted upon itself, relative to an open directory, never through a link (O_NOFOLLOW and
  the *at calls), except where a caller asks to open what a link names inside the root;
- removal walks open directories and stops at mount points.

Paths may be `str` or `bytes`; a leading "/" means the root itself.  All errors are OSError (EXDEV: would leave the
root; ELOOP: a link where none is allowed), except UnsafePathError for names that are no names ("", ".", "..", NUL).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from nodeagent.openat2 import (
    DIR_FLAGS,
    AnyPath,
    Links,
    Name,
    UnsafePathError,
    open_or_make_dir,
    openat2,
    opened,
    split,
    write_all,
)

__all__ = [
    "DIR_FLAGS",
    "Links",
    "Root",
    "UnsafePathError",
    "open_or_make_dir",
    "openat2",
    "opened",
    "remove_at",
    "remove_tree",
    "split",
    "walk",
    "write_all",
]

_MAX_OPEN = 64  # descriptors that removing one tree may hold


class Root:
    """An open directory and the operations below it.  Close it, or use it in a `with` statement."""

    def __init__(self, fd: int, *, links: Links = Links.IN_ROOT, cross_mounts: bool = False) -> None:
        """Takes over `fd`, a directory.  `links` is the rule for the directory part of every path."""
        self.fd = fd
        self.links = links
        self.cross_mounts = cross_mounts

    @classmethod
    def at(cls, path: AnyPath, *, links: Links = Links.IN_ROOT, cross_mounts: bool = False) -> Self:
        """Open a directory whose own path is trusted."""
        return cls(os.open(path, DIR_FLAGS), links=links, cross_mounts=cross_mounts)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    # -- opening ---------------------------------------------------------------------------------------------------

    def open(self, path: Name, flags: int = os.O_RDONLY, mode: int = 0, *, follow: bool = False) -> int:
        """Open `path`; with `follow` the last component may be a link, resolved under the root's rule.

        Never blocks on a FIFO and never makes a terminal ours.
        """
        parts = split(path)
        extra = (0 if flags & os.O_PATH else os.O_NOCTTY | os.O_NONBLOCK) | (0 if follow else os.O_NOFOLLOW)
        return openat2(
            self.fd,
            b"/".join(parts) or b".",
            flags | extra,
            mode=mode if flags & os.O_CREAT else 0,
            links=self.links,
            cross_mounts=self.cross_mounts,
        )

    def open_dir(self, path: Name, *, follow: bool = False) -> int:
        return self.open(path, DIR_FLAGS, follow=follow)

    def sub(self, path: Name) -> Root:
        """The directory `path` as a root of its own."""
        return Root(self.open_dir(path), links=self.links, cross_mounts=self.cross_mounts)

    @contextmanager
    def parent(self, path: Name) -> Iterator[tuple[int, bytes]]:
        """(descriptor of the directory that holds `path`, last component)."""
        parts = split(path)
        if not parts:
            raise UnsafePathError(f"{os.fsdecode(path)!r} names the root itself")
        fd = openat2(
            self.fd, b"/".join(parts[:-1]) or b".", DIR_FLAGS, links=self.links, cross_mounts=self.cross_mounts
        )
        try:
            yield fd, parts[-1]
        finally:
            os.close(fd)

    # -- reading ---------------------------------------------------------------------------------------------------

    def stat(self, path: Name) -> os.stat_result:
        """lstat: of the link itself if `path` is a link."""
        if not split(path):
            return os.fstat(self.fd)
        with self.parent(path) as (fd, name):
            return os.stat(name, dir_fd=fd, follow_symlinks=False)

    def exists(self, path: Name) -> bool:
        try:
            self.stat(path)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV):
                return False
            raise
        return True

    def readlink(self, path: Name) -> bytes:
        with self.parent(path) as (fd, name):
            return os.readlink(name, dir_fd=fd)

    def listdir(self, path: Name = b"") -> list[str]:
        fd = self.open_dir(path)
        try:
            return sorted(os.listdir(fd))  # noqa: PTH208 - of a descriptor
        finally:
            os.close(fd)

    def read_bytes(self, path: Name, *, limit_bytes: int, follow: bool = True) -> bytes:
        """Contents of a regular file of at most `limit_bytes`; EFBIG beyond, EINVAL for anything but a file."""
        fd = self.open(path, os.O_RDONLY, follow=follow)
        try:
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode):
                raise OSError(errno.EINVAL, "not a regular file", os.fsdecode(path))
            chunks = []
            room = limit_bytes + 1
            while room > 0 and (chunk := os.read(fd, min(room, 1 << 20))):
                chunks.append(chunk)
                room -= len(chunk)
            if room <= 0:
                raise OSError(errno.EFBIG, f"longer than {limit_bytes} bytes", os.fsdecode(path))
            return b"".join(chunks)
        finally:
            os.close(fd)

    # -- making ----------------------------------------------------------------------------------------------------

    def create(self, path: Name, mode: int = 0o600) -> int:
        """A new, empty regular file, open for writing; EEXIST if anything has that name."""
        with self.parent(path) as (fd, name):
            return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=fd)

    def write_bytes(self, path: Name, data: bytes, mode: int = 0o600, *, uid: int = -1, gid: int = -1) -> None:
        """Put a regular file at `path`, atomically: a link or file of that name is replaced, never written through."""
        with self.parent(path) as (fd, name):
            temporary = b".tmp-%d-%s" % (os.getpid(), os.urandom(6).hex().encode())
            out = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=fd)
            try:
                try:
                    write_all(out, data)
                    os.fchown(out, uid, gid)
                    os.fchmod(out, mode)  # after chown, which drops set-id bits
                finally:
                    os.close(out)
                os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=fd)
                raise

    def mkdir(self, path: Name, mode: int = 0o755, *, exist_ok: bool = False) -> None:
        """One directory, with exactly `mode` if it is new.  A link to a directory does not count as existing."""
        with self.parent(path) as (fd, name):
            try:
                os.mkdir(name, mode, dir_fd=fd)
            except FileExistsError:
                if exist_ok and stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                    return
                raise
            with opened(os.open(name, DIR_FLAGS | os.O_NOFOLLOW, dir_fd=fd)) as made:
                os.fchmod(made, mode)  # mkdir's mode is cut by the umask

    def makedirs(self, path: Name, mode: int = 0o755, *, uid: int = -1, gid: int = -1) -> int:
        """Make `path` and what is missing above it (those get `mode`, `uid`, `gid`); returns it opened.

        Links to directories above are followed under the root's rule, and a link's missing target is made.
        """
        fd, made = open_or_make_dir(self.fd, b"/".join(split(path)), links=self.links, mode=mode)
        for relative in made:
            with opened(openat2(self.fd, relative, DIR_FLAGS, links=Links.NONE)) as created:
                os.fchown(created, uid, gid)
                os.fchmod(created, mode)
        return fd

    def symlink(self, target: Name, path: Name) -> None:
        with self.parent(path) as (fd, name):
            os.symlink(os.fsencode(target), name, dir_fd=fd)

    def link(self, existing: Name, path: Name) -> None:
        """A hard link; of a link itself if `existing` is one."""
        with self.parent(existing) as (old_fd, old), self.parent(path) as (new_fd, new):
            os.link(old, new, src_dir_fd=old_fd, dst_dir_fd=new_fd, follow_symlinks=False)

    def mknod(self, path: Name, mode: int, device: int = 0) -> None:
        with self.parent(path) as (fd, name):
            os.mknod(name, mode, device, dir_fd=fd)

    def rename(self, old: Name, new: Name) -> None:
        with self.parent(old) as (old_fd, old_name), self.parent(new) as (new_fd, new_name):
            os.rename(old_name, new_name, src_dir_fd=old_fd, dst_dir_fd=new_fd)

    # -- changing --------------------------------------------------------------------------------------------------

    def chmod(self, path: Name, mode: int) -> None:
        """Of a file or directory; ELOOP for a link, whose mode means nothing."""
        with opened(self.open(path, os.O_PATH)) as fd:
            if stat.S_ISLNK(os.fstat(fd).st_mode):
                raise OSError(errno.ELOOP, "is a symbolic link", os.fsdecode(path))
            os.chmod(f"/proc/self/fd/{fd}", mode)  # noqa: PTH101 - fchmod refuses an O_PATH descriptor

    def chown(self, path: Name, uid: int, gid: int) -> None:
        """Of the link itself if `path` is a link."""
        if not split(path):
            os.fchown(self.fd, uid, gid)
            return
        with self.parent(path) as (fd, name):
            os.chown(name, uid, gid, dir_fd=fd, follow_symlinks=False)

    def utime(self, path: Name, mtime_ns: int) -> None:
        if not split(path):
            os.utime(self.fd, ns=(mtime_ns, mtime_ns))
            return
        with self.parent(path) as (fd, name):
            os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=fd, follow_symlinks=False)

    # -- removing --------------------------------------------------------------------------------------------------

    def unlink(self, path: Name) -> None:
        with self.parent(path) as (fd, name):
            os.unlink(name, dir_fd=fd)

    def rmdir(self, path: Name) -> None:
        with self.parent(path) as (fd, name):
            os.rmdir(name, dir_fd=fd)

    def remove_tree(self, path: Name) -> None:
        """Remove `path` and everything below; see remove_at.  Absent is fine."""
        try:
            with self.parent(path) as (fd, name):
                remove_at(fd, name)
        except FileNotFoundError:
            return


def walk(root_fd: int) -> Iterator[int]:
    """Every directory at and below an open one, each opened for as long as the caller looks at it.

    No link is followed, no mount entered, and neither depth nor width costs descriptors or stack; what vanishes
    meanwhile is left out.  ENAMETOOLONG for a tree deeper than a path can say.
    """
    todo = [b""]
    while todo:
        path = todo.pop()
        try:
            fd = openat2(root_fd, path or b".", DIR_FLAGS | os.O_NOFOLLOW, links=Links.NONE)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            if error.errno in (errno.EXDEV, errno.ELOOP):
                continue
            raise
        with opened(fd), os.scandir(fd) as entries:
            todo += [
                path + b"/" + os.fsencode(one.name) if path else os.fsencode(one.name)
                for one in entries
                if one.is_dir(follow_symlinks=False)
            ]
            yield fd


def remove_at(dir_fd: int, name: bytes) -> None:
    """Remove `name` in an open directory, with everything below it if it is a directory.

    Nothing is followed.  A mount point inside is not entered: EXDEV, and what else can go is gone.
    """
    try:
        os.unlink(name, dir_fd=dir_fd)
        return
    except FileNotFoundError:
        return
    except IsADirectoryError:
        pass
    except PermissionError:  # what POSIX lets unlink say of a directory
        if not stat.S_ISDIR(os.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_mode):
            raise
    fd = openat2(dir_fd, name, DIR_FLAGS | os.O_NOFOLLOW, links=Links.NONE)  # no crossing: EXDEV at a mount point
    stack: list[tuple[int, bytes, list[bytes]]] = [(fd, name, _names(fd))]
    refused: OSError | None = None
    try:
        while stack:
            here, own_name, entries = stack[-1]
            try:
                if not entries:
                    stack.pop()
                    os.close(here)
                    os.rmdir(own_name, dir_fd=stack[-1][0] if stack else dir_fd)
                elif (child := _unlink_or_open(here, entry := entries.pop())) is not None:
                    stack.append((child, entry, _names(child)))
                    if len(stack) > _MAX_OPEN:
                        _lift(stack)
            except OSError as error:
                refused = refused or error
    finally:
        for here, _, _ in stack:
            os.close(here)
    if refused is not None:
        raise refused


def _unlink_or_open(dir_fd: int, name: bytes) -> int | None:
    """Remove `name`, or open it if it is a directory (EXDEV at a mount point)."""
    try:
        os.unlink(name, dir_fd=dir_fd)
    except FileNotFoundError:
        pass
    except IsADirectoryError:
        return openat2(dir_fd, name, DIR_FLAGS | os.O_NOFOLLOW, links=Links.NONE)
    return None


def _lift(stack: list[tuple[int, bytes, list[bytes]]]) -> None:
    """Move the deepest directory up below the first one, so that any depth needs few open descriptors."""
    fd, name, _ = stack.pop()
    os.close(fd)
    lifted = b".lifted-" + os.urandom(8).hex().encode()
    os.rename(name, lifted, src_dir_fd=stack[-1][0], dst_dir_fd=stack[0][0])
    stack[0][2].append(lifted)


def _names(fd: int) -> list[bytes]:
    return [os.fsencode(name) for name in os.listdir(fd)]


def remove_tree(path: AnyPath) -> None:
    """Remove a directory whose own path is trusted and whose contents are not.  Absent is fine."""
    parent, name = os.path.split(os.fsencode(os.path.abspath(path)))  # noqa: PTH100 - keeps links as they are
    try:
        with opened(os.open(parent, DIR_FLAGS)) as fd:
            remove_at(fd, name)
    except FileNotFoundError:
        return
