"""Pinned namespaces and two pods on a real bridge, in a network namespace of the test's own."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from nodeagent.network.pods import NetworkConfig, PodNetwork
from nodeagent.runtime import leftovers, syscalls
from nodeagent.runtime.engine import ConmonRuntime
from nodeagent.runtime.interface import ContainerSpec, RuntimeFailure, SandboxSpec
from nodeagent.runtime.process import run
from nodeagent.runtime.sandbox import PodSandboxes, in_thread

Make = Callable[..., ContainerSpec]
PODS = ipaddress.IPv4Network("10.211.5.0/24")


@dataclass
class Node:
    directory: Path
    network: PodNetwork
    sandboxes: PodSandboxes

    async def restart(self) -> Node:
        """The same directories in the hands of a new agent."""
        network = PodNetwork(self.network.config)
        await network.open()
        sandboxes = PodSandboxes(self.directory / "run", network)
        await sandboxes.open()
        return Node(self.directory, network, sandboxes)


@pytest.fixture
async def node(tmp_path: Path, own_network: None) -> AsyncIterator[Node]:
    network = PodNetwork(NetworkConfig(tmp_path / "ipam", PODS))
    await network.open()
    sandboxes = PodSandboxes(tmp_path / "run", network)
    await sandboxes.open()
    yield Node(tmp_path, network, sandboxes)
    await sandboxes.teardown_all()
    await network.teardown()
    assert leftovers.mounts_below(tmp_path) == []
    assert not (tmp_path / "run").exists()
    assert list((tmp_path / "ipam").iterdir()) == []
    assert [line.split(":")[0].strip() for line in Path("/proc/self/net/dev").read_text().splitlines()[2:]] == ["lo"]
    tables = await run(["/usr/sbin/nft", "list tables"])
    assert tables.stdout == b""


async def inside(path: str, read: Callable[[], str]) -> str:
    """Result of `read` in a thread in the namespace."""

    def body() -> str:
        with open(path) as namespace:  # noqa: PTH123
            syscalls.setns(namespace.fileno(), 0)
        return read()

    return await in_thread(body)


async def test_a_sandbox_has_a_name_an_address_and_low_ports_for_anybody(node: Node) -> None:
    sandbox = await node.sandboxes.create(SandboxSpec("pod-a", "web-0", sysctls={"net.ipv4.tcp_syncookies": "0"}))
    assert sandbox.ip == "10.211.5.2" and ipaddress.ip_address(sandbox.ip) in PODS
    assert await inside(sandbox.namespaces.uts, lambda: Path("/proc/sys/kernel/hostname").read_text()) == "web-0\n"
    settings = Path("/proc/sys/net/ipv4")
    assert await inside(sandbox.namespaces.net, (settings / "ip_unprivileged_port_start").read_text) == "0\n"
    assert await inside(sandbox.namespaces.net, (settings / "tcp_syncookies").read_text) == "0\n"
    assert (settings / "tcp_syncookies").read_text() != "0\n"  # the node's own is untouched
    assert await node.sandboxes.create(SandboxSpec("pod-a", "web-0")) == sandbox


async def test_sandboxes_and_addresses_survive_the_agent(node: Node) -> None:
    sandbox = await node.sandboxes.create(SandboxSpec("pod-a", "a"))
    namespace = Path(sandbox.namespaces.net).stat().st_ino
    again = await node.restart()
    assert again.sandboxes.list() == [sandbox]
    assert Path(sandbox.namespaces.net).stat().st_ino == namespace
    assert again.network.address_of("pod-a") == sandbox.ip
    await again.sandboxes.remove("pod-a")
    await node.sandboxes.remove("pod-a")
    assert again.network.address_of("pod-a") is None


async def test_an_unfinished_sandbox_is_removed_on_the_next_start(node: Node) -> None:
    sandbox = await node.sandboxes.create(SandboxSpec("pod-a", "a"))
    (node.directory / "run/pod-a/sandbox.json").unlink()
    again = await node.restart()
    assert again.sandboxes.list() == [] and again.network.address_of("pod-a") is None
    assert leftovers.mounts_below(node.directory / "run") == []
    remade = await again.sandboxes.create(SandboxSpec("pod-a", "a"))
    assert remade.ip != sandbox.ip  # used again as late as possible
    await again.sandboxes.remove("pod-a")


@pytest.mark.parametrize("name", ["kernel.core_pattern", "vm.swappiness", "net.ipv4/../../kernel/panic", "net", ""])
async def test_a_sysctl_of_the_node_is_refused(node: Node, name: str) -> None:
    with pytest.raises(RuntimeFailure, match="does not belong to a namespace"):
        await node.sandboxes.create(SandboxSpec("pod-a", "a", sysctls={name: "1"}))
    assert not (node.directory / "run/pod-a").exists()


async def test_a_pod_on_the_nodes_network_has_no_address_and_the_nodes_name(node: Node) -> None:
    sandbox = await node.sandboxes.create(SandboxSpec("pod-h", "other", host_network=True))
    assert (sandbox.ip, sandbox.namespaces.net, sandbox.namespaces.uts) == ("", "", "")
    assert sandbox.hostname == Path("/proc/sys/kernel/hostname").read_text().strip()
    with pytest.raises(RuntimeFailure):
        await node.sandboxes.create(
            SandboxSpec("pod-i", "x", host_network=True, sysctls={"net.ipv4.tcp_syncookies": "0"})
        )


async def test_pods_reach_one_another_and_the_node_and_share_their_memory(
    node: Node, runtime: ConmonRuntime, spec: Make
) -> None:
    one = await node.sandboxes.create(SandboxSpec("pod-a", "a"))
    two = await node.sandboxes.create(SandboxSpec("pod-b", "b"))
    server = spec(
        "echo served by $(hostname) > /index.html; exec httpd -f -p 80 -h /", pod_uid="pod-b", namespaces=two.namespaces
    )
    client = spec(pod_uid="pod-a", namespaces=one.namespaces)
    neighbour = spec(pod_uid="pod-a", namespaces=one.namespaces)
    for container in (server, client, neighbour):
        await runtime.create(container)
        await runtime.start(container.id)
    await listening(two.ip)
    gateway = str(node.network.gateway.ip)
    for target in (two.ip, one.ip, gateway):
        pinged = await runtime.exec_sync(client.id, ["/bin/ping", "-c", "1", "-W", "5", target])
        assert pinged.exit_code == 0, pinged
    page = await runtime.exec_sync(client.id, ["/bin/wget", "-q", "-O", "-", f"http://{two.ip}/"])
    assert page.stdout == b"served by b\n"
    reader, writer = await asyncio.open_connection(two.ip, 80)  # the node itself
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert (await reader.read()).endswith(b"served by b\n")
    writer.close()
    assert (await runtime.exec_sync(client.id, ["/bin/sh", "-c", "echo x > /dev/shm/x"])).exit_code == 0
    assert (await runtime.exec_sync(neighbour.id, ["/bin/cat", "/dev/shm/x"])).stdout == b"x\n"
    for container in (server, client, neighbour):
        await runtime.remove(container.id)


async def listening(ip: str) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection(ip, 80)
                writer.close()
                return
            except OSError:
                await asyncio.sleep(0.02)
