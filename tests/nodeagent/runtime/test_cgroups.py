"""Pod cgroups in a subtree of the test's own, and the arithmetic of shares, quota and weight."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from nodeagent.runtime import leftovers
from nodeagent.runtime.cgroups import Cgroups, _settings, cpu_quota_us, cpu_shares, cpu_weight, hugepage_size
from nodeagent.runtime.interface import Resources


@pytest.mark.parametrize(("milli", "shares"), [(0, 2), (1, 2), (100, 102), (1000, 1024), (10**9, 262_144)])
def test_requests_become_shares(milli: int, shares: int) -> None:
    assert cpu_shares(milli) == shares


@pytest.mark.parametrize(("milli", "quota"), [(0, 0), (1, 1000), (100, 10_000), (1500, 150_000)])
def test_limits_become_quota(milli: int, quota: int) -> None:
    assert cpu_quota_us(milli) == quota


@pytest.mark.parametrize(("shares", "weight"), [(0, 1), (2, 1), (1024, 39), (262_144, 10_000)])
def test_shares_become_weight(shares: int, weight: int) -> None:
    assert cpu_weight(shares) == weight


def test_both_drivers_write_what_their_kernel_reads() -> None:
    limits = Resources(cpu_shares=1024, cpu_quota_us=50_000, memory_limit_bytes=1 << 20, pids_limit=7)
    assert list(_settings(limits, v2=True)) == [
        ("cpu", "cpu.weight", "39"),
        ("cpu", "cpu.max", "50000 100000"),
        ("memory", "memory.max", "1048576"),
        ("pids", "pids.max", "7"),
    ]
    assert list(_settings(limits, v2=False)) == [
        ("cpu", "cpu.shares", "1024"),
        ("cpu", "cpu.cfs_period_us", "100000"),
        ("cpu", "cpu.cfs_quota_us", "50000"),
        ("memory", "memory.limit_in_bytes", "1048576"),
        ("pids", "pids.max", "7"),
    ]
    assert ("cpu", "cpu.max", "max 100000") in _settings(Resources(), v2=True)
    assert ("memory", "memory.max", "max") in _settings(Resources(), v2=True)
    assert ("pids", "pids.max", "max") in _settings(Resources(), v2=False)
    pages = Resources(hugepage_limits={hugepage_size("2Mi"): 4 << 20, hugepage_size("1Gi"): 0})
    assert list(_settings(pages, v2=True))[-2:] == [
        ("hugetlb", "hugetlb.1GB.max", "0"),
        ("hugetlb", "hugetlb.2MB.max", "4194304"),
    ]
    assert ("hugetlb", "hugetlb.2MB.limit_in_bytes", "4194304") in _settings(pages, v2=False)


def test_a_pods_place_follows_its_class(cgroups: Cgroups) -> None:
    top = f"{cgroups.root}/kubepods"
    assert cgroups.pod_path("u", "Guaranteed") == f"{top}/podu"
    assert cgroups.pod_path("u", "Burstable") == f"{top}/burstable/podu"
    assert cgroups.pod_path("u", "BestEffort") == f"{top}/besteffort/podu"


def test_a_pod_cgroup_is_made_found_updated_and_removed(cgroups: Cgroups) -> None:
    path = cgroups.create_pod("one", "Burstable", Resources(cpu_shares=512, memory_limit_bytes=32 << 20))
    assert cgroups.create_pod("one", "Burstable", Resources(memory_limit_bytes=64 << 20)) == path
    assert cgroups.pods() == {"one": path}
    name = "memory.max" if cgroups.v2 else "memory.limit_in_bytes"
    assert (cgroups.directory(path, "memory") / name).read_text().strip() == str(64 << 20)
    assert cgroups.remove(path)
    assert cgroups.pods() == {} and not cgroups.directory(path).exists()
    assert cgroups.remove(path)


async def test_what_lives_in_a_cgroup_is_killed_before_it_is_removed(cgroups: Cgroups) -> None:
    path = cgroups.create_pod("two", "BestEffort", Resources())
    with subprocess.Popen(["sleep", "1000"]) as child:  # noqa: ASYNC220 - does not wait
        (cgroups.directory(path, "pids") / "cgroup.procs").write_text(str(child.pid))
        assert cgroups.pids(path) == {child.pid}
        assert not cgroups.remove(path)
        assert await leftovers.remove_cgroup(cgroups, path)
        assert child.wait() == -9


def test_the_top_of_the_tree_is_never_killed(cgroups: Cgroups) -> None:
    for path in ("/", "", "/tiphys"):
        with pytest.raises(ValueError, match="refusing"):
            cgroups.kill(path)


def test_the_unified_tree_is_made_and_removed_as_one_directory_per_cgroup() -> None:
    mount = next(path for path in (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")) if path.is_dir())
    cgroups = Cgroups(f"tiphys-test-v2-{os.getpid()}", mount)
    assert cgroups.v2
    path = cgroups.pod_path("one", "Burstable")
    try:
        cgroups._make_v2(path)
        cgroups._make_v2(path)
        assert cgroups.pods() == {"one": path}
        assert cgroups.directory(path) == mount / path.lstrip("/")
        assert cgroups.pids(path) == set() and cgroups.oom_kills(path) == 0
    finally:
        assert cgroups.remove(cgroups.root)
    assert not cgroups.directory(cgroups.root).exists()
