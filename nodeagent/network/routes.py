"""Keeps the routes to other nodes' pods true: told by the Nodes of the API, and by the kernel when a link changes.

What must stay true: only routes with our protocol number and the VXLAN device of our name are changed; a route that
somebody takes away, or that went with its link, comes back without anybody asking; without peers there is no VXLAN
device.  Routes stay when the agent ends: pods go on talking.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import socket
from collections.abc import Callable, Sequence
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from nodeagent.network import links
from nodeagent.network.peers import (
    VXLAN_HEADER_BYTES,
    Peer,
    Reach,
    Ways,
    peers_of,
    plan,
    tunnel_hardware_address,
)
from tiphys.api.core.node import Node
from tiphys.client.informer import Informer
from tiphys.logs import fields

_log = logging.getLogger(__name__)

DEVICE = "tiphys-vx"
PROTOCOL = 77  # marks routes as ours
VXLAN_ID, VXLAN_PORT = 77, 4789
SETTLE_SECONDS = 0.1
RETRY_SECONDS = 2.0
_GROUPS = 0x1 | 0x10 | 0x40  # links, IPv4 addresses, IPv4 routes
_UNICAST = 1
_NO_ARP, _PERMANENT, _ONLINK = 0x40, 0x80, 4
_SELF = 0x02


class PodRoutes:
    """`run` until cancelled.  `own` is this node's pod range, `address` its IPv4 address, "" for any."""

    def __init__(
        self,
        nodes: Informer[Node],
        node_name: str,
        own: ipaddress.IPv4Network,
        address: str,
        *,
        device: str = DEVICE,
    ) -> None:
        self._nodes, self._name, self._own, self._address, self.device = nodes, node_name, own, address, device
        self._changed = asyncio.Event()
        self.ways = Ways()
        nodes.add_handler(self._node_changed)

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        """A heartbeat is no reason to look at routes."""
        if peers_of([old] if old else [], "") != peers_of([new] if new else [], ""):
            self._changed.set()

    async def run(self) -> None:
        await self._nodes.wait_synced()
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0) as door:
            door.bind((0, _GROUPS))
            loop.add_reader(door, lambda: self._drain(door))
            try:
                while True:
                    self._changed.clear()
                    await self._look()
                    await self._changed.wait()
                    await asyncio.sleep(SETTLE_SECONDS)  # one look for a burst of changes
            finally:
                loop.remove_reader(door)

    def _drain(self, door: socket.socket) -> None:
        while True:
            try:
                door.recv(64 << 10)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
            self._changed.set()

    async def _look(self) -> None:
        peers = peers_of(self._nodes.list(), self._name)
        try:
            ways = await asyncio.to_thread(apply, peers, self._own, self._address, self.device)
        except (NetlinkError, OSError) as error:
            _log.warning("routes to other nodes' pods cannot be set", extra=fields(cause=error))
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._changed.set)
            return
        if ways != self.ways:
            self.ways = ways
            told = fields(direct=len(ways.direct), tunnelled=len(ways.tunnelled))
            _log.info("routes to other nodes' pods", extra=told)


def apply(peers: Sequence[Peer], own: ipaddress.IPv4Network, address: str, device: str) -> Ways:
    """Make the kernel's routes what the peers call for; returns them.  Changes only what differs."""
    with IPRoute() as ip:
        ways = plan(peers, own, lambda one: reach(ip, one))
        wanted = {(pods, via, "") for pods, via in ways.direct.items()}
        if peers:  # a peer may see a router where we see a link: what it tunnels to us has to be taken
            index = _ensure_tunnel(ip, own, address, device)
            _set_tunnel_peers(ip, index, ways.tunnelled)
            wanted |= {(str(peer.pods), peer.tunnel_address, device) for peer in ways.tunnelled}
        present = _present(ip)
        for gone in present.keys() - wanted:
            _tolerate((errno.ESRCH,), ip.route, "del", dst=present[gone], proto=PROTOCOL)
        for pods, via, through in wanted - present.keys():
            more: dict[str, Any] = {"oif": links.index_of(through), "flags": _ONLINK} if through else {}
            ip.route("replace", dst=pods, gateway=via, proto=PROTOCOL, **more)
    if not peers:
        links.delete(device)
    return ways


