"""Attacks on the runtime by class, each with a control that shows that it would have worked.

Rows of the same list that need no running container are in test_spec.py (identities, working directories, hooks,
annotations, devices, profiles), test_rootfs.py (links in place of /proc and /sys), test_sysctls.py; a default
container's capabilities, descriptors and masked paths are in test_engine.py.
"""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from nodeagent.runtime import leftovers
from nodeagent.runtime.engine import ConmonRuntime
from nodeagent.runtime.interface import ContainerSpec, Mount, RuntimeFailure, Security, User

Make = Callable[..., ContainerSpec]
RACED_STARTS = 12


async def started(runtime: ConmonRuntime, spec: ContainerSpec) -> str:
    await runtime.create(spec)
    await runtime.start(spec.id)
    return spec.id


async def shell(runtime: ConmonRuntime, container_id: str, script: str) -> str:
    result = await runtime.exec_sync(container_id, ["/bin/sh", "-c", script])
    return (result.stdout + result.stderr).decode()


def evil_layer(directory: Path) -> Path:
    directory.mkdir()
    return directory


async def test_the_runtimes_own_program_cannot_be_overwritten_from_inside(runtime: ConmonRuntime, spec: Make) -> None:
    crun = Path(runtime.programs.oci)
    before = hashlib.sha256(crun.read_bytes()).hexdigest()
    loop = "while :; do for p in /proc/[0-9]*; do (echo x > $p/exe) 2>/dev/null && echo wrote >> /wrote; done; done"
    container_id = await started(runtime, spec(loop))
    for _ in range(10):
        with suppress(RuntimeFailure):
            await runtime.exec_sync(container_id, ["/proc/self/exe"], timeout_seconds=5)
    with suppress(RuntimeFailure):
        await started(runtime, spec(argv=("/proc/self/exe",)))
    assert hashlib.sha256(crun.read_bytes()).hexdigest() == before
    # The control: a program that is only held open, on a writable file system, is overwritten in just this way.
    way = "busybox cp /bin/busybox /victim; exec 3< /victim; echo x > /proc/self/fd/3; busybox wc -c < /victim"
    assert (await shell(runtime, container_id, way)).strip() == "2"


async def test_no_descriptor_leads_out_of_the_container(runtime: ConmonRuntime, spec: Make) -> None:
    for number in (0, 3, 7, 20, 64):
        with pytest.raises(RuntimeFailure, match="/proc"):
            await runtime.create(spec(cwd=f"/proc/self/fd/{number}"))
    container_id = await started(runtime, spec(cwd="/work"))  # the control: a directory of its own is made
    assert await shell(runtime, container_id, "pwd; ls /proc/1/fd") == "/work\n0\n1\n2\n"
    seen = (await shell(runtime, container_id, "ls /proc/self/fd")).split()
    assert set(seen) <= {"0", "1", "2", "3"}  # the last is the listing's own


async def test_an_images_device_links_reach_nothing_of_the_node(
    runtime: ConmonRuntime, spec: Make, layer: Path, tmp_path: Path
) -> None:
    canary, evil = tmp_path / "canary", evil_layer(tmp_path / "evil")
    canary.write_text("safe")
    owner = canary.stat()
    (evil / "dev/pts").mkdir(parents=True)
    for name in ("null", "console", "ptmx", "pts/0", "tty"):
        (evil / "dev" / name).symlink_to("/proc/sys/kernel/core_pattern" if name == "null" else canary)
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    for terminal in (False, True):
        made = spec(
            "echo x > /dev/null; echo y > /dev/console; exec sleep 1000", layers=(layer, evil), terminal=terminal
        )
        container_id = await started(runtime, made)
        rootfs = runtime.layout.record(container_id).rootfs
        assert (rootfs / "dev/null").readlink() == Path("/proc/sys/kernel/core_pattern")  # the control: it is there
        assert "crw" in await shell(runtime, container_id, "ls -l /dev/null")
        assert await shell(runtime, container_id, "cat /proc/timer_list /proc/keys; ls /sys/firmware") == ""
    assert Path("/proc/sys/kernel/core_pattern").read_text() == pattern
    assert canary.read_text() == "safe" and canary.stat()[:6] == owner[:6]


