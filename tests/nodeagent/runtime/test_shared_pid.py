"""Process namespaces of pods: shared among containers, of the node, of another container."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from nodeagent.runtime import leftovers, pause
from nodeagent.runtime.engine import ConmonRuntime
from nodeagent.runtime.interface import ContainerSpec, PodNamespaces, RuntimeFailure, SandboxSpec
from nodeagent.runtime.sandbox import PodSandboxes

Make = Callable[..., ContainerSpec]


@pytest.fixture
async def sandboxes(tmp_path: Path, runtime: ConmonRuntime) -> AsyncIterator[PodSandboxes]:
    """Without a network; the pods' containers are removed before their sandboxes."""
    sandboxes = PodSandboxes(tmp_path / "run", None)
    await sandboxes.open()
    yield sandboxes
    await asyncio.gather(*(runtime.remove(status.id) for status in await runtime.list()))
    await sandboxes.teardown_all()
    assert leftovers.mounts_below(tmp_path / "run") == []


async def shell(runtime: ConmonRuntime, container_id: str, script: str) -> str:
    result = await runtime.exec_sync(container_id, ["/bin/sh", "-c", script])
    return (result.stdout + result.stderr).decode()


async def started(runtime: ConmonRuntime, *specs: ContainerSpec) -> None:
    for spec in specs:
        await runtime.create(spec)
        await runtime.start(spec.id)


def shared(runtime: ConmonRuntime) -> SandboxSpec:
    return SandboxSpec("pod", "shared", share_pid=True, cgroup_parent=f"{runtime.cgroups.root}/kubepods/podpod")


async def test_containers_of_a_pod_share_their_processes_and_nothing_of_the_node_shows(
    runtime: ConmonRuntime, spec: Make, sandboxes: PodSandboxes
) -> None:
    sandbox = await sandboxes.create(shared(runtime))
    one, two = (spec(f"exec sleep 10{n}", namespaces=sandbox.namespaces) for n in (1, 2))
    alone = spec("exec sleep 103")
    await started(runtime, one, two, alone)
    words = await shell(runtime, one.id, "for p in /proc/[0-9]*; do cat $p/cmdline; echo; done")
    seen = set(words.replace("\0", " ").split("\n"))
    assert {"/pause ", "sleep 101 ", "sleep 102 "} <= seen and "sleep 103 " not in seen
    assert "sleep 103" in (await shell(runtime, alone.id, "cat /proc/1/cmdline")).replace("\0", " ")  # the control
    # Process 1 is reachable by root of the pod: there must be nothing in its root, and no descriptor of the node.
    assert (await shell(runtime, one.id, "ls /proc/1/root")).split() == ["dev", "pause", "proc"]
    assert "/dev/null" in await shell(runtime, one.id, "ls -l /proc/1/fd")
    assert (await shell(runtime, one.id, "ls /proc/1/fd")).split() == ["0", "1", "2"]
    assert "sleep" in (await shell(runtime, one.id, "kill -9 1; cat /proc/*/comm")).split()


async def test_the_holder_costs_next_to_nothing_and_reaps_orphans(
    runtime: ConmonRuntime, spec: Make, sandboxes: PodSandboxes
) -> None:
    sandbox = await sandboxes.create(shared(runtime))
    made = spec("exec sleep 1000", namespaces=sandbox.namespaces)
    await started(runtime, made)
    holder = pause.holder(Path(sandbox.namespaces.pid).parent)
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{holder}/status").read_text().splitlines() if ":\t" in line
    )
    assert int(status["VmRSS"].split()[0]) <= 1024  # KiB
    assert (status["CapEff"], status["NoNewPrivs"]) == ("0" * 16, "1")
    await shell(runtime, made.id, "(sleep 0.01 & ) ; sleep 0.1")  # the inner shell ends first: an orphan
    async with asyncio.timeout(20):
        while "State:\tZ" in await shell(runtime, made.id, "cat /proc/[0-9]*/status 2>/dev/null | grep State"):
            await asyncio.sleep(0.05)


async def test_a_shared_namespace_survives_the_agent_and_dies_with_its_holder(
    runtime: ConmonRuntime, spec: Make, sandboxes: PodSandboxes, tmp_path: Path
) -> None:
    made = shared(runtime)
    sandbox = await sandboxes.create(made)
    again = PodSandboxes(tmp_path / "run", None)
    assert await again.open() == [sandbox]
    container = spec("trap '' TERM; sleep 1000", namespaces=sandbox.namespaces)
    await started(runtime, container)
    os.kill(pause.holder(tmp_path / "run/pod"), signal.SIGKILL)
    ended = await asyncio.wait_for(runtime.wait(container.id), 20)
    assert ended.exit_code == 137
    assert again.get("pod") is None
    fresh = await again.create(made)
    assert pause.holder(tmp_path / "run/pod") != 0 and again.get("pod") == fresh
    await runtime.remove(container.id)


async def test_removing_the_sandbox_leaves_no_process(
    runtime: ConmonRuntime, sandboxes: PodSandboxes, tmp_path: Path
) -> None:
    await sandboxes.create(shared(runtime))
    holder = pause.holder(tmp_path / "run/pod")
    await sandboxes.remove("pod")
    assert not Path(f"/proc/{holder}").exists() and not (tmp_path / "run/pod").exists()
    runtime.cgroups.remove(f"{runtime.cgroups.root}/kubepods/podpod")


async def test_a_pod_on_the_nodes_process_namespace_sees_the_node(
    runtime: ConmonRuntime, spec: Make, sandboxes: PodSandboxes
) -> None:
    sandbox = await sandboxes.create(SandboxSpec("pod", "host", host_pid=True, host_ipc=True))
    assert (sandbox.namespaces.pid, sandbox.namespaces.ipc) == ("host", "")
    made = spec(namespaces=sandbox.namespaces)
    await started(runtime, made)
    seen = (await shell(runtime, made.id, "echo /proc/[0-9]*")).split()
    assert f"/proc/{os.getpid()}" in seen


async def test_a_debugging_container_joins_the_processes_of_its_target(runtime: ConmonRuntime, spec: Make) -> None:
    target, other = spec("exec sleep 111"), spec("exec sleep 222")
    await started(runtime, target, other)
    debugger = spec("exec sleep 333", namespaces=PodNamespaces(pid=f"container:{target.id}"))
    await started(runtime, debugger)
    seen = (await shell(runtime, debugger.id, "cat /proc/[0-9]*/cmdline")).replace("\0", " ")
    assert "sleep 111" in seen and "sleep 333" in seen and "sleep 222" not in seen
    await runtime.stop(other.id, 0)
    with pytest.raises(RuntimeFailure, match="exited"):
        await runtime.create(spec(namespaces=PodNamespaces(pid=f"container:{other.id}")))


@pytest.mark.parametrize(("machine", "number"), [("x86_64", 62), ("aarch64", 183)])
def test_the_holders_program_is_a_static_executable(machine: str, number: int) -> None:
    body = pause.program(machine)
    assert body[:4] == b"\x7fELF" and int.from_bytes(body[18:20], "little") == number
    assert len(body) < 256
    with pytest.raises(RuntimeFailure, match="riscv64"):
        pause.program("riscv64")
