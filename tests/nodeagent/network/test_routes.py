"""Routes and the VXLAN device in the kernel, in a network namespace of the test's own."""

from __future__ import annotations

import ipaddress
import os
import subprocess
from collections.abc import Iterator

import pytest

from nodeagent.network import routes
from nodeagent.network.peers import Peer
from nodeagent.runtime import syscalls

OWN = ipaddress.IPv4Network("10.244.0.0/24")
NEAR = Peer("near", "192.168.5.2", ipaddress.IPv4Network("10.244.1.0/24"))
FAR = Peer("far", "172.16.0.9", ipaddress.IPv4Network("10.244.2.0/24"))


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture(autouse=True)
def own_network() -> Iterator[None]:
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    syscalls.unshare(syscalls.CLONE_NEWNET)
    ip("link", "set", "lo", "up")
    ip("link", "add", "eth0", "mtu", "1400", "type", "veth", "peer", "name", "other")
    ip("address", "add", "192.168.5.1/24", "dev", "eth0")
    ip("link", "set", "eth0", "up")
    ip("link", "set", "other", "up")
    ip("route", "add", "default", "via", "192.168.5.254")
    yield
    syscalls.setns(home, syscalls.CLONE_NEWNET)
    os.close(home)


def apply(*peers: Peer) -> None:
    routes.apply(peers, OWN, "192.168.5.1", "vx")


def ours() -> list[str]:
    return sorted(" ".join(line.split()) for line in ip("route", "show", "proto", "77").splitlines())


def test_neighbours_are_routed_to_and_others_reached_through_vxlan() -> None:
    ip("route", "add", "10.9.0.0/16", "via", "192.168.5.254")  # somebody else's
    apply(NEAR, FAR)
    apply(NEAR, FAR)
    assert ours() == ["10.244.1.0/24 via 192.168.5.2 dev eth0", "10.244.2.0/24 via 10.244.2.0 dev vx onlink"]
    device = ip("-details", "link", "show", "vx")
    assert "vxlan id 77 local 192.168.5.1" in device and "nolearning" in device and "mtu 1350" in device
    assert "10.244.2.0 lladdr 0a:59:0a:f4:02:00 PERMANENT" in ip("neigh", "show", "dev", "vx")
    fdb = subprocess.run(["bridge", "fdb", "show", "dev", "vx"], check=True, capture_output=True, text=True).stdout
    assert fdb.split("\n")[0].startswith("0a:59:0a:f4:02:00 dst 172.16.0.9")
    apply(NEAR)
    assert ours() == ["10.244.1.0/24 via 192.168.5.2 dev eth0"]
    apply()
    assert ours() == [] and "vx" not in ip("link")
    apply(NEAR, FAR)
    routes.clear("vx")
    assert ours() == [] and "vx" not in ip("link")
    assert "10.9.0.0/16 via 192.168.5.254" in ip("route")


def test_a_node_that_moved_is_followed() -> None:
    apply(FAR)
    moved = Peer("far", "192.168.5.7", FAR.pods)
    apply(moved)
    assert ours() == ["10.244.2.0/24 via 192.168.5.7 dev eth0"]
    elsewhere = Peer("far", "172.16.0.10", FAR.pods)
    apply(FAR)
    apply(elsewhere)
    fdb = subprocess.run(["bridge", "fdb", "show", "dev", "vx"], check=True, capture_output=True, text=True).stdout
    assert "172.16.0.10" in fdb and "172.16.0.9" not in fdb


def test_routes_that_went_with_their_link_are_made_again() -> None:
    apply(NEAR)
    ip("link", "set", "eth0", "down")
    ip("link", "set", "eth0", "up")
    assert ours() == []
    apply(NEAR)
    assert ours() == ["10.244.1.0/24 via 192.168.5.2 dev eth0"]


def test_our_own_address_and_an_unreachable_one_are_no_peers() -> None:
    ip("route", "del", "default")
    apply(Peer("self", "192.168.5.1", NEAR.pods), FAR)
    assert ours() == []
