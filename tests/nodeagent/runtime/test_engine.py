"""The container interface with real conmon, crun and overlayfs."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from nodeagent.runtime.engine import ConmonRuntime
from nodeagent.runtime.interface import (
    ContainerExists,
    ContainerNotFound,
    ContainerSpec,
    ContainerStatus,
    Mount,
    NotExecutable,
    PodNamespaces,
    Resources,
    RootfsUnsafe,
    RuntimeFailure,
    Security,
    User,
)
from tests.nodeagent.runtime.conftest import log_lines

Make = Callable[..., ContainerSpec]


async def finished(runtime: ConmonRuntime, spec: ContainerSpec) -> ContainerStatus:
    await runtime.create(spec)
    await runtime.start(spec.id)
    return await asyncio.wait_for(runtime.wait(spec.id), 20)


def proc_status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


async def test_a_container_is_created_then_running_then_exited(runtime: ConmonRuntime, spec: Make) -> None:
    heard: list[ContainerStatus] = []
    runtime.on_exit(heard.append)
    made = spec("echo hello; echo oops >&2")
    created = await runtime.create(made)
    assert (created.state, created.started_at, made.log_path.read_text()) == ("created", None, "")
    assert Path(f"/proc/{created.pid}").exists()
    running = await runtime.start(made.id)
    assert (running.state, running.pid) in [("running", created.pid), ("exited", 0)]  # it is quick
    ended = await asyncio.wait_for(runtime.wait(made.id), 20)
    assert (ended.state, ended.exit_code, ended.reason, ended.pid) == ("exited", 0, "Completed", 0)
    assert ended.created_at and ended.started_at and ended.finished_at
    assert ended.created_at < ended.started_at < ended.finished_at
    assert heard == [ended] == await runtime.list("pod")


async def test_the_log_has_the_cri_format(runtime: ConmonRuntime, spec: Make) -> None:
    made = spec("echo out; echo err >&2; printf partial")
    await finished(runtime, made)
    lines = made.log_path.read_text().splitlines()
    form = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|[+-]\d\d:\d\d) (stdout|stderr) [FP] .*")
    assert lines and all(form.fullmatch(line) for line in lines)
    assert sorted(line.split(" ", 1)[1] for line in lines)[:1] == ["stderr F err"]
    assert [line.split(" ", 2)[2] for line in lines if " stdout " in line] == ["F out", "P partial"]


@pytest.mark.parametrize(
    ("script", "code", "reason"),
    [
        ("exit 0", 0, "Completed"),
        ("exit 1", 1, "Error"),
        ("exit 200", 200, "Error"),
        ("kill -9 $$; sleep 5", 137, "Error"),
    ],
)
async def test_exit_codes_are_those_of_the_program(
    runtime: ConmonRuntime, spec: Make, script: str, code: int, reason: str
) -> None:
    # A PID namespace's first process ignores its own SIGKILL: let a child die of it.
    script = "sh -c 'kill -9 $$'; exit $?" if "kill" in script else script
    status = await finished(runtime, spec(script))
    assert (status.exit_code, status.reason) == (code, reason)


async def test_stop_lets_a_program_end_by_itself(runtime: ConmonRuntime, spec: Make) -> None:
    made = spec("trap 'echo bye; exit 143' TERM; echo ready; while :; do sleep 0.05; done")
    await runtime.create(made)
    await runtime.start(made.id)
    await lines_appear(made, 1)
    status = await runtime.stop(made.id, 20)
    assert status and status.exit_code == 143
    assert log_lines(made) == ["ready", "bye"]


async def test_stop_kills_what_does_not_listen_after_the_grace_period(runtime: ConmonRuntime, spec: Make) -> None:
    made = spec("trap '' TERM; echo ready; while :; do sleep 0.05; done")
    await runtime.create(made)
    await runtime.start(made.id)
    await lines_appear(made, 1)
    begin = asyncio.get_running_loop().time()
    status = await runtime.stop(made.id, 0.3)
    assert status and status.exit_code == 137
    assert 0.3 <= asyncio.get_running_loop().time() - begin < 5


async def test_the_stop_signal_of_the_image_is_used(runtime: ConmonRuntime, spec: Make) -> None:
    made = spec("trap 'exit 7' USR1; echo ready; while :; do sleep 0.05; done", stop_signal="SIGUSR1")
    await runtime.create(made)
    await runtime.start(made.id)
    await lines_appear(made, 1)
    status = await runtime.stop(made.id, 20)
    assert status and status.exit_code == 7


async def test_a_container_that_was_never_started_can_be_stopped_and_removed(
    runtime: ConmonRuntime, spec: Make
) -> None:
    made = spec()
    await runtime.create(made)
    status = await runtime.stop(made.id, 20)
    assert status and (status.state, status.exit_code) == ("exited", 137)
    await runtime.remove(made.id)
    with pytest.raises(ContainerNotFound):
        await runtime.status(made.id)
    await runtime.remove(made.id)
    assert await runtime.stop(made.id, 1) is None


async def test_an_id_is_used_once(runtime: ConmonRuntime, spec: Make) -> None:
    made = spec()
    await runtime.create(made)
    with pytest.raises(ContainerExists):
        await runtime.create(made)


async def test_memory_beyond_the_limit_is_oom_killed(runtime: ConmonRuntime, spec: Make) -> None:
    limit = Resources(memory_limit_bytes=16 << 20)
    status = await finished(runtime, spec("exec tail /dev/zero", resources=limit))
    assert (status.exit_code, status.oom_killed, status.reason) == (137, True, "OOMKilled")


async def test_limits_reach_the_cgroup(runtime: ConmonRuntime, spec: Make) -> None:
    limits = Resources(cpu_shares=512, cpu_quota_us=25_000, memory_limit_bytes=64 << 20, pids_limit=50)
    parent = runtime.cgroups.create_pod("limits", "Burstable", limits)
    made = spec(resources=limits, cgroup_parent=parent)
    await runtime.create(made)
    path = runtime.cgroups.container_path(parent, made.id)
    read = lambda controller, name: (runtime.cgroups.directory(path, controller) / name).read_text().strip()  # noqa: E731
    if runtime.cgroups.v2:
        assert (read("cpu", "cpu.max"), read("memory", "memory.max")) == ("25000 100000", str(64 << 20))
    else:
        assert (read("cpu", "cpu.shares"), read("cpu", "cpu.cfs_quota_us")) == ("512", "25000")
        assert read("memory", "memory.limit_in_bytes") == str(64 << 20)
    assert read("pids", "pids.max") == "50"


async def test_a_missing_program_is_reported_and_nothing_is_left(runtime: ConmonRuntime, spec: Make) -> None:
    made = spec(argv=("/bin/absent",))
    with pytest.raises(NotExecutable, match="/bin/absent"):
        await runtime.create(made)
    assert await runtime.list() == []
    assert list(runtime.layout.containers.iterdir()) == []


async def test_exec_runs_a_program_with_the_containers_identity(runtime: ConmonRuntime, spec: Make) -> None:
    made = spec(user=User(1000, 1001, (1001, 1002)), env=(("COLOUR", "blue"),))
    await runtime.create(made)
    await runtime.start(made.id)
    result = await runtime.exec_sync(made.id, ["/bin/sh", "-c", "id; echo $COLOUR >&2; exit 3"])
    assert (result.exit_code, result.stderr) == (3, b"blue\n")
    assert result.stdout == b"uid=1000 gid=1001 groups=1001,1002\n"


async def test_an_exec_that_takes_too_long_is_killed_and_the_container_can_still_end(
    runtime: ConmonRuntime, spec: Make
) -> None:
    made = spec()
    await runtime.create(made)
    await runtime.start(made.id)
    result = await runtime.exec_sync(made.id, ["/bin/sleep", "100"], timeout_seconds=0.3)
    assert result.timed_out
    with pytest.raises(NotExecutable):
        await runtime.exec_sync(made.id, ["/bin/absent"])
    status = await asyncio.wait_for(runtime.stop(made.id, 0), 20)
    assert status and status.state == "exited"


async def test_exec_output_is_cut_at_the_limit(runtime: ConmonRuntime, spec: Make) -> None:
    made = spec()
    await runtime.create(made)
    await runtime.start(made.id)
    result = await runtime.exec_sync(
        made.id, ["/bin/sh", "-c", "dd if=/dev/zero bs=1024 count=300 2>/dev/null"], output_limit_bytes=1000
    )
    assert (result.exit_code, len(result.stdout)) == (0, 1000)


async def test_the_default_container_is_confined(runtime: ConmonRuntime, spec: Make) -> None:
    made = spec()
    status = await runtime.create(made)
    await runtime.start(made.id)
    await process_is(status.pid, "sleep")
    seen = proc_status(status.pid)
    assert (seen["CapInh"], seen["CapAmb"], seen["Seccomp"]) == ("0" * 16, "0" * 16, "2")
    assert seen["CapEff"] == seen["CapPrm"] == seen["CapBnd"] == "00000000a80425fb"
    assert [fd.name for fd in Path(f"/proc/{status.pid}/fd").iterdir()] == ["0", "1", "2"]
    exec_seen = await runtime.exec_sync(made.id, ["/bin/grep", "-E", "Seccomp:|CapEff", "/proc/self/status"])
    assert exec_seen.stdout == b"CapEff:\t00000000a80425fb\nSeccomp:\t2\n"


async def test_privilege_escalation_can_be_forbidden_and_capabilities_changed(
    runtime: ConmonRuntime, spec: Make
) -> None:
    security = Security(no_new_privileges=True, capabilities_drop=("ALL",), capabilities_add=("NET_BIND_SERVICE",))
    made = spec(security=security)
    status = await runtime.create(made)
    await runtime.start(made.id)
    await process_is(status.pid, "sleep")
    seen = proc_status(status.pid)
    assert (seen["NoNewPrivs"], int(seen["CapEff"], 16)) == ("1", 1 << 10)


async def test_kernel_paths_are_masked_and_the_cgroup_tree_is_read_only(runtime: ConmonRuntime, spec: Make) -> None:
    made = spec()
    await runtime.create(made)
    await runtime.start(made.id)

    async def run(script: str) -> int:
        return (await runtime.exec_sync(made.id, ["/bin/sh", "-c", script])).exit_code

    assert (await runtime.exec_sync(made.id, ["/bin/cat", "/proc/timer_list"])).stdout == b""
    assert await run("echo 1 > /proc/sys/kernel/panic") != 0
    controller = "/sys/fs/cgroup" if runtime.cgroups.v2 else "/sys/fs/cgroup/memory"
    assert await run(f"test -d {controller}") == 0
    assert await run(f"mkdir {controller}/x") != 0
    assert await run("unshare -m true") != 0
    assert await run("mknod /tmp-disk b 8 0 && cat /tmp-disk") != 0
    assert await run("touch /here && echo x > /dev/null") == 0  # the control: ordinary work goes on


async def test_a_privileged_container_is_not_confined(runtime: ConmonRuntime, spec: Make) -> None:
    made = spec(security=Security(privileged=True))
    status = await runtime.create(made)
    await runtime.start(made.id)
    await process_is(status.pid, "sleep")
    assert proc_status(status.pid)["Seccomp"] == "0"
    result = await runtime.exec_sync(made.id, ["/bin/sh", "-c", "unshare -m true && grep -q . /proc/timer_list"])
    assert result.exit_code == 0, result.stderr


async def test_a_read_only_root_refuses_writes_but_volumes_take_them(
    runtime: ConmonRuntime, spec: Make, tmp_path: Path
) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    made = spec(
        "touch /x || echo refused; echo data > /deep/er/file",
        security=Security(read_only_rootfs=True),
        mounts=(Mount(str(volume), "/deep/er"),),
    )
    assert (await finished(runtime, made)).exit_code == 0
    assert "refused" in log_lines(made)
    assert (volume / "file").read_text() == "data\n"


async def test_layers_are_shared_and_never_written(runtime: ConmonRuntime, spec: Make, layer: Path) -> None:
    before = sorted(str(p) for p in layer.rglob("*"))
    one, two = spec("echo 1 > /bin/new; ls /bin/new"), spec("test -e /bin/new || echo absent")
    await finished(runtime, one)
    await finished(runtime, two)
    assert log_lines(two)[-1] == "absent"
    assert sorted(str(p) for p in layer.rglob("*")) == before


async def test_a_hostile_dev_link_in_the_image_is_refused(
    runtime: ConmonRuntime, spec: Make, layer: Path, tmp_path: Path
) -> None:
    canary, evil = tmp_path / "canary", tmp_path / "evil"
    canary.mkdir()
    evil.mkdir()
    (evil / "dev").symlink_to(canary)
    made = spec(layers=(layer, evil))
    with pytest.raises(RootfsUnsafe, match="/dev"):
        await runtime.create(made)
    assert list(canary.iterdir()) == []


async def test_a_working_directory_in_proc_is_refused(runtime: ConmonRuntime, spec: Make) -> None:
    with pytest.raises(RuntimeFailure, match="/proc"):
        await runtime.create(spec(cwd="/proc/self/fd/7"))


async def test_many_containers_start_and_end_at_once(runtime: ConmonRuntime, spec: Make) -> None:
    made = [spec(f"exit {number}") for number in range(8)]
    statuses = await asyncio.gather(*(finished(runtime, one) for one in made))
    assert [status.exit_code for status in statuses] == list(range(8))


async def test_a_container_whose_conmon_was_killed_is_still_watched(runtime: ConmonRuntime, spec: Make) -> None:
    made = spec("trap 'exit 9' TERM; while :; do sleep 0.05; done")
    await runtime.create(made)
    await runtime.start(made.id)
    os.kill(runtime.layout.record(made.id).conmon_pid(), signal.SIGKILL)
    await asyncio.sleep(0.1)  # for the order of the two events; the outcome does not depend on it
    assert (await runtime.status(made.id)).state == "running"
    status = await runtime.stop(made.id, 10)
    assert status and (status.exit_code, status.reason) == (9, "Error")


async def test_a_renamed_log_is_reopened_at_its_path(runtime: ConmonRuntime, spec: Make) -> None:
    made = spec("echo one; while ! test -e /go; do sleep 0.02; done; echo two")
    await runtime.create(made)
    await runtime.start(made.id)
    await lines_appear(made, 1)
    rotated = made.log_path.with_suffix(".1")
    made.log_path.rename(rotated)
    runtime.reopen_log(made.id)
    async with asyncio.timeout(20):
        while not made.log_path.exists():
            await asyncio.sleep(0.01)
    await runtime.exec_sync(made.id, ["/bin/touch", "/go"])
    await asyncio.wait_for(runtime.wait(made.id), 20)
    assert log_lines(made) == ["two"]
    assert rotated.read_text().endswith("one\n")


async def test_a_daemon_in_the_nodes_pid_namespace_does_not_outlive_its_container(
    runtime: ConmonRuntime, spec: Make
) -> None:
    made = spec("sleep 1234 & sleep 1235 & echo up; exec sleep 1000", namespaces=PodNamespaces(pid="host"))
    await runtime.create(made)
    await runtime.start(made.id)
    await lines_appear(made, 1)
    path = runtime.cgroups.container_path("", made.id)
    assert len(runtime.cgroups.pids(path)) == 3
    await runtime.remove(made.id)
    assert runtime.cgroups.pids(path) == set() and not runtime.cgroups.directory(path).exists()


async def lines_appear(spec: ContainerSpec, count: int) -> None:
    async with asyncio.timeout(20):
        while len(spec.log_path.read_text().splitlines()) < count:
            await asyncio.sleep(0.01)


async def process_is(pid: int, name: str) -> None:
    """Until the OCI runtime's process has become the program."""
    async with asyncio.timeout(20):
        while Path(f"/proc/{pid}/comm").read_text().strip() != name:
            await asyncio.sleep(0.01)
