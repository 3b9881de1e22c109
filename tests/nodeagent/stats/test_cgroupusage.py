"""Reading the kernel's counters of a cgroup, both versions."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodeagent.runtime.cgroups import Cgroups
from nodeagent.runtime.interface import Resources
from nodeagent.stats.cgroupusage import DeviceIo, Usage, read_usage, usage_v1, usage_v2

V2 = {
    "cpu.stat": "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 7\nnr_throttled 3\nthrottled_usec 20\n",
    "memory.current": "1000\n",
    "memory.stat": "anon 300\nfile 600\nfile_mapped 50\ninactive_file 400\npgfault 12\npgmajfault 2\n",
    "memory.events": "low 0\nmax 4\noom 1\noom_kill 1\n",
    "memory.swap.current": "16\n",
    "memory.max": "4096\n",
    "pids.current": "5\n",
    "pids.max": "max\n",
    "io.stat": "8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n",
}
V1 = {
    "cpuacct.usage": "1500000\n",
    "cpuacct.usage_user": "1000000\n",
    "cpuacct.usage_sys": "500000\n",
    "cpu.stat": "nr_periods 7\nnr_throttled 3\nthrottled_time 20000\n",
    "memory.usage_in_bytes": "1000\n",
    "memory.stat": "cache 1\ntotal_rss 300\ntotal_cache 600\ntotal_mapped_file 50\ntotal_inactive_file 400\n"
    "total_swap 16\ntotal_pgfault 12\ntotal_pgmajfault 2\n",
    "memory.limit_in_bytes": "4096\n",
    "memory.failcnt": "4\n",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
    "pids.current": "5\n",
    "pids.max": "max\n",
    "blkio.throttle.io_service_bytes": "8:0 Read 4096\n8:0 Write 8192\n8:0 Total 12288\nTotal 12288\n",
    "blkio.throttle.io_serviced": "8:0 Read 1\n8:0 Write 2\nTotal 3\n",
}
EXPECTED = Usage(
    cpu_ns=1_500_000,
    cpu_user_ns=1_000_000,
    cpu_system_ns=500_000,
    periods=7,
    throttled_periods=3,
    throttled_ns=20_000,
    memory_bytes=1000,
    working_set_bytes=600,
    rss_bytes=300,
    cache_bytes=600,
    mapped_bytes=50,
    swap_bytes=16,
    memory_limit_bytes=4096,
    page_faults=12,
    major_page_faults=2,
    memory_failures=4,
    oom_kills=1,
    processes=5,
    process_limit=0,
    io={"8:0": DeviceIo(4096, 8192, 1, 2)},
)


def test_both_versions_say_the_same() -> None:
    assert usage_v2(V2) == EXPECTED
    assert usage_v1(V1) == EXPECTED


def test_no_limit_is_zero_and_what_the_kernel_does_not_count_is_none() -> None:
    assert usage_v1({"memory.limit_in_bytes": "9223372036854771712"}).memory_limit_bytes == 0
    assert usage_v2({"memory.max": "max"}).memory_limit_bytes == 0
    bare = usage_v2({"memory.current": "5"})
    assert (bare.cpu_ns, bare.processes, bare.io) == (None, None, None)


@pytest.fixture
def cgroups() -> Iterator[Cgroups]:
    root = f"tiphys-test-usage-{os.getpid()}"
    found = Cgroups(root)
    yield found
    for path in found.pods().values():
        found.remove(path)
    found.remove(f"/{root}")


def test_a_real_cgroup_is_read_and_a_cgroup_that_is_gone_is_none(cgroups: Cgroups) -> None:
    assert os.geteuid() == 0, "needs root"
    path = cgroups.create_pod("1", "Burstable", Resources(memory_limit_bytes=64 << 20))
    usage = read_usage(cgroups, path)
    assert usage is not None
    assert (usage.memory_limit_bytes, usage.processes) == (64 << 20, 0)
    cgroups.remove(path)
    assert read_usage(cgroups, path) is None
    assert not Path(cgroups.directory(path)).exists()
