"""The address pods ask: a link of our own that carries it, so that it is local on every node."""

from __future__ import annotations

import errno
import hashlib
import ipaddress
from collections.abc import Sequence

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from nodeagent.network.links import delete, index_of

_NAME_LENGTH = 15


def link_name(bridge_name: str) -> str:
    """Beside the agent's bridge: two agents of one machine have different ones."""
    name = f"{bridge_name}-dns"
    if len(name) <= _NAME_LENGTH:
        return name
    return "dns" + hashlib.sha256(bridge_name.encode()).hexdigest()[: _NAME_LENGTH - 3]


def ensure(name: str, addresses: Sequence[str]) -> None:
    """The link, up, with the addresses.  May be repeated.  Raises OSError."""
    try:
        with IPRoute() as ip:
            if not index_of(name):
                _make(ip, name)
            index = index_of(name)
            ip.link("set", index=index, state="up")
            for text in addresses:
                _add(ip, index, ipaddress.ip_address(text))
    except NetlinkError as error:
        raise OSError(error.code, f"making the link {name}: {error}") from error


def _make(ip: IPRoute, name: str) -> None:
    try:
        ip.link("add", ifname=name, kind="dummy")
    except NetlinkError as error:
        if error.code != errno.EOPNOTSUPP:
            raise
        ip.link("add", ifname=name, kind="bridge")  # a kernel without dummies: a bridge without ports is as good


def _add(ip: IPRoute, index: int, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    try:
        ip.addr("add", index=index, address=str(address), prefixlen=address.max_prefixlen)
    except NetlinkError as error:
        if error.code != errno.EEXIST:
            raise


def remove(name: str) -> None:
    """Absent is fine."""
    delete(name)
