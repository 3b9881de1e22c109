"""emptyDir: sizes, huge pages, limits and what is measured of them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from nodeagent.runtime.syscalls import MS_BIND, mount, umount
from nodeagent.volumes import emptydir
from nodeagent.volumes.payload import VolumeError
from nodeagent.volumes.teardown import remove_tree, unmount_below
from nodeagent.volumes.usage import EmptyDirLimits, LimitedVolume, disk_usage
from tests.nodeagent.pods.test_plan import pod
from tiphys.api.core.pod import Pod
from tiphys.api.core.volumes import EmptyDirVolumeSource

MIB = 1 << 20


def with_limits(*memory: str, **spec: Any) -> Pod:
    containers = [
        {"name": f"c{index}", "image": "x", "resources": {"limits": {"memory": one} if one else {}}}
        for index, one in enumerate(memory)
    ]
    return pod({"containers": containers, **spec})


@pytest.mark.parametrize(
    ("limits", "size", "node_mib", "expected_mib"),
    [
        ([""], "1Mi", 64, 1),
        ([""], "", 64, 64),
        (["8Mi"], "", 64, 8),
        (["8Mi", "4Mi"], "", 64, 12),
        (["8Mi", ""], "", 64, 64),
        (["8Mi"], "16Mi", 64, 8),
        ([""], "128Mi", 64, 64),
        ([""], "0", 0, 0),
    ],
)
def test_memory_is_limited_by_the_volume_the_pod_and_the_node(
    limits: list[str], size: str, node_mib: int, expected_mib: int
) -> None:
    source = EmptyDirVolumeSource(medium="Memory", sizeLimit=size or None)
    assert emptydir.memory_size(with_limits(*limits), source, node_mib * MIB) == expected_mib * MIB


def test_huge_pages_have_one_size(tmp_path: Path) -> None:
    (tmp_path / "hugepages-2048kB").mkdir()

    def size(medium: str, *requested: str) -> str:
        resources = {"requests": {f"hugepages-{one}": "4Mi" for one in requested}}
        containers = [{"name": "c", "image": "x", "resources": resources}]
        return emptydir.huge_page_size(pod({"containers": containers}), medium, tmp_path)

    assert size("HugePages", "2Mi") == size("HugePages-2Mi") == str(2 * MIB)
    for medium, requested in (("HugePages", ()), ("HugePages", ("2Mi", "1Gi")), ("HugePages-1Gi", ())):
        with pytest.raises(VolumeError, match=r"exactly one hugepage size|do not exist"):
            size(medium, *requested)


@pytest.mark.skipif(not emptydir.HUGE_PAGES.is_dir(), reason="this kernel has no huge pages")
def test_huge_pages_are_a_mount(tmp_path: Path) -> None:
    path = tmp_path / "v"
    emptydir.set_up(with_limits(""), EmptyDirVolumeSource(medium="HugePages-2Mi"), path, -1, 0)
    try:
        kinds = [
            line.split(" - ")[1] for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(path) in line
        ]
        assert len(kinds) == 1 and kinds[0].startswith("hugetlbfs") and "pagesize=2M" in kinds[0]
    finally:
        umount(str(path))


def test_a_volume_half_made_is_finished(tmp_path: Path) -> None:
    path, source = tmp_path / "v", EmptyDirVolumeSource()
    (tmp_path / ".v.new").mkdir(mode=0o700)
    emptydir.set_up(with_limits(""), source, path, 4321, 0)
    info = path.stat()
    assert (info.st_gid, info.st_mode & 0o7777) == (4321, 0o2777)
    path.chmod(0o711)  # its pod may do so
    emptydir.set_up(with_limits(""), source, path, 4321, 0)
    assert path.stat().st_mode & 0o777 == 0o711


def test_only_limits_on_disk_are_measured() -> None:
    sources = [
        EmptyDirVolumeSource(sizeLimit="1Mi"),
        EmptyDirVolumeSource(),
        EmptyDirVolumeSource(medium="Memory", sizeLimit="1Mi"),
        None,
    ]
    assert [emptydir.disk_limit(one) for one in sources] == [MIB, 0, 0, 0]


def test_usage_counts_files_once_and_nothing_elsewhere(tmp_path: Path) -> None:
    volume, outside = tmp_path / "v", tmp_path / "outside"
    (volume / "deep/er").mkdir(parents=True)
    outside.mkdir()
    (outside / "big").write_bytes(b"x" * (4 * MIB))
    empty = disk_usage(volume)
    (volume / "deep/er/f").write_bytes(b"x" * MIB)
    assert disk_usage(volume) - empty == pytest.approx(MIB, abs=64 << 10)
    os.link(volume / "deep/er/f", volume / "again")
    (volume / "link").symlink_to(outside)
    (volume / "file").symlink_to(outside / "big")
    (volume / "mounted").mkdir()
    mount("tmpfs", str(volume / "mounted"), "tmpfs")
    try:
        (volume / "mounted/f").write_bytes(b"x" * MIB)
        (volume / "bound").touch()
        mount(str(volume / "mounted/f"), str(volume / "bound"), flags=MS_BIND)
        assert disk_usage(volume) - empty == pytest.approx(MIB, abs=64 << 10)
    finally:
        unmount_below(volume / "bound")
        umount(str(volume / "mounted"))
    (volume / "sparse").open("wb").truncate(1 << 30)
    assert disk_usage(volume) < 2 * MIB
    assert disk_usage(tmp_path / "missing") == 0


def test_a_very_deep_tree_is_measured_or_refused_but_never_breaks(tmp_path: Path) -> None:
    volume = tmp_path / "v"
    volume.mkdir()
    descriptor = os.open(volume, os.O_RDONLY)
    opened = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(1400):
        os.mkdir("dd", dir_fd=descriptor)
        deeper = os.open("dd", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = deeper
    os.close(descriptor)
    try:
        with pytest.raises(OSError, match="File name too long"):
            disk_usage(volume)
    finally:
        remove_tree(volume)  # pytest could not
    assert len(list(Path("/proc/self/fd").iterdir())) == opened - 1


async def test_a_pod_that_takes_too_much_is_named_once(tmp_path: Path) -> None:
    named: list[tuple[str, str]] = []
    limits = EmptyDirLimits(lambda uid, text: named.append((uid, text)), scan_seconds=0.01)
    for uid in ("modest", "greedy"):
        (tmp_path / uid).mkdir()
        limits.watch(LimitedVolume(uid, "v", tmp_path / uid, MIB, "1Mi"))
    (tmp_path / "greedy/f").write_bytes(b"x" * (2 * MIB))
    async with asyncio.timeout(10):
        while not named:
            await asyncio.sleep(0.01)
    limits.forget("modest")
    assert named == [("greedy", 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". ')]
    await limits.close()
