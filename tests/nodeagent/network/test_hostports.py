"""Host ports as rules of nftables, kept in files; that they carry connections is shown in tests/scenarios/nodes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodeagent.network.hostports import HostPorts, is_usable, rules
from nodeagent.runtime import syscalls
from nodeagent.runtime.interface import PortMapping


@pytest.fixture
def own_network() -> Iterator[None]:
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    syscalls.unshare(syscalls.CLONE_NEWNET)
    subprocess.run(["ip", "link", "add", "testbr0", "type", "bridge"], check=True)
    yield
    syscalls.setns(home, syscalls.CLONE_NEWNET)
    os.close(home)


def listed() -> list[str]:
    words = ["nft", "list", "chain", "ip", "testtable", "host-ports"]
    lines = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    return [line.strip() for line in lines if "dnat" in line]


async def test_the_rules_follow_the_pods_and_survive_a_restart(own_network: None, tmp_path: Path) -> None:
    ports = HostPorts(tmp_path / "ports", "testtable", "testbr0")
    await ports.open()
    await ports.set("a", "10.1.0.2", [PortMapping("tcp", 8080, 80), PortMapping("udp", 53, 5353, "192.0.2.1")])
    await ports.set("b", "10.1.0.3", [PortMapping("tcp", 8081, 80)])
    await ports.set("none", "10.1.0.4", [])
    wanted = [
        "ip daddr 192.0.2.1 udp dport 53 dnat to 10.1.0.2:5353",
        "tcp dport 8080 dnat to 10.1.0.2:80",
        "tcp dport 8081 dnat to 10.1.0.3:80",
    ]
    assert listed() == wanted
    again = HostPorts(tmp_path / "ports", "testtable", "testbr0")
    await again.open()
    assert listed() == wanted and set(again.pods) == {"a", "b"}
    await again.remove("a")
    await again.remove("a")
    assert listed() == wanted[2:]
    assert Path("/proc/sys/net/ipv4/conf/testbr0/route_localnet").read_text() == "1\n"


async def test_half_a_file_of_a_crash_is_cleaned(own_network: None, tmp_path: Path) -> None:
    (tmp_path / "pod").write_text("[{")
    ports = HostPorts(tmp_path, "testtable", "testbr0")
    await ports.open()
    assert list(tmp_path.iterdir()) == [] and listed() == []


def test_a_port_of_one_address_goes_before_the_same_port_of_every_address() -> None:
    one, every = PortMapping("tcp", 80, 1, "192.0.2.1", "10.0.0.2"), PortMapping("tcp", 80, 2, "", "10.0.0.3")
    text = rules("t", "b", [every, one])
    assert text.index("192.0.2.1") < text.index("10.0.0.3:2")
    assert "iifname b ip daddr 127.0.0.0/8 drop" in text, "pods do not reach the node's loopback"
    assert "127.0.0.0/8" not in rules("t", "b", [])


@pytest.mark.parametrize(
    ("mapping", "usable"),
    [
        (PortMapping("tcp", 80, 80), True),
        (PortMapping("udp", 80, 80, "192.0.2.1"), True),
        (PortMapping("sctp", 80, 80), False),
        (PortMapping("tcp", 80, 80, "::1"), False),
        (PortMapping("tcp", 80, 80, "} drop"), False),
    ],
)
def test_only_what_can_be_translated_becomes_a_rule(mapping: PortMapping, usable: bool) -> None:
    assert is_usable(mapping) is usable
