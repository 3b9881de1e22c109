"""The atomic writer: a set of files that changes all at once for whoever reads them.

Layout, as every Kubernetes client expects: the files live in a directory named by the time, `..data` is a symbolic
link to it, and each user-visible top-level name is a symbolic link through `..data`.  An update writes a new
directory and renames a new `..data` over the old one.  A crash at any point leaves either the old or the new content
visible.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tiphys.clock import Clock

DATA = "..data"
_NEW = "..data_tmp"


@dataclass(frozen=True)
class File:
    """Content and permission bits of one projected file; `uid` -1 leaves the owner alone."""

    content: bytes
    mode: int = 0o644
    uid: int = -1


class PayloadError(ValueError):
    """A path of the payload is not one the writer may create."""


def check_path(path: str) -> None:
    """Relative, no `..`, no element starting with `..`.  Raises PayloadError."""
    parts = path.split("/")
    if not path or path.startswith("/") or len(path) > 4096 or "\0" in path:
        raise PayloadError(f"invalid path: must be relative path: {path}")
    if parts[0].startswith("..") or any(part in ("", ".", "..") or len(part) > 255 for part in parts):
        raise PayloadError(f"invalid path: must not contain '..': {path}")


def write(target: Path, payload: Mapping[str, File], clock: Clock, gid: int = -1) -> bool:
    """Make `target` show exactly `payload`; True when something changed.

    `gid` owns the files (fsGroup), with group read and write added to the mode."""
    for path in payload:
        check_path(path)
    current = _current(target)
    if current is not None and _same(current, payload, gid):
        return False
    moment = clock.now().strftime("..%Y_%m_%d_%H_%M_%S.") + secrets.token_hex(5)
    fresh = target / moment
    fresh.mkdir(mode=0o755)
    fresh.chmod(0o2775 if gid >= 0 else 0o755)
    os.chown(fresh, -1, gid)
    for path, file in payload.items():
        _write_file(fresh, path, file, gid)
    link = target / _NEW
    link.unlink(missing_ok=True)
    link.symlink_to(moment)
    names = {path.split("/", 1)[0] for path in payload}
    for name in names:
        visible = target / name
        if not visible.is_symlink():
            visible.symlink_to(f"{DATA}/{name}")
    link.rename(target / DATA)
    _sweep(target, names, keep=moment)
    return True


def _write_file(root: Path, path: str, file: File, gid: int) -> None:
    directory = root
    for part in path.split("/")[:-1]:
        directory = directory / part
        if not directory.exists():
            directory.mkdir(mode=0o755)
            directory.chmod(0o2775 if gid >= 0 else 0o755)
            os.chown(directory, -1, gid)
    descriptor = os.open(root / path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(file.content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fchown(descriptor, file.uid, gid)
        os.fchmod(descriptor, shown_mode(file, gid))
    finally:
        os.close(descriptor)


def shown_mode(file: File, gid: int) -> int:
    """The permission bits on disk: with a group of its own, the group may read what the owner may."""
    return file.mode | ((file.mode & 0o400) >> 3) if gid >= 0 else file.mode


def _current(target: Path) -> Path | None:
    try:
        name = str((target / DATA).readlink())
    except OSError:
        return None
    return target / name if "/" not in name and (target / name).is_dir() else None


def _same(current: Path, payload: Mapping[str, File], gid: int) -> bool:
    seen = set()
    for directory, _, files in os.walk(current):
        for name in files:
            path = str((Path(directory) / name).relative_to(current))
            file = payload.get(path)
            info = os.lstat(Path(directory) / name)
            if file is None or info.st_mode & 0o7777 != shown_mode(file, gid) or info.st_size != len(file.content):
                return False
            if (gid >= 0 and info.st_gid != gid) or (file.uid >= 0 and info.st_uid != file.uid):
                return False
            if (Path(directory) / name).read_bytes() != file.content:
                return False
            seen.add(path)
    return seen == set(payload)


def _sweep(target: Path, names: set[str], keep: str) -> None:
    """Remove directories of earlier times and links to files that are no longer projected."""
    for entry in list(os.scandir(target)):
        if entry.is_symlink():
            if (
                entry.name != DATA
                and entry.name not in names
                and str(Path(entry.path).readlink()).startswith(DATA + "/")
            ):
                Path(entry.path).unlink(missing_ok=True)
        elif entry.is_dir(follow_symlinks=False) and entry.name.startswith("..") and entry.name != keep:
            shutil.rmtree(entry.path)