def clear(device: str) -> None:
    """Take away what `apply` made."""
    with IPRoute() as ip:
        ip.flush_routes(proto=PROTOCOL)
    links.delete(device)


def reach(ip: IPRoute, address: str) -> Reach:
    """How the kernel would send to this address."""
    try:
        found = ip.route("get", dst=address)[0]
    except (NetlinkError, IndexError):
        return "none"
    if found["type"] != _UNICAST:
        return "none"  # our own address, or a route that leads nowhere
    return "router" if found.get_attr("RTA_GATEWAY") else "link"


def _present(ip: IPRoute) -> dict[tuple[str, str, str], str]:
    """(range, next hop, tunnel device or "") -> range, of the routes that are ours."""
    names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in ip.get_links()}
    found = {}
    for route in ip.get_routes(family=socket.AF_INET, proto=PROTOCOL):
        if route["proto"] != PROTOCOL:
            continue
        pods = f"{route.get_attr('RTA_DST')}/{route['dst_len']}"
        through = names.get(route.get_attr("RTA_OIF"), "") if route["flags"] & _ONLINK else ""
        found[pods, route.get_attr("RTA_GATEWAY") or "", through] = pods
    return found


def _ensure_tunnel(ip: IPRoute, own: ipaddress.IPv4Network, address: str, device: str) -> int:
    index = links.index_of(device)
    if not index:
        more: dict[str, Any] = {"vxlan_local": address} if address else {}
        ip.link(
            "add",
            ifname=device,
            kind="vxlan",
            vxlan_id=VXLAN_ID,
            vxlan_port=VXLAN_PORT,
            vxlan_learning=False,
            address=tunnel_hardware_address(own),
            **more,
        )
        index = links.index_of(device)
        if underlay := links.mtu_towards(address):
            ip.link("set", index=index, mtu=underlay - VXLAN_HEADER_BYTES)
    ip.link("set", index=index, state="up")
    _tolerate((errno.EEXIST,), ip.addr, "add", index=index, address=str(own.network_address), prefixlen=32)
    return index


def _set_tunnel_peers(ip: IPRoute, index: int, peers: Sequence[Peer]) -> None:
    """Neighbours and forwarding entries, and nobody else's."""
    wanted = {peer.tunnel_address: tunnel_hardware_address(peer.pods) for peer in peers}
    for one in ip.get_neighbours(family=socket.AF_INET, ifindex=index):
        if one.get_attr("NDA_DST") not in wanted and one["ifindex"] == index:
            _tolerate((errno.ENOENT,), ip.neigh, "del", dst=one.get_attr("NDA_DST"), ifindex=index)
    ends = {tunnel_hardware_address(peer.pods): peer.address for peer in peers}
    for one in ip.fdb("dump", ifindex=index):
        hardware, end = one.get_attr("NDA_LLADDR"), one.get_attr("NDA_DST")
        if one["ifindex"] == index and end and ends.get(hardware) != end:
            _tolerate((errno.ENOENT,), ip.fdb, "del", ifindex=index, lladdr=hardware, dst=end)
    for peer in peers:
        hardware = tunnel_hardware_address(peer.pods)
        ip.neigh("replace", dst=peer.tunnel_address, lladdr=hardware, ifindex=index, state=_PERMANENT)
        ip.fdb("replace", ifindex=index, lladdr=hardware, dst=peer.address, state=_NO_ARP | _PERMANENT, flags=_SELF)


def _tolerate(codes: Sequence[int], act: Callable[..., Any], *words: Any, **more: Any) -> None:
    try:
        act(*words, **more)
    except NetlinkError as error:
        if error.code not in codes:
            raise
