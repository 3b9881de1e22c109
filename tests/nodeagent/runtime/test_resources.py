"""Limits of living containers: changed in place, and what the kernel did about those who went beyond them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from nodeagent.runtime.engine import ConmonRuntime
from nodeagent.runtime.interface import ContainerNotFound, ContainerSpec, Resources, RuntimeFailure

Make = Callable[..., ContainerSpec]
MIB = 1 << 20


def reader(runtime: ConmonRuntime, path: str) -> Callable[[], dict[str, str]]:
    """The four limits as the kernel has them."""

    def files(controller: str, name: str) -> str:
        return (runtime.cgroups.directory(path, controller) / name).read_text().strip()

    def read() -> dict[str, str]:
        if runtime.cgroups.v2:
            memory, quota = files("memory", "memory.max"), files("cpu", "cpu.max").split()[0]
            return {
                "cpu": files("cpu", "cpu.weight"),
                "quota": quota,
                "memory": memory,
                "pids": files("pids", "pids.max"),
            }
        return {
            "cpu": files("cpu", "cpu.shares"),
            "quota": files("cpu", "cpu.cfs_quota_us").replace("-1", "max"),
            "memory": files("memory", "memory.limit_in_bytes").replace("9223372036854771712", "max"),
            "pids": files("pids", "pids.max"),
        }

    return read


async def test_a_running_container_gets_other_limits_and_goes_on(
    runtime: ConmonRuntime, spec: Make, tmp_path: Path
) -> None:
    before = Resources(cpu_shares=1024, cpu_quota_us=50_000, memory_limit_bytes=32 * MIB, pids_limit=20)
    parent = runtime.cgroups.create_pod("resized", "Burstable", Resources())
    made = spec(resources=before, cgroup_parent=parent)
    created = await runtime.create(made)
    await runtime.start(made.id)
    read = reader(runtime, runtime.cgroups.container_path(parent, made.id))
    assert (read()["quota"], read()["memory"], read()["pids"]) == ("50000", str(32 * MIB), "20")
    more = Resources(cpu_shares=2048, cpu_quota_us=150_000, memory_limit_bytes=128 * MIB, pids_limit=40)
    for wanted in (more, before, more):
        await runtime.update(made.id, wanted)
        assert (read()["quota"], read()["memory"]) == (str(wanted.cpu_quota_us), str(wanted.memory_limit_bytes))
    await runtime.update(made.id, Resources(cpu_shares=2))
    assert (read()["quota"], read()["memory"], read()["pids"]) == ("max", "max", "max")
    status = await runtime.status(made.id)
    assert (status.state, status.pid, status.spec.resources) == ("running", created.pid, Resources(cpu_shares=2))
    again = ConmonRuntime(tmp_path / "runtime", runtime.cgroups)
    assert [found.spec.resources for found in await again.open()] == [Resources(cpu_shares=2)]
    again.close()
    runtime.cgroups.update(runtime.cgroups.qos_path("Burstable"), Resources(cpu_shares=300))
    runtime.cgroups.update(parent, Resources(memory_limit_bytes=256 * MIB))
    assert reader(runtime, parent)()["memory"] == str(256 * MIB)


async def test_memory_in_use_is_never_taken_away(runtime: ConmonRuntime, spec: Make) -> None:
    script = (
        "x=$(dd if=/dev/zero bs=1M count=8 2>/dev/null | tr '\\0' x); echo full; exec 3>&1; while :; do sleep 1; done"
    )
    made = spec(f'busybox sh -c "{script}"'.replace("$(", "\\$("), resources=Resources(memory_limit_bytes=256 * MIB))
    await runtime.create(made)
    await runtime.start(made.id)
    async with asyncio.timeout(30):
        while "full" not in made.log_path.read_text():
            await asyncio.sleep(0.02)
    with pytest.raises(RuntimeFailure, match="below current usage"):
        await runtime.update(made.id, Resources(memory_limit_bytes=4 * MIB))
    status = await runtime.status(made.id)
    assert (status.state, status.spec.resources.memory_limit_bytes) == ("running", 256 * MIB)


async def test_what_has_ended_cannot_be_changed(runtime: ConmonRuntime, spec: Make) -> None:
    made = spec("exit 0")
    await runtime.create(made)
    await runtime.start(made.id)
    await asyncio.wait_for(runtime.wait(made.id), 20)
    with pytest.raises(RuntimeFailure, match="exited"):
        await runtime.update(made.id, Resources())
    with pytest.raises(ContainerNotFound):
        await runtime.update("absent", Resources())


async def test_a_child_that_the_kernel_kills_for_memory_is_reported_too(runtime: ConmonRuntime, spec: Make) -> None:
    limit = Resources(memory_limit_bytes=16 * MIB)
    made = spec("sh -c 'tail /dev/zero'; echo child=$?; exit 5", resources=limit)
    await runtime.create(made)
    await runtime.start(made.id)
    ended = await asyncio.wait_for(runtime.wait(made.id), 30)
    assert (ended.oom_killed, ended.reason) == (True, "OOMKilled")
    assert ended.exit_code == (137 if runtime.cgroups.v2 else 5)  # v2 kills the container as a whole
    calm = spec("echo ok; exit 5", resources=limit)
    await runtime.create(calm)
    await runtime.start(calm.id)
    control = await asyncio.wait_for(runtime.wait(calm.id), 30)
    assert (control.oom_killed, control.reason) == (False, "Error")


async def test_the_number_of_processes_is_limited(runtime: ConmonRuntime, spec: Make) -> None:
    fork = "n=0; while [ $n -lt 30 ]; do sleep 100 & n=$((n+1)); done; echo all"
    bounded, free = spec(fork, resources=Resources(pids_limit=10)), spec(fork)
    for made in (bounded, free):
        await runtime.create(made)
        await runtime.start(made.id)
        await asyncio.wait_for(runtime.wait(made.id), 30)
    assert "stdout F all" not in bounded.log_path.read_text()
    assert "stdout F all" in free.log_path.read_text()


async def test_huge_pages_are_limited_per_container(runtime: ConmonRuntime, spec: Make) -> None:
    if not Path("/sys/kernel/mm/hugepages/hugepages-2048kB").is_dir():
        pytest.fail("this kernel has no huge pages of 2 MiB: boot one with CONFIG_HUGETLBFS")
    made = spec(resources=Resources(hugepage_limits={"2MB": 4 * MIB, "1GB": 0}))
    await runtime.create(made)
    directory = runtime.cgroups.directory(runtime.cgroups.container_path("", made.id), "hugetlb")
    name = "max" if runtime.cgroups.v2 else "limit_in_bytes"
    assert (directory / f"hugetlb.2MB.{name}").read_text().strip() == str(4 * MIB)
    assert (directory / f"hugetlb.1GB.{name}").read_text().strip() == "0"
