"""The careless way to apply a layer, as positive control: what an attack does to those who extract like this."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from pathlib import Path


def apply_naively(tar: bytes, root: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        for member in archive:
            directory, _, base = member.name.rpartition("/")
            here = root / directory if directory else root
            if base == ".wh..wh..opq":
                for child in here.iterdir():
                    _remove(child)
            elif base.startswith(".wh."):
                _remove(Path(f"{here}/{base.removeprefix('.wh.')}"))
            else:
                archive.extract(member, root, filter="fully_trusted")
                for key, value in member.pax_headers.items():
                    if key.startswith("SCHILY.xattr."):
                        raw = value.encode("utf-8", "surrogateescape")
                        os.setxattr(root / member.name, key.removeprefix("SCHILY.xattr."), raw)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def fingerprint(directory: Path, without: Path) -> list[tuple[object, ...]]:
    """Everything about a tree that an attack could change: names, types, modes, owners, link counts, contents."""
    found: list[tuple[object, ...]] = []
    for path in sorted(directory.rglob("*")):
        if path == without or without in path.parents:
            continue
        info = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        links = info.st_nlink if not path.is_dir() else 0
        found.append((str(path), info.st_mode, info.st_uid, info.st_gid, links, content))
    return found