async def test_a_mount_target_that_changes_under_the_runtime_never_leads_to_the_node(
    runtime: ConmonRuntime, spec: Make, tmp_path: Path
) -> None:
    """A sibling with the same volume swaps a directory and a link while containers with a mount below it start."""
    canary, shared, inner = tmp_path / "canary", tmp_path / "shared", tmp_path / "inner"
    for directory in (canary, shared, inner):
        directory.mkdir()
    (canary / "secret").write_text("node")
    (shared / "target").mkdir()
    (shared / "link").symlink_to(canary)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for one, two in (("target", "aside"), ("link", "target"), ("target", "link"), ("aside", "target")):
                with suppress(OSError):
                    (shared / one).rename(shared / two)

    assert (shared / "link/secret").read_text() == "node"  # the control: who follows the link is on the node
    swapper = threading.Thread(target=swap)
    swapper.start()
    read = 0
    try:
        for _ in range(RACED_STARTS):
            mounts = (Mount(str(shared), "/data"), Mount(str(inner), "/data/target/deep"))
            made = spec("cat /data/target/secret /data/target/deep/../secret; exec sleep 1000", mounts=mounts)
            try:
                await started(runtime, made)
            except RuntimeFailure:
                continue
            read += "node" in made.log_path.read_text()
            await runtime.remove(made.id)
    finally:
        stop.set()
        swapper.join()
    assert read == 0
    assert [path.name for path in canary.iterdir()] == ["secret"]
    assert leftovers.mounts_below(canary) == []


async def test_identities_are_exactly_those_of_the_spec(
    runtime: ConmonRuntime, spec: Make, layer: Path, tmp_path: Path
) -> None:
    etc = evil_layer(tmp_path / "etc-layer")
    (etc / "etc").mkdir()
    (etc / "etc/passwd").write_text("one:x:1:1::/:/bin/sh\nroot:x:0:0::/:/bin/sh\n")
    (etc / "etc/group").write_text("disk:x:6:one\nroot:x:0:one\n")
    made = spec(layers=(layer, etc), user=User(1, 1, (5,)), env=(("HOME", "/x\nevil::0:0::/:/bin/sh"),))
    container_id = await started(runtime, made)
    assert await shell(runtime, container_id, "busybox id -u; busybox id -G") == "1\n1 5\n"
    assert await shell(runtime, container_id, "cat /etc/passwd") == (etc / "etc/passwd").read_text()
    groups = next(
        line for line in (await shell(runtime, container_id, "cat /proc/self/status")).splitlines() if "Groups" in line
    )
    assert groups.split()[1:] == ["5"]
    root = await started(runtime, spec(layers=(layer, etc)))
    assert (await shell(runtime, root, "busybox id -u")) == "0\n"  # the control: the image can be used otherwise too
    for uid in (-1, 1 << 31, 1 << 32):
        with pytest.raises(RuntimeFailure, match="out of range"):
            await runtime.create(spec(user=User(uid)))


async def test_nothing_of_ours_listens_on_an_abstract_socket(runtime: ConmonRuntime, spec: Make) -> None:
    canary = f"tiphys-test-canary-{os.getpid()}"
    container_id = await started(runtime, spec())  # on the node's network
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0" + canary)
        listener.listen()
        seen = (await shell(runtime, container_id, "grep -o '@.*' /proc/net/unix")).split("\n")
    assert f"@{canary}" in seen  # the control: they can be seen from there
    assert [name for name in seen if container_id[:12] in name or "conmon" in name or "crun" in name] == []
    attach = runtime.layout.record(container_id).directory / "attach"
    assert attach.is_socket() and runtime.layout.root.stat().st_mode & 0o077 == 0


async def test_the_cgroup_tree_cannot_be_mounted_or_written_from_inside(runtime: ConmonRuntime, spec: Make) -> None:
    kind = "-t cgroup2" if runtime.cgroups.v2 else "-t cgroup -o memory"
    way = f"mkdir -p /tmp/cg && mount {kind} cgroup /tmp/cg && echo mounted"
    ordinary = await started(runtime, spec())
    admin = await started(runtime, spec(security=Security(capabilities_add=("SYS_ADMIN",))))
    privileged = await started(runtime, spec(security=Security(privileged=True)))
    assert "mounted" not in await shell(runtime, ordinary, way)
    assert "mounted" not in await shell(runtime, ordinary, f"unshare -rm sh -c '{way}'")
    find = "busybox find /sys/fs/cgroup -name release_agent -o -name cgroup.procs"
    write = f"{find} | while read f; do echo 1 > $f && echo wrote; done"
    assert "wrote" not in await shell(runtime, ordinary, write)
    assert "wrote" not in await shell(runtime, admin, write)
    assert "mounted" in await shell(runtime, privileged, way)  # the control
