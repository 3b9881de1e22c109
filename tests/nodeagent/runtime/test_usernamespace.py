"""Pods with `hostUsers: false`: their root is nobody on the node, and files look as they should on both sides."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from nodeagent.runtime import leftovers
from nodeagent.runtime.engine import ConmonRuntime
from nodeagent.runtime.interface import ContainerSpec, Mount, RuntimeFailure, SandboxSpec, Security, User
from nodeagent.runtime.sandbox import PodSandboxes
from nodeagent.runtime.streams import ExecRequest, Output
from nodeagent.runtime.usernamespace import IDS, choose_base

Make = Callable[..., ContainerSpec]


@pytest.fixture
async def sandboxes(tmp_path: Path, runtime: ConmonRuntime) -> AsyncIterator[PodSandboxes]:
    sandboxes = PodSandboxes(tmp_path / "run", None)
    await sandboxes.open()
    yield sandboxes
    await asyncio.gather(*(runtime.remove(status.id) for status in await runtime.list()))
    await sandboxes.teardown_all()
    assert leftovers.mounts_below(tmp_path / "run") == []


async def shell(runtime: ConmonRuntime, container_id: str, script: str) -> str:
    result = await runtime.exec_sync(container_id, ["/bin/sh", "-c", script])
    return (result.stdout + result.stderr).decode()


def test_ranges_are_given_round_and_round_and_never_the_nodes_own() -> None:
    assert choose_base(set()) == IDS
    assert choose_base({IDS, 2 * IDS}) == 3 * IDS
    assert choose_base(set(), after=5 * IDS) == 6 * IDS
    last = 32767 * IDS
    assert choose_base(set(), after=last) == IDS
    assert choose_base({IDS}, after=last - IDS) == last
    with pytest.raises(RuntimeFailure, match="no free range"):
        choose_base({n * IDS for n in range(1, 32768)})


async def test_root_of_the_pod_is_nobody_on_the_node(
    runtime: ConmonRuntime, spec: Make, sandboxes: PodSandboxes, tmp_path: Path, layer: Path
) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "roots").write_text("secret")
    (volume / "roots").chmod(0o600)
    sandbox = await sandboxes.create(
        SandboxSpec(
            "pod", "mapped", user_namespace=True, sysctls={"kernel.shmmax": "65536", "net.ipv4.tcp_fin_timeout": "9"}
        )
    )
    base = sandbox.namespaces.id_base
    assert base >= IDS and base % IDS == 0
    mounts = (Mount(str(volume), "/data"), Mount(str(volume / "roots"), "/one-file"))
    made = spec(namespaces=sandbox.namespaces, mounts=mounts, cwd="/made/for/me")
    created = await runtime.create(made)
    await runtime.start(made.id)
    status = Path(f"/proc/{created.pid}/status").read_text()
    assert f"Uid:\t{base}\t" in status and f"Gid:\t{base}\t" in status
    assert await shell(runtime, made.id, "id -u; hostname; pwd") == "0\nmapped\n/made/for/me\n"
    assert await shell(runtime, made.id, "cat /proc/self/uid_map") == f"{0:10} {base:10} {IDS:10}\n"
    # The image's and the volume's files are root's inside, and what the pod makes in a volume is root's outside.
    listing = await shell(runtime, made.id, "ls -lnd / /bin/busybox /made/for/me /data /data/roots /one-file /etc")
    assert all(line.split()[2:4] == ["0", "0"] for line in listing.splitlines() if line.startswith(("d", "-"))), listing
    assert (
        await shell(runtime, made.id, "cat /data/roots /one-file; echo mine > /data/new; echo more >> /bin/new")
        == "secretsecret"
    )
    assert (volume / "new").stat().st_uid == 0
    upper = runtime.layout.record(made.id).directory / "upper"
    assert (upper / "bin/new").stat().st_uid == base
    assert not (layer / "bin/new").exists()
    # Its capabilities count for its own namespaces only.
    assert (
        await shell(runtime, made.id, "cat /proc/sys/kernel/shmmax /proc/sys/net/ipv4/tcp_fin_timeout") == "65536\n9\n"
    )
    assert "denied" in await shell(runtime, made.id, "echo 1 > /proc/sys/kernel/panic || echo denied")
    node_file = f"/proc/{os.getpid()}/environ"
    assert not Path(node_file).is_dir() and "can't open" in await shell(runtime, made.id, f"cat {node_file}")


async def test_users_of_the_image_are_mapped_too_and_two_pods_share_no_id(
    runtime: ConmonRuntime, spec: Make, sandboxes: PodSandboxes
) -> None:
    one, two = [await sandboxes.create(SandboxSpec(f"pod{n}", "x", user_namespace=True)) for n in (1, 2)]
    assert abs(one.namespaces.id_base - two.namespaces.id_base) >= IDS
    made = spec(namespaces=one.namespaces, user=User(1000, 1001, (1001,)))
    created = await runtime.create(made)
    await runtime.start(made.id)
    assert f"Uid:\t{one.namespaces.id_base + 1000}\t" in Path(f"/proc/{created.pid}/status").read_text()
    assert await shell(runtime, made.id, "id") == "uid=1000 gid=1001 groups=1001\n"


async def test_the_range_is_kept_when_the_agent_comes_back(sandboxes: PodSandboxes, tmp_path: Path) -> None:
    made = await sandboxes.create(SandboxSpec("pod1", "x", user_namespace=True))
    again = PodSandboxes(tmp_path / "run", None)
    assert await again.open() == [made]
    other = await again.create(SandboxSpec("pod2", "x", user_namespace=True))
    assert other.namespaces.id_base != made.namespaces.id_base


async def test_the_kernels_files_may_be_unmasked_in_a_user_namespace(
    runtime: ConmonRuntime, spec: Make, sandboxes: PodSandboxes
) -> None:
    sandbox = await sandboxes.create(
        SandboxSpec(
            "pod", "x", user_namespace=True, share_pid=True, cgroup_parent=f"{runtime.cgroups.root}/kubepods/podx"
        )
    )
    open_proc = spec(namespaces=sandbox.namespaces, security=Security(unmasked_proc=True))
    masked = spec(namespaces=sandbox.namespaces)
    for made in (open_proc, masked):
        await runtime.create(made)
        await runtime.start(made.id)
    mounts = [await shell(runtime, made.id, "cat /proc/self/mountinfo") for made in (open_proc, masked)]
    assert [" /proc/sys " in text for text in mounts] == [False, True]
    assert "/pause" in await shell(runtime, masked.id, "cat /proc/1/cmdline")


async def test_namespaces_of_the_node_cannot_be_had_in_a_user_namespace(sandboxes: PodSandboxes) -> None:
    with pytest.raises(RuntimeFailure, match="hostUsers"):
        await sandboxes.create(SandboxSpec("pod", "x", user_namespace=True, host_network=True))


async def test_a_file_system_that_cannot_be_mapped_is_refused_with_its_name(
    runtime: ConmonRuntime, spec: Make, sandboxes: PodSandboxes
) -> None:
    sandbox = await sandboxes.create(SandboxSpec("pod", "x", user_namespace=True))
    made = spec(namespaces=sandbox.namespaces, mounts=(Mount("/proc/sys", "/data"),))
    with pytest.raises(RuntimeFailure, match="the file system of /proc/sys cannot be used with hostUsers: false"):
        await runtime.create(made)
    assert list(runtime.layout.containers.iterdir()) == []


async def test_terminals_devices_and_privilege_work_in_a_user_namespace(
    runtime: ConmonRuntime, spec: Make, sandboxes: PodSandboxes
) -> None:
    sandbox = await sandboxes.create(SandboxSpec("pod", "x", user_namespace=True))
    tty = spec("tty; exec sleep 1000", namespaces=sandbox.namespaces, terminal=True, stdin=True)
    privileged = spec(namespaces=sandbox.namespaces, security=Security(privileged=True))
    for made in (tty, privileged):
        await runtime.create(made)
        await runtime.start(made.id)
    assert await shell(runtime, tty.id, "echo x > /dev/null && head -c 3 /dev/zero | wc -c") == "3\n"
    session = await runtime.exec(tty.id, ExecRequest(("/bin/sh", "-c", "tty; echo $0"), terminal=True))
    heard = bytearray()

    async def hear(output: Output, data: bytes) -> None:
        heard.extend(data)

    await asyncio.wait_for(session.copy_output(hear), 20)
    assert await session.wait() == 0 and heard.startswith(b"/dev/pts/"), heard
    await session.close()
    assert "mounted" in await shell(
        runtime, privileged.id, "mkdir -p /t && mount -t tmpfs t /t && echo mounted"
    )  # root of its own mounts
    assert "mounted" not in await shell(runtime, tty.id, "mkdir -p /t && mount -t tmpfs t /t && echo mounted")
    assert "wrote" not in await shell(runtime, privileged.id, "echo 1 > /proc/sys/kernel/panic && echo wrote")
