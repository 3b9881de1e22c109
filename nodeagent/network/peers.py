"""Which way the pods of other nodes are reached: routes, and where a router stands between, VXLAN.  Pure.

A node whose address is on a link of ours is the next hop for its own pods: no header is added.  Any other node is
reached through one VXLAN device, whose peers are told to the kernel and never learned from packets.  The device has the
first address of the node's pod range and a hardware address made of it, so nothing about it has to be announced.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from tiphys.api.core.node import Node

Reach = Literal["link", "router", "none"]  # on a link of ours; behind a router; our own address or unreachable
VXLAN_HEADER_BYTES = 50


@dataclass(frozen=True, slots=True)
class Peer:
    """Another node: where it is and what its pods have."""

    name: str
    address: str
    pods: ipaddress.IPv4Network

    @property
    def tunnel_address(self) -> str:
        return str(self.pods.network_address)


@dataclass(frozen=True, slots=True)
class Ways:
    """`direct`: pod range -> next hop.  `tunnelled`: peers of the VXLAN device."""

    direct: dict[str, str] = field(default_factory=dict)
    tunnelled: tuple[Peer, ...] = ()


def peers_of(nodes: Iterable[Node], own_name: str) -> list[Peer]:
    """The other nodes that have an IPv4 address and a range; each range counts once, for the first name."""
    found: dict[ipaddress.IPv4Network, Peer] = {}
    for node in sorted(nodes, key=lambda node: node.metadata.name):
        address = next((ip for ip in internal_ips(node) if _is_ipv4(ip)), "")
        pods = ipv4_range(node)
        if node.metadata.name != own_name and address and pods is not None and not node.metadata.deletionTimestamp:
            found.setdefault(pods, Peer(node.metadata.name, address, pods))
    return list(found.values())


def plan(peers: Iterable[Peer], own: ipaddress.IPv4Network, reach: Callable[[str], Reach]) -> Ways:
    """A range that overlaps with our own is never routed away."""
    direct: dict[str, str] = {}
    tunnelled = []
    for peer in peers:
        if peer.pods.overlaps(own):
            continue
        way = reach(peer.address)
        if way == "link":
            direct[str(peer.pods)] = peer.address
        elif way == "router":
            tunnelled.append(peer)
    return Ways(direct, tuple(tunnelled))


def ipv4_range(node: Node) -> ipaddress.IPv4Network | None:
    for text in (*node.spec.podCIDRs, node.spec.podCIDR):
        try:
            return ipaddress.IPv4Network(text)
        except ValueError:
            continue
    return None


def internal_ips(node: Node) -> list[str]:
    return [one.address for one in node.status.addresses if one.type == "InternalIP"]


def _is_ipv4(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 4
    except ValueError:
        return False


def tunnel_hardware_address(pods: ipaddress.IPv4Network) -> str:
    """Of the VXLAN device of the node with this range."""
    return "0a:59:" + ":".join(f"{byte:02x}" for byte in pods.network_address.packed)
