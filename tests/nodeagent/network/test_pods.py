"""The bridge, its firewall table and attachments, in a network namespace of the test's own.

That pods really reach one another is shown with containers in tests/nodeagent/runtime/test_sandbox.py.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from nodeagent.network import links, masquerade
from nodeagent.network.pods import NetworkConfig, PodNetwork
from nodeagent.runtime import syscalls
from nodeagent.runtime.interface import RuntimeFailure
from nodeagent.runtime.process import run

PODS = ipaddress.IPv4Network("10.212.5.0/24")
CLUSTER = ipaddress.IPv4Network("10.212.0.0/16")


@pytest.fixture
def own_network() -> Iterator[None]:
    assert shutil.which("nft"), "apt-get install nftables"
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    syscalls.unshare(syscalls.CLONE_NEWNET)
    yield
    syscalls.setns(home, syscalls.CLONE_NEWNET)
    os.close(home)


@pytest.fixture
async def network(tmp_path: Path, own_network: None) -> AsyncIterator[PodNetwork]:
    network = PodNetwork(NetworkConfig(tmp_path / "ipam", PODS, CLUSTER, bridge="testbr0", table="testtable", mtu=1400))
    await network.open()
    yield network
    await network.teardown()
    assert interfaces() == {"lo"}


def interfaces() -> set[str]:
    return {line.split(":")[0].strip() for line in Path("/proc/thread-self/net/dev").read_text().splitlines()[2:]}


async def nft(text: str) -> str:
    done = await run(["/usr/sbin/nft", text])
    assert done.exit_code == 0, done.stderr
    return done.stdout.decode()


async def test_open_makes_bridge_forwarding_and_masquerade_and_may_be_repeated(network: PodNetwork) -> None:
    await network.open()
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == "1\n"
    listed = await nft("list table ip testtable")
    assert listed.count("masquerade") == 2  # the chain's name and one rule
    assert "ip saddr 10.212.5.0/24 ip daddr != { 10.212.0.0/16, 224.0.0.0/4 } masquerade" in listed


async def test_other_tables_are_never_touched(network: PodNetwork) -> None:
    await nft("add table ip theirs; add chain ip theirs c; add rule ip theirs c ip saddr 1.2.3.4 drop")
    theirs = await nft("list table ip theirs")
    await network.open()
    assert await nft("list table ip theirs") == theirs
    await nft("delete table ip theirs")


async def test_a_failed_attach_gives_the_address_back_and_says_why(network: PodNetwork) -> None:
    with pytest.raises(RuntimeFailure, match="network"):
        await network.attach("pod", "/no/such/namespace")
    assert network.address_of("pod") is None
    assert interfaces() == {"lo", "testbr0"}


async def test_detach_of_an_unknown_pod_is_fine_and_leftovers_are_released(network: PodNetwork, tmp_path: Path) -> None:
    await network.detach("nobody")
    network._pool.allocate("gone")
    network._pool.allocate("kept")
    await network.release_all_but({"kept"})
    assert [p.read_text() for p in (tmp_path / "ipam").iterdir()] == ["kept"]


async def test_a_refusal_of_the_firewall_is_told_in_its_words(own_network: None) -> None:
    with pytest.raises(masquerade.FirewallError, match="syntax error"):
        await masquerade.apply("add nonsense")


def test_names_and_hardware_addresses_follow_from_pod_and_address() -> None:
    assert len(links.host_interface("7f0c6d6e-7a0e-4f6e-8d1e-0b7a5e2c9d11")) == 15
    assert links.host_interface("a") != links.host_interface("b")
    assert links.hardware_address(ipaddress.IPv4Address("10.1.2.3")) == "0a:58:0a:01:02:03"
