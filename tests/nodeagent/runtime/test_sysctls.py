"""Which kernel settings a pod may have, and that they stay in its own namespaces."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodeagent.runtime.interface import RuntimeFailure, SandboxSpec
from nodeagent.runtime.sandbox import PodSandboxes, in_thread
from nodeagent.runtime.sysctls import SAFE, checked, dotted, file_of, forbidden


@pytest.mark.parametrize("name", sorted(SAFE))
def test_safe_settings_are_admitted_without_asking(name: str) -> None:
    assert forbidden([name], host_network=False, host_ipc=False) == ""
    assert forbidden([name.replace(".", "/")], host_network=False, host_ipc=False) == ""


@pytest.mark.parametrize(
    ("name", "allowed", "message"),
    [
        ("kernel.msgmax", (), 'forbidden sysctl: "kernel.msgmax" not allowlisted'),
        ("kernel.msgmax", ("kernel.msgmax",), ""),
        ("kernel/msgmax", ("kernel.msg*",), ""),
        ("net.core.somaxconn", ("net.core.so*",), ""),
        ("net.core.somaxconn", ("net.ipv4.*",), 'forbidden sysctl: "net.core.somaxconn" not allowlisted'),
    ],
)
def test_the_others_need_the_operators_word(name: str, allowed: tuple[str, ...], message: str) -> None:
    assert forbidden([name], host_network=False, host_ipc=False, allowed_unsafe=allowed) == message


def test_settings_of_a_namespace_that_the_pod_shares_with_the_node_are_refused() -> None:
    net = forbidden(["net.ipv4.tcp_syncookies"], host_network=True, host_ipc=False)
    ipc = forbidden(["kernel.shm_rmid_forced"], host_network=False, host_ipc=True)
    assert net == 'forbidden sysctl: "net.ipv4.tcp_syncookies" not allowed with host net enabled'
    assert ipc == 'forbidden sysctl: "kernel.shm_rmid_forced" not allowed with host ipc enabled'


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kernel.core_pattern", "|/evil"),
        ("kernel.shm_rmid_forced+kernel.core_pattern", "1"),
        ("net.ipv4.ip_forward", "1\nkernel.core_pattern=|/evil"),
        ("net.ipv4.ip_forward=1", "1"),
        ("net..ipv4.x", "1"),
        ("net/../kernel/core_pattern", "x"),
        ("net.//.kernel.core_pattern", "x"),
        ("vm.swappiness", "1"),
        ("fs.file-max", "1"),
    ],
)
async def test_what_reaches_beyond_the_pod_is_refused_whatever_the_operator_says(
    name: str, value: str, tmp_path: Path
) -> None:
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    with pytest.raises(RuntimeFailure, match="sysctl"):
        checked({name: value}, host_network=False, host_ipc=False)
    sandboxes = PodSandboxes(tmp_path / "run", None)
    await sandboxes.open()
    with pytest.raises(RuntimeFailure, match="sysctl"):
        await sandboxes.create(SandboxSpec("pod", "x", sysctls={name: value}))
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before
    assert list((tmp_path / "run").iterdir()) == []


async def test_a_setting_is_the_pods_alone(tmp_path: Path) -> None:
    sandboxes = PodSandboxes(tmp_path / "run", None)
    await sandboxes.open()
    outside = Path("/proc/sys/net/ipv4/tcp_fin_timeout").read_text()
    wanted = {"net/ipv4/tcp_fin_timeout": "11", "kernel.shmmax": "123456"}
    sandbox = await sandboxes.create(SandboxSpec("pod", "x", sysctls=wanted))

    def inside() -> str:
        from nodeagent.runtime import syscalls

        with Path(sandbox.namespaces.net).open() as namespace:
            syscalls.setns(namespace.fileno(), syscalls.CLONE_NEWNET)
        return Path("/proc/sys/net/ipv4/tcp_fin_timeout").read_text()

    assert await in_thread(inside) == "11\n"
    assert Path("/proc/sys/net/ipv4/tcp_fin_timeout").read_text() == outside != "11\n"
    await sandboxes.teardown_all()


def test_a_dot_in_a_part_is_written_as_sysctl_does() -> None:
    assert dotted("net/ipv4/conf/eth0.1/forwarding") == "net.ipv4.conf.eth0/1.forwarding"
    assert file_of("net.ipv4.conf.eth0/1.forwarding") == "/proc/sys/net/ipv4/conf/eth0.1/forwarding"
