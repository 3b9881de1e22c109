"""Which way to other nodes' pods: tables."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from nodeagent.network.peers import Peer, Reach, Ways, peers_of, plan, tunnel_hardware_address
from tiphys.api.core.node import Node

OWN = ipaddress.IPv4Network("10.244.0.0/24")


def node(name: str, address: str = "", *ranges: str, **metadata: Any) -> Node:
    addresses = [{"type": "InternalIP", "address": address}] if address else []
    spec = {"podCIDR": ranges[0], "podCIDRs": list(ranges)} if ranges else {}
    return Node.model_validate(
        {"metadata": {"name": name, **metadata}, "spec": spec, "status": {"addresses": addresses}}
    )


def peer(name: str, address: str, pods: str) -> Peer:
    return Peer(name, address, ipaddress.IPv4Network(pods))


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([node("own", "10.0.0.1", "10.244.0.0/24")], []),
        ([node("b", "10.0.0.2", "10.244.1.0/24")], [peer("b", "10.0.0.2", "10.244.1.0/24")]),
        ([node("b", "10.0.0.2"), node("c", "", "10.244.1.0/24")], []),  # not ready to be reached yet
        ([node("b", "10.0.0.2", "fd00::/64", "10.244.1.0/24")], [peer("b", "10.0.0.2", "10.244.1.0/24")]),
        (
            [node("c", "10.0.0.3", "10.244.1.0/24"), node("b", "10.0.0.2", "10.244.1.0/24")],
            [peer("b", "10.0.0.2", "10.244.1.0/24")],  # whoever claims the range of another gets nothing
        ),
        ([node("b", "10.0.0.2", "10.244.1.0/24", deletionTimestamp="2026-01-01T00:00:00Z")], []),
        ([node("b", "fd00::1", "10.244.1.0/24"), node("c", "nonsense", "10.244.2.0/24")], []),
    ],
)
def test_peers_are_the_other_nodes_with_an_address_and_a_range(nodes: list[Node], expected: list[Peer]) -> None:
    assert peers_of(nodes, "own") == expected


def test_neighbours_are_next_hops_others_are_tunnelled_to_and_nobody_takes_our_range() -> None:
    ways: dict[str, Reach] = {"10.0.0.2": "link", "192.168.9.9": "router", "10.0.0.4": "none", "10.0.0.5": "link"}
    peers = [
        peer("b", "10.0.0.2", "10.244.1.0/24"),
        far := peer("c", "192.168.9.9", "10.244.2.0/24"),
        peer("d", "10.0.0.4", "10.244.3.0/24"),
        peer("thief", "10.0.0.5", "10.244.0.0/16"),
    ]
    assert plan(peers, OWN, ways.__getitem__) == Ways({"10.244.1.0/24": "10.0.0.2"}, (far,))


def test_the_tunnels_hardware_address_follows_from_the_range() -> None:
    assert tunnel_hardware_address(ipaddress.IPv4Network("10.244.2.0/24")) == "0a:59:0a:f4:02:00"
