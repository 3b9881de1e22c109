"""Links, addresses and routes over netlink: the bridge, and the veth pair of a pod.

Plain functions that block for some milliseconds at most; none starts a process.  `configure_inside` must be called in a
thread that is in the pod's network namespace.
"""

from __future__ import annotations

import errno
import hashlib
import ipaddress
import socket

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from nodeagent.network import netlink

POD_INTERFACE = "eth0"


def host_interface(pod_uid: str) -> str:
    """Name of the node's end of a pod's pair: at most 15 characters, the same for the same pod."""
    return "veth" + hashlib.sha256(pod_uid.encode()).hexdigest()[:11]


def hardware_address(ip: ipaddress.IPv4Address) -> str:
    """Derived from the address, so that a neighbour's cache is right when an address is used again."""
    return "0a:58:" + ":".join(f"{byte:02x}" for byte in ip.packed)


def index_of(name: str) -> int:
    """Interface index in this thread's namespace; 0 if absent."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0


def ensure_bridge(name: str, gateway: ipaddress.IPv4Interface, mtu: int) -> int:
    """The bridge, up, with the gateway's address; returns its index.  May be repeated."""
    with IPRoute() as ip:
        index = index_of(name)
        if not index:
            ip.link(
                "add",
                ifname=name,
                kind="bridge",
                address=hardware_address(gateway.ip),
                br_forward_delay=0,
                br_stp_state=0,
            )
            index = index_of(name)
        ip.link("set", index=index, state="up", **({"mtu": mtu} if mtu else {}))
        try:
            ip.addr("add", index=index, address=str(gateway.ip), prefixlen=gateway.network.prefixlen)
        except NetlinkError as error:
            if error.code != errno.EEXIST:
                raise
        return index


def mtu_towards(address: str) -> int:
    """MTU of the interface that has this address; 0 when none has."""
    with IPRoute() as ip:
        for one in ip.get_addr(family=socket.AF_INET):
            if one.get_attr("IFA_ADDRESS") == address and one["index"] != 1:
                return int(ip.get_links(one["index"])[0].get_attr("IFLA_MTU"))
    return 0


def delete(name: str) -> None:
    """Absent is fine."""
    index = index_of(name)
    if not index:
        return
    with IPRoute() as ip:
        try:
            ip.link("del", index=index)
        except NetlinkError as error:
            if error.code not in (errno.ENODEV, errno.EINVAL):
                raise


def add_pair(name: str, netns: int, bridge: int, address: ipaddress.IPv4Address, mtu: int) -> None:
    """A veth pair from the bridge into the namespace of the descriptor `netns`.  Replaces a pair of that name."""
    delete(name)
    hardware = hardware_address(address)
    netlink.send([netlink.veth(name, POD_INTERFACE, netns, master=bridge, hardware_address=hardware, mtu=mtu)])
    netlink.send([netlink.hairpin(index_of(name))])  # a pod may reach itself through a Service


def configure_inside(address: ipaddress.IPv4Interface, gateway: ipaddress.IPv4Address) -> None:
    """Loopback up, address, default route."""
    index = index_of(POD_INTERFACE)
    netlink.send(
        [
            netlink.link_up(1),
            netlink.add_address(index, address),
            netlink.link_up(index),
            netlink.default_route(gateway),
        ]
    )
