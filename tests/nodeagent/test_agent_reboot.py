"""The machine goes down without a word and comes back: every process, mount and link is gone, the disk is as it was."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodeagent.runtime import syscalls
from nodeagent.runtime.cgroups import Cgroups
from nodeagent.runtime.exits import reap
from nodeagent.volumes.teardown import mounts_below
from tests.nodeagent.cluster import NODE, Cluster, eventually, get_pod, wait_for_pod
from tests.nodeagent.test_agent import remove, running
from tiphys.api.core.node import Node
from tiphys.api.core.pod import Pod
from tiphys.client.rest import Client

pytestmark = pytest.mark.timeout(180)


def processes_of(cluster: Cluster, cgroups: Cgroups) -> set[int]:
    """Containers by their cgroup, monitors by the directory in their command line."""
    found = cgroups.pids(cgroups.root)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if words.split(b"\0")[0].endswith(b"conmon") and os.fsencode(cluster.node_dir) in words:
                found.add(int(entry.name))
    return found


async def power_cut(cluster: Cluster) -> None:
    """What a reboot takes away."""
    cluster.kill_agent()
    flags = dict(zip(cluster.agent_flags[::2], cluster.agent_flags[1::2], strict=True))
    cgroups = Cgroups(flags["--cgroup-root"])

    async def dead() -> bool:
        for pid in processes_of(cluster, cgroups):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            reap(pid)
        return not processes_of(cluster, cgroups)

    await eventually(dead, "every process is dead")
    await asyncio.to_thread(take_away, cluster, cgroups, flags)


def take_away(cluster: Cluster, cgroups: Cgroups, flags: dict[str, str]) -> None:
    for exit_file in (cluster.node_dir / "runtime" / "exits").iterdir():
        exit_file.unlink()  # conmon did not live to write it
    for point in reversed(mounts_below(cluster.node_dir)):
        syscalls.umount(point)
    assert cgroups.remove(cgroups.root)
    subprocess.run(["ip", "link", "delete", flags["--bridge-name"]], check=True)
    subprocess.run(["nft", "delete", "table", "ip", flags["--nftables-table"]], check=False)


async def test_a_machine_that_was_switched_off_comes_back_to_what_is_declared(cluster: Cluster, client: Client) -> None:
    kept = {"volumes": [{"name": "v", "emptyDir": {}}]}
    mounts = [{"name": "v", "mountPath": "/v"}]
    script = "echo life >> /v/lives; exec sleep 1000"
    first = {"name": "first", "image": cluster.image, "command": ["sh", "-c", "echo first >> /v/lives"]}
    with_init = {**kept, "initContainers": [{**first, "volumeMounts": mounts}]}
    limits = {"limits": {"memory": "32Mi"}}
    await client.create(
        cluster.pod("always", ["sh", "-c", script], spec=with_init, volumeMounts=mounts, resources=limits)
    )
    await client.create(cluster.pod("never", ["sleep", "1000"], spec={"restartPolicy": "Never"}))
    done = await client.create(cluster.pod("done", ["true"], spec={"restartPolicy": "Never"}))
    await client.create(cluster.pod("deleted", ["sleep", "1000"]))
    for name in ("always", "never", "deleted"):
        await wait_for_pod(client, name, running)
    finished = await wait_for_pod(client, "done", lambda p: p.status.phase == "Succeeded")
    always = await wait_for_pod(client, "always", running)

    await power_cut(cluster)
    await client.delete(Pod, "deleted", "default", grace_period_seconds=0)
    cluster.start_agent()

    def again(pod: Pod) -> bool:
        return running(pod) and pod.status.containerStatuses[0].restartCount == 1

    back = await wait_for_pod(client, "always", again)
    assert back.metadata.uid == always.metadata.uid
    assert back.status.initContainerStatuses[0].restartCount == 0
    lives = cluster.node_dir / "pods" / back.metadata.uid / "volumes/kubernetes.io~empty-dir/v/lives"
    assert lives.read_text() == "first\nlife\nlife\n"  # the disk was not lost, and init did not run again
    failed = await wait_for_pod(client, "never", lambda p: p.status.phase == "Failed")
    ended = failed.status.containerStatuses[0].state.terminated
    assert ended is not None and ended.exitCode != 0
    same = await get_pod(client, "done")
    assert same is not None and same.status.phase == "Succeeded" and same.metadata.uid == done.metadata.uid
    assert same.status.containerStatuses == finished.status.containerStatuses

    async def nothing_of_deleted() -> bool:
        return not [p for p in (cluster.node_dir / "logs").iterdir() if p.name.startswith("default_deleted_")]

    await eventually(nothing_of_deleted, "the deleted pod leaves nothing")
    for name in ("always", "never", "done"):
        await remove(client, name)


async def test_a_broken_runtime_is_the_cause_in_the_node(cluster: Cluster, client: Client, broken: Path) -> None:
    await client.create(cluster.pod("lives", ["sleep", "1000"]))
    before = await wait_for_pod(client, "lives", running)

    async def ready(status: str, text: str) -> bool:
        node = await client.get(Node, NODE)
        return any(c.type == "Ready" and c.status == status and text in c.message for c in node.status.conditions)

    cluster.kill_agent()
    path = os.environ["PATH"]
    os.environ["PATH"] = f"{broken}:{path}"
    try:
        cluster.start_agent()
        await eventually(lambda: ready("False", "container runtime is down"), "the Node is not Ready")
    finally:
        os.environ["PATH"] = path
    cluster.kill_agent()
    cluster.start_agent()
    await eventually(lambda: ready("True", ""), "the Node is Ready again")
    after = await wait_for_pod(client, "lives", running)
    assert after.status.containerStatuses[0].containerID == before.status.containerStatuses[0].containerID
    await remove(client, "lives")


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Path]:
    """A PATH entry with an OCI runtime that does not work."""
    program = tmp_path / "crun"
    program.write_text("#!/bin/sh\necho no >&2\nexit 1\n")
    program.chmod(0o755)
    yield tmp_path
