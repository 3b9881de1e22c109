"""Route netlink, as much of it as a pod's start needs: messages put together by hand and sent in one go.

Each pod costs some eight requests; through a general library they take longer than the kernel does.  Everything that
is not on the way of a pod's start goes through pyroute2 (links.py).
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Sequence

_ROUTE = 0  # NETLINK_ROUTE
_NEWLINK, _SETLINK, _NEWADDR, _NEWROUTE = 16, 19, 20, 24
_REQUEST, _ACK, _EXCL, _CREATE = 0x1, 0x4, 0x200, 0x400
_ERROR = 2
_HEADER = struct.Struct("=IHHII")
_UP = 1
_NESTED = 0x8000
_ANSWER_BYTES = 64 << 10


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + bytes(-length % 4)


def _text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def _link(index: int = 0, *, up: bool = False, family: int = 0) -> bytes:
    return struct.pack("=BxHiII", family, 0, index, _UP if up else 0, _UP if up else 0)


def veth(name: str, peer: str, netns: int, *, master: int, hardware_address: str, mtu: int = 0) -> bytes:
    """Make a pair: `name` here, up, in the bridge `master`; `peer` in the namespace of the descriptor `netns`."""
    size = _number(4, mtu) if mtu else b""
    inside = _link() + _text(3, peer) + attribute(1, bytes.fromhex(hardware_address.replace(":", ""))) + size
    data = attribute(1 | _NESTED, inside + _number(28, netns))
    info = attribute(18 | _NESTED, _text(1, "veth") + attribute(2 | _NESTED, data))
    body = _link(up=True) + _text(3, name) + _number(10, master) + size + info
    return _message(_NEWLINK, _CREATE | _EXCL, body)


def hairpin(index: int) -> bytes:
    """Let a bridge port send a frame back to where it came from."""
    return _message(_SETLINK, 0, _link(index, family=socket.AF_BRIDGE) + attribute(12 | _NESTED, attribute(4, b"\1")))


def link_up(index: int) -> bytes:
    return _message(_NEWLINK, 0, _link(index, up=True))


def add_address(index: int, address: ipaddress.IPv4Interface) -> bytes:
    packed = address.ip.packed
    head = struct.pack("=BBBBI", socket.AF_INET, address.network.prefixlen, 0, 0, index)
    return _message(_NEWADDR, _CREATE | _EXCL, head + attribute(2, packed) + attribute(1, packed))


def default_route(gateway: ipaddress.IPv4Address) -> bytes:
    table, protocol, scope, kind = 254, 4, 0, 1  # main, static, everywhere, unicast
    head = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, table, protocol, scope, kind, 0)
    return _message(_NEWROUTE, _CREATE | _EXCL, head + attribute(5, gateway.packed))


def _message(kind: int, flags: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, flags | _REQUEST | _ACK, 0, 0) + body


def send(messages: Sequence[bytes]) -> None:
    """All of them, in order, in this thread's network namespace.  Raises OSError with the first refusal."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _ROUTE) as door:
        door.settimeout(20)
        door.bind((0, 0))
        door.send(b"".join(messages))
        refusal, answers = 0, 0
        while answers < len(messages):
            data = door.recv(_ANSWER_BYTES)
            while len(data) >= _HEADER.size:
                length, kind, *_ = _HEADER.unpack_from(data)
                if kind == _ERROR:
                    answers += 1
                    refusal = refusal or -struct.unpack_from("=i", data, _HEADER.size)[0]
                data = data[(length + 3) & ~3 :]
        if refusal:
            raise OSError(refusal, f"{os.strerror(refusal)} ({errno.errorcode.get(refusal, '?')})", "netlink")
