"""Mounts that show the node's ids through a pod's user namespace: what root of the node owns, root of the pod owns.

The files themselves are not touched, so layers stay shared and a volume is the same after the pod has got another
range.  Where the file system cannot do it (overlayfs itself, NFS) the container is refused with that cause.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from nodeagent.runtime import syscalls
from nodeagent.runtime.interface import Mount, RuntimeFailure
from nodeagent.safepath import opened


@contextmanager
def mapped_layers(layers: Sequence[Path], directory: Path, user_namespace: str) -> Iterator[list[Path]]:
    """The layers through the mapping, mounted below `directory` for as long as the block lasts: an overlay that is
    mounted in it keeps them.  Raises RuntimeFailure."""
    directory.mkdir(mode=0o700)
    with ExitStack() as stack:
        stack.callback(directory.rmdir)
        found = []
        for number, layer in enumerate(layers):
            target = directory / str(number)
            target.mkdir()
            stack.callback(target.rmdir)
            attach(str(layer), target, user_namespace, recursive=False)
            stack.callback(syscalls.umount, str(target))
            found.append(target)
        yield found


def mapped_mounts(mounts: Sequence[Mount], directory: Path, user_namespace: str) -> list[Mount]:
    """The same mounts with sources in `directory` that go through the mapping; they stay until unmounted."""
    result = []
    for number, mount in enumerate(mounts):
        target = directory / str(number)
        if Path(mount.source).is_dir():
            target.mkdir()
        else:
            target.touch()
        attach(mount.source, target, user_namespace, recursive=True)
        result.append(replace(mount, source=str(target)))
    return result


def attach(source: str, target: Path, user_namespace: str, *, recursive: bool) -> None:
    """Mount `source` at `target` through the mapping.  Raises RuntimeFailure."""
    try:
        with (
            opened(os.open(user_namespace, os.O_RDONLY | os.O_CLOEXEC)) as namespace,
            opened(syscalls.open_tree(source, recursive=recursive)) as tree,
        ):
            syscalls.map_ids(tree, namespace, recursive=recursive)
            syscalls.move_mount(tree, str(target))
    except OSError as error:
        cause = error.strerror or str(error)
        raise RuntimeFailure(f"the file system of {source} cannot be used with hostUsers: false: {cause}") from error


def give_to_pod(upper: Path, base: int) -> None:
    """What the node's root has made in the upper directory (mount points, working directory) becomes the pod's root's.

    Only the upper directory and entries with ids of the node are touched; nothing is followed."""
    for directory, names, files in os.walk(upper, followlinks=False):
        for path in (directory, *(os.path.join(directory, name) for name in (*names, *files))):  # noqa: PTH118
            info = os.lstat(path)
            uid = info.st_uid + base if info.st_uid < base else -1
            gid = info.st_gid + base if info.st_gid < base else -1
            if (uid, gid) != (-1, -1):
                os.chown(path, uid, gid, follow_symlinks=False)
