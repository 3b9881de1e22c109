"""Containers outlive the agent: a runtime in another process is killed, and a new one takes over from disk."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from nodeagent.runtime import leftovers
from nodeagent.runtime.cgroups import Cgroups
from nodeagent.runtime.container import in_cgroup
from nodeagent.runtime.engine import ConmonRuntime
from nodeagent.runtime.interface import ContainerSpec, ContainerStatus
from nodeagent.runtime.records import spec_adapter
from tests.nodeagent.runtime.conftest import assert_nothing_left

Make = Callable[..., ContainerSpec]

# What the killed owner runs: open, create (and start) the container whose spec comes on stdin, say so, wait.
_OWNER = """
import asyncio, sys
from pathlib import Path
from nodeagent.runtime.cgroups import Cgroups
from nodeagent.runtime.engine import ConmonRuntime
from nodeagent.runtime.records import spec_adapter

async def main(root, cgroup_root, upto):
    runtime = ConmonRuntime(Path(root), Cgroups(cgroup_root))
    await runtime.open()
    spec = spec_adapter().validate_json(sys.stdin.readline())
    print("ready", flush=True)
    status = await runtime.create(spec)
    if upto == "started":
        status = await runtime.start(spec.id)
    print(status.pid, flush=True)
    await asyncio.sleep(1000)

asyncio.run(main(*sys.argv[1:]))
"""


@dataclass
class Agents:
    """Owners of one runtime directory, one after the other."""

    root: Path
    cgroups: Cgroups

    def owner(self, spec: ContainerSpec, upto: str) -> subprocess.Popen[bytes]:
        owner = subprocess.Popen(
            [sys.executable, "-c", _OWNER, str(self.root), self.cgroups.root, upto],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert owner.stdin and owner.stdout
        owner.stdin.write(spec_adapter().dump_json(spec) + b"\n")
        owner.stdin.flush()
        assert owner.stdout.readline() == b"ready\n"
        return owner

    def kill_after(self, spec: ContainerSpec, upto: str) -> int:
        """Let an owner come that far, kill -9 it, return the container's pid."""
        owner = self.owner(spec, upto)
        assert owner.stdout
        pid = int(owner.stdout.readline())
        owner.kill()
        owner.wait()
        return pid


@pytest.fixture
async def agents(tmp_path: Path, cgroups: Cgroups) -> AsyncIterator[Agents]:
    yield Agents(tmp_path / "runtime", cgroups)
    last = ConmonRuntime(tmp_path / "runtime", cgroups)
    await last.open()
    await last.teardown_all()
    last.close()
    assert_nothing_left(tmp_path)


async def test_a_running_container_survives_the_owner_and_its_exit_is_reported(agents: Agents, spec: Make) -> None:
    made = spec("trap 'exit 5' TERM; while :; do sleep 0.05; done")
    pid = agents.kill_after(made, "started")
    runtime = ConmonRuntime(agents.root, agents.cgroups)
    [status] = await runtime.open()
    assert (status.id, status.state, status.pid, status.spec) == (made.id, "running", pid, made)
    heard: list[ContainerStatus] = []
    runtime.on_exit(heard.append)
    assert (await runtime.exec_sync(made.id, ["/bin/echo", "hi"])).stdout == b"hi\n"
    ended = await runtime.stop(made.id, 20)
    assert ended and (ended.exit_code, ended.started_at) == (5, status.started_at)
    assert heard == [ended]
    runtime.close()


async def test_an_exit_while_nobody_watched_is_reported_with_its_code_and_time(agents: Agents, spec: Make) -> None:
    made = spec("sleep 0.3; exit 42")
    pid = agents.kill_after(made, "started")
    async with asyncio.timeout(20):
        while in_cgroup(pid, f"{agents.cgroups.root}/{made.id}"):
            await asyncio.sleep(0.02)
        while not (agents.root / "exits" / made.id).exists():
            await asyncio.sleep(0.02)
    runtime = ConmonRuntime(agents.root, agents.cgroups)
    [status] = await runtime.open()
    assert (status.state, status.exit_code, status.reason) == ("exited", 42, "Error")
    assert status.finished_at and status.started_at and status.finished_at > status.started_at
    runtime.close()
    again = ConmonRuntime(agents.root, agents.cgroups)
    assert await again.open() == [status]
    again.close()


async def test_a_container_that_was_only_created_can_be_started_by_the_next_owner(agents: Agents, spec: Make) -> None:
    made = spec("exit 6")
    agents.kill_after(made, "created")
    runtime = ConmonRuntime(agents.root, agents.cgroups)
    [status] = await runtime.open()
    assert status.state == "created"
    await runtime.start(made.id)
    assert (await asyncio.wait_for(runtime.wait(made.id), 20)).exit_code == 6
    runtime.close()


async def test_a_container_whose_monitor_died_with_the_owner_still_ends(agents: Agents, spec: Make) -> None:
    made = spec()
    pid = agents.kill_after(made, "started")
    os.kill(int((agents.root / "containers" / made.id / "conmon.pid").read_text()), signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    runtime = ConmonRuntime(agents.root, agents.cgroups)
    await runtime.open()
    status = await asyncio.wait_for(runtime.wait(made.id), 20)
    # The true code if the new owner has inherited the process (it is a subreaper in this test run), else unknown.
    assert (status.state, status.exit_code, status.reason) in [("exited", 255, "Unknown"), ("exited", 137, "Error")]
    runtime.close()


@pytest.mark.parametrize("delay_seconds", [0.0, 0.005, 0.01, 0.02, 0.03, 0.04])
async def test_a_kill_in_the_middle_of_create_leaves_a_container_or_nothing(
    agents: Agents, spec: Make, delay_seconds: float
) -> None:
    made = spec()
    owner = agents.owner(made, "started")
    await asyncio.sleep(delay_seconds)  # not a wait for something: the moment of the kill is the test's input
    owner.kill()
    owner.wait()
    runtime = ConmonRuntime(agents.root, agents.cgroups)
    statuses = await runtime.open()
    assert [status.id for status in statuses] in ([], [made.id])
    assert all((status.state == "created") == (status.started_at is None) for status in statuses)
    for status in statuses:
        assert status.state in ("created", "running")
        await runtime.remove(status.id)
    await runtime.create(made)
    started = await runtime.start(made.id)
    assert started.state == "running"
    await runtime.remove(made.id)
    assert leftovers.mounts_below(agents.root) == []
    runtime.close()


async def test_directories_that_make_no_sense_are_removed(agents: Agents, spec: Make) -> None:
    runtime = ConmonRuntime(agents.root, agents.cgroups)
    await runtime.open()
    runtime.close()
    for name, text in (("no-spec", None), ("broken", b"{"), ("other", spec_adapter().dump_json(spec()))):
        directory = agents.root / "containers" / name
        directory.mkdir()
        if text is not None:
            (directory / "spec.json").write_bytes(text)
    (agents.root / "trash/half").mkdir()
    assert await runtime.open() == []
    assert list((agents.root / "containers").iterdir()) == list((agents.root / "trash").iterdir()) == []
    runtime.close()
