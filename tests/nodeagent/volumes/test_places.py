"""Where volumes come from on a node: prepared paths, their group, their propagation, images."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from nodeagent.runtime.syscalls import umount
from nodeagent.volumes import hostpath, ownership
from nodeagent.volumes.image import mount_image
from nodeagent.volumes.payload import VolumeError
from nodeagent.volumes.propagation import check_shared, covering_mount, share
from nodeagent.volumes.sources import unsupported
from nodeagent.volumes.teardown import mounts_below, remove_tree
from tiphys.api.core.persistentvolume import PersistentVolumeSource
from tiphys.api.core.volumes import Volume


@pytest.fixture
def places(tmp_path: Path) -> Path:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").touch()
    os.mknod(tmp_path / "character", stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(tmp_path / "block", stat.S_IFBLK, os.makedev(7, 250))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    return tmp_path


CHECKS = {
    "Directory": ("directory", "is not a directory"),
    "DirectoryOrCreate": ("directory", "is not a directory"),
    "File": ("file", "is not a file"),
    "FileOrCreate": ("file", "is not a file"),
    "Socket": ("socket", "is not a socket file"),
    "CharDevice": ("character", "is not a character device"),
    "BlockDevice": ("block", "is not a block device"),
}


@pytest.mark.parametrize(("kind", "right", "complaint"), [(kind, *row) for kind, row in CHECKS.items()])
def test_a_host_path_is_what_its_type_says(places: Path, kind: str, right: str, complaint: str) -> None:
    for name in ("directory", "file", "socket", "character", "block"):
        if name == right:
            assert hostpath.prepare(str(places / name), kind) == places / name
            continue
        with pytest.raises(VolumeError, match=f"hostPath type check failed: {places / name} {complaint}"):
            hostpath.prepare(str(places / name), kind)
    missing = places / "missing"
    if kind.endswith("OrCreate"):
        assert hostpath.prepare(str(missing), kind).exists()
    else:
        with pytest.raises(VolumeError, match=complaint):
            hostpath.prepare(str(missing), kind)
        assert not missing.exists()


def test_a_group_gets_everything_below_and_nothing_a_link_names(tmp_path: Path) -> None:
    volume, outside = tmp_path / "v", tmp_path / "outside"
    (volume / "sub").mkdir(parents=True, mode=0o700)
    (volume / "sub/f").write_text("x")
    (volume / "sub/f").chmod(0o600)
    outside.write_text("host")
    outside.chmod(0o600)
    (volume / "link").symlink_to(outside)
    os.mkfifo(volume / "pipe")  # must not hold us up
    ownership.set_group(volume, 4242)
    assert [(volume / one).lstat().st_gid for one in (".", "sub", "sub/f", "link", "pipe")] == [4242] * 5
    assert stat.S_IMODE((volume / "sub/f").stat().st_mode) == 0o660
    assert stat.S_IMODE((volume / "sub").stat().st_mode) & 0o2770 == 0o2770
    assert (outside.stat().st_gid, stat.S_IMODE(outside.stat().st_mode)) == (0, 0o600)
    (volume / "late").write_text("x")
    ownership.set_group(volume, 4242, "OnRootMismatch")
    os.chown(volume / "late", -1, 0)
    ownership.set_group(volume, 4242, "OnRootMismatch")
    assert (volume / "late").stat().st_gid == 0, "the directory itself was right"
    ownership.set_group(volume, 4243, "OnRootMismatch")
    assert (volume / "late").stat().st_gid == 4243


MOUNTINFO = b"""\
1 0 8:1 / / rw - ext4 /dev/a rw
2 1 8:2 / /srv rw shared:7 - ext4 /dev/b rw
3 2 8:3 / /srv/with\\040space rw master:7 - ext4 /dev/c rw
"""


@pytest.mark.parametrize(
    ("path", "target", "shared"),
    [
        ("/", "/", False),
        ("/srv/x", "/srv", True),
        ("/srvx", "/", False),
        ("/srv/with space/y", "/srv/with space", False),
    ],
)
def test_the_mount_that_holds_a_path(path: str, target: str, shared: bool) -> None:
    assert covering_mount(Path(path), MOUNTINFO) == (target, shared)


def test_our_own_directories_can_be_made_to_pass_mounts_on(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    with pytest.raises(VolumeError, match="is not a shared mount"):
        check_shared(tmp_path / "v")
    try:
        share(tmp_path / "v")
        share(tmp_path / "v")
        check_shared(tmp_path / "v")
        assert len(mounts_below(tmp_path)) == 1
    finally:
        remove_tree(tmp_path / "v")


def test_an_image_is_mounted_read_only_with_its_whiteouts(tmp_path: Path) -> None:
    lower, upper, target = (tmp_path / name for name in ("lower", "upper", "volumes/v"))
    for layer, name in ((lower, "old"), (lower, "both"), (upper, "both"), (upper, "new")):
        layer.mkdir(exist_ok=True)
        (layer / name).write_text(f"{layer.name}")
    os.mknod(upper / "old", stat.S_IFCHR, 0)
    try:
        for _ in range(2):
            mount_image([lower, upper], target)
        assert {one.name: one.read_text() for one in target.iterdir()} == {"both": "upper", "new": "upper"}
        with pytest.raises(OSError, match="Read-only file system"):
            (target / "x").write_text("x")
        assert len(mounts_below(tmp_path)) == 1
    finally:
        umount(str(target))
    single = tmp_path / "volumes/single"
    mount_image([lower], single)
    try:
        assert sorted(one.name for one in single.iterdir()) == ["both", "old"]
    finally:
        umount(str(single))
    with pytest.raises(VolumeError, match="0 layers"):
        mount_image([], tmp_path / "volumes/none")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ({"nfs": {"server": "s", "path": "/"}}, "volumes of type nfs are not supported on this node"),
        ({"iscsi": {"targetPortal": "p", "iqn": "i", "lun": 0}}, "volumes of type iscsi are"),
        ({"csi": {"driver": "d.example.com", "volumeHandle": "h"}}, "driver name d.example.com not found"),
        ({}, "no volume plugin matched"),
    ],
)
def test_kinds_without_support_are_named(source: dict[str, object], text: str) -> None:
    pod_source = {key: {k: v for k, v in value.items() if k != "volumeHandle"} for key, value in source.items()}  # type: ignore[attr-defined]
    assert text in unsupported(Volume.model_validate({"name": "v", **pod_source}))
    assert text in unsupported(PersistentVolumeSource.model_validate(source))
