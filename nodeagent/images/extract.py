"""Putting a layer's entries below a directory: the only place where an image's paths meet the file system.

The result is a layer as overlayfs wants it: a whiteout is a 0/0 character device, an opaque directory has the attribute
trusted.overlay.opaque.  What must stay true, whatever the archive says:

- nothing outside the directory is read, made or changed. Names count from the layer's root: a leading "/" means it,
  ".." is refused; an entry is never written through a link that is absolute or climbs out of the layer (EXDEV,
  refused), while links that stay inside are followed, as by a container;
- only harmless character devices (null, zero, full, random, urandom, tty, console, ptmx) are made; others are
  refused;
- overlay's own attributes come from whiteouts only, never from the archive."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from nodeagent.images.tarstream import (
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    FIFO,
    HARD_LINK,
    REGULAR,
    SYMBOLIC_LINK,
    Entry,
    Source,
    entries,
)
from nodeagent.safepath import DIR_FLAGS, Links, UnsafePathError, open_or_make_dir, openat2, remove_at, split

OPAQUE = "trusted.overlay.opaque"
_WHITEOUT = b".wh."
_OPAQUE_MARK = b".wh..wh..opq"
_META = b".wh..wh."
_OPEN_DIRECTORIES = 128
_MAX_ID = 2**32 - 2
_SAFE_DEVICES = frozenset({(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)})
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NODE_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EROFS)


class RefusedEntryError(ValueError):
    """An entry that no honest image has; the text names it and the reason."""


@dataclass(frozen=True)
class Limits:
    entries: int = 2_000_000
    path_bytes: int = 4096
    xattrs: int = 64
    xattr_bytes: int = 65536


class Extractor:
    """Extracts one archive into one empty directory, whose descriptor it borrows.  Wants a umask of 0."""

    def __init__(self, root_fd: int, limits: Limits | None = None) -> None:
        self.root_fd = root_fd
        self.limits = limits or Limits()
        self.count = 0
        self.implied: dict[bytes, None] = {b"": None}  # directories no entry describes, in the order they were made
        self._open: dict[bytes, int] = {}
        self._directories: dict[bytes, Entry] = {}
        self._whiteouts: set[bytes] = set()
        self._makers: dict[bytes, Callable[[Entry, int, bytes, bytes, Source], None]] = {
            REGULAR: self._regular,
            DIRECTORY: self._directory,
            SYMBOLIC_LINK: self._symbolic_link,
            HARD_LINK: self._hard_link,
            CHARACTER: self._device,
            BLOCK_DEVICE: self._device,
            FIFO: self._fifo,
        }

    def run(self, source: Source) -> None:
        """Raises RefusedEntryError, TarError; OSError only for the node's own faults (no space, I/O)."""
        for entry in entries(source):
            self.count += 1
            if self.count > self.limits.entries:
                raise RefusedEntryError(f"more than {self.limits.entries} entries")
            try:
                self._entry(entry, source)
            except UnsafePathError as error:
                raise self._refusal(entry, str(error)) from None
            except OSError as error:
                if error.errno in _NODE_FAULTS:
                    raise
                raise self._refusal(entry, _reason(error)) from None
        self._finish_directories()
        self.close()

    def close(self) -> None:
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()

    def _refusal(self, entry: Entry, reason: str) -> RefusedEntryError:
        return RefusedEntryError(f"entry {os.fsdecode(entry.name[:200])!r}: {reason}")

    # -- one entry -----------------------------------------------------------------------------------------------

    def _entry(self, entry: Entry, source: Source) -> None:
        name = entry.name
        if len(name) > self.limits.path_bytes:
            raise self._refusal(entry, f"path longer than {self.limits.path_bytes} bytes")
        if name[:1] in (b"/", b".") or b"/." in name or b"//" in name or name[-1:] == b"/" or b"\0" in name:
            name = b"/".join(split(name))
        maker = self._makers.get(entry.kind)
        if maker is None:
            raise self._refusal(entry, "unknown type")
        if not (0 <= entry.uid <= _MAX_ID and 0 <= entry.gid <= _MAX_ID):
            raise self._refusal(entry, "owner out of range")
        if not name:
            if entry.kind != DIRECTORY:
                raise self._refusal(entry, "names the root but is no directory")
            self._directories[b""] = entry
            self.implied.pop(b"", None)
            return
        parent, _, base = name.rpartition(b"/")
        parent_fd = self._open.get(parent)
        if parent_fd is None:
            parent_fd = self._open_parent(parent)
        if base.startswith(_WHITEOUT):
            source.pass_to(entry.size, len)
            self._whiteout(entry, parent_fd, parent, base)
            return
        try:
            maker(entry, parent_fd, base, name, source)
        except FileExistsError:
            parent_fd = self._clear(parent_fd, parent, base, name)
            maker(entry, parent_fd, base, name, source)

    def _open_parent(self, parent: bytes) -> int:
        fd, made = open_or_make_dir(self.root_fd, parent, links=Links.BENEATH, mode=0o755)
        for path in made:
            self.implied[path] = None
        if len(self._open) >= _OPEN_DIRECTORIES:
            oldest = next(iter(self._open))
            os.close(self._open.pop(oldest))
        self._open[parent] = fd
        return fd

    def _clear(self, parent_fd: int, parent: bytes, base: bytes, name: bytes) -> int:
        """Make room for an entry whose name is taken; returns the parent opened anew.

        Open directories are forgotten, since their paths may have led through what goes away.
        """
        remove_at(parent_fd, base)
        self._whiteouts.discard(name)
        self.close()
        return self._open_parent(parent)

    def _whiteout(self, entry: Entry, parent_fd: int, parent: bytes, base: bytes) -> None:
        if base == _OPAQUE_MARK:
            os.setxattr(parent_fd, OPAQUE, b"y")
            return
        if base.startswith(_META):
            return  # bookkeeping of aufs
        hidden = base.removeprefix(_WHITEOUT)
        if hidden in (b"", b".", b".."):
            raise self._refusal(entry, "invalid whiteout name")
        try:
            os.mknod(hidden, stat.S_IFCHR, 0, dir_fd=parent_fd)
            self._whiteouts.add(parent + b"/" + hidden if parent else hidden)
        except FileExistsError:
            # it hides what lower layers have; this layer's own entry stays, and hides a file anyway
            if stat.S_ISDIR(os.stat(hidden, dir_fd=parent_fd, follow_symlinks=False).st_mode):
                self._make_opaque(parent_fd, hidden)

    def _make_opaque(self, parent_fd: int, base: bytes) -> None:
        fd = openat2(parent_fd, base, DIR_FLAGS | os.O_NOFOLLOW, links=Links.NONE)
        try:
            os.setxattr(fd, OPAQUE, b"y")
        finally:
            os.close(fd)

    # -- kinds ---------------------------------------------------------------------------------------------------

    def _regular(self, entry: Entry, parent_fd: int, base: bytes, name: bytes, source: Source) -> None:
        fd = os.open(base, _CREATE, entry.mode & 0o777, dir_fd=parent_fd)
        try:
            if entry.size:
                source.pass_to(entry.size, lambda part: _write(fd, part))
            if entry.uid or entry.gid:
                os.fchown(fd, entry.uid, entry.gid)
            if entry.mode & 0o7000:
                os.fchmod(fd, entry.mode)  # after chown, which drops set-id bits
            if entry.xattrs:
                self._set_xattrs(entry, fd)
            os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(fd)

    def _directory(self, entry: Entry, parent_fd: int, base: bytes, name: bytes, source: Source) -> None:
        try:
            os.mkdir(base, 0o700, dir_fd=parent_fd)
        except FileExistsError:
            if name in self._whiteouts:
                self._clear(parent_fd, name.rpartition(b"/")[0], base, name)
                parent_fd = self._open[name.rpartition(b"/")[0]]
                os.mkdir(base, 0o700, dir_fd=parent_fd)
                self._make_opaque(parent_fd, base)  # what the whiteout hid stays hidden
            elif not stat.S_ISDIR(os.stat(base, dir_fd=parent_fd, follow_symlinks=False).st_mode):
                raise
        self.implied.pop(name, None)
        self._directories[name] = entry

    def _symbolic_link(self, entry: Entry, parent_fd: int, base: bytes, name: bytes, source: Source) -> None:
        os.symlink(entry.link, base, dir_fd=parent_fd)
        if entry.uid or entry.gid:
            os.chown(base, entry.uid, entry.gid, dir_fd=parent_fd, follow_symlinks=False)
        os.utime(base, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent_fd, follow_symlinks=False)

    def _hard_link(self, entry: Entry, parent_fd: int, base: bytes, name: bytes, source: Source) -> None:
        target = split(entry.link)
        if not target:
            raise self._refusal(entry, "hard link to the root")
        if target == name.split(b"/"):
            return  # to itself
        try:
            target_fd = openat2(self.root_fd, b"/".join(target[:-1]) or b".", DIR_FLAGS, links=Links.BENEATH)
            try:
                os.link(target[-1], base, src_dir_fd=target_fd, dst_dir_fd=parent_fd, follow_symlinks=False)
            finally:
                os.close(target_fd)
        except (FileNotFoundError, NotADirectoryError):
            shown = os.fsdecode(entry.link[:200])
            raise self._refusal(entry, f"hard link to {shown!r}, which is not in the layer") from None

    def _device(self, entry: Entry, parent_fd: int, base: bytes, name: bytes, source: Source) -> None:
        if entry.kind == BLOCK_DEVICE or entry.device not in _SAFE_DEVICES:
            kind = "block" if entry.kind == BLOCK_DEVICE else "character"
            raise self._refusal(entry, f"{kind} device {entry.device[0]}:{entry.device[1]} is not allowed")
        os.mknod(base, stat.S_IFCHR | (entry.mode & 0o777), os.makedev(*entry.device), dir_fd=parent_fd)
        self._own(entry, parent_fd, base)

    def _fifo(self, entry: Entry, parent_fd: int, base: bytes, name: bytes, source: Source) -> None:
        os.mkfifo(base, entry.mode & 0o777, dir_fd=parent_fd)
        self._own(entry, parent_fd, base)

    def _own(self, entry: Entry, parent_fd: int, base: bytes) -> None:
        os.chown(base, entry.uid, entry.gid, dir_fd=parent_fd, follow_symlinks=False)
        os.utime(base, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent_fd, follow_symlinks=False)

    # -- attributes ----------------------------------------------------------------------------------------------

    def _finish_directories(self) -> None:
        """Last, children first: making entries changes a directory's times, and its mode must not hinder us."""
        for name, entry in reversed(self._directories.items()):
            try:
                fd = openat2(self.root_fd, name or b".", DIR_FLAGS | os.O_NOFOLLOW, links=Links.BENEATH)
            except OSError as error:
                if error.errno in _NODE_FAULTS:
                    raise
                continue  # a later entry replaced it
            try:
                os.fchown(fd, entry.uid, entry.gid)
                os.fchmod(fd, entry.mode)
                if entry.xattrs:
                    self._set_xattrs(entry, fd)
                os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
            finally:
                os.close(fd)

    def _set_xattrs(self, entry: Entry, fd: int) -> None:
        if len(entry.xattrs) > self.limits.xattrs:
            raise self._refusal(entry, f"more than {self.limits.xattrs} extended attributes")
        for raw, value in entry.xattrs.items():
            name = os.fsdecode(raw)
            if not keeps_xattr(name):
                continue
            if len(value) > self.limits.xattr_bytes:
                raise self._refusal(entry, f"extended attribute longer than {self.limits.xattr_bytes} bytes")
            with suppress(OSError):  # a file system without them: the file works all the same
                os.setxattr(fd, name, value)


def keeps_xattr(name: str) -> bool:
    """user.*, file capabilities and ACLs; never what overlayfs or a security module of this host would act upon."""
    if name.startswith("user."):
        return not name.startswith("user.overlay.")
    return name in ("security.capability", "system.posix_acl_access", "system.posix_acl_default")


def _write(fd: int, part: memoryview) -> None:
    while part:
        part = part[os.write(fd, part) :]


def _reason(error: OSError) -> str:
    if error.errno == errno.EXDEV:
        return "goes through a link that leads out of the layer"
    return (error.strerror or str(error)).lower()
