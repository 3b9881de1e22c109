"""Ends UDP flows that still go where their Service no longer leads.

A UDP flow has no end of its own: a client that keeps sending keeps the kernel's entry alive, and with it the endpoint
it was once given.  TCP is left alone: a connection to a pod that is going may finish.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from nodeagent.services.monitor import messages

UDP = 17
_NETFILTER = 12
_SUBSYSTEM = 1 << 8
_GET, _DELETE = _SUBSYSTEM | 1, _SUBSYSTEM | 2
_HEADER = struct.Struct("=IHHII")
_REQUEST, _ACK, _DUMP = 1, 4, 0x300
_DONE = 3
_ORIGINAL, _REPLY = 1, 2
_NESTED = 0x8000
Entrance = tuple[str, int]  # (address, port); the address is "" for a node port


@dataclass(frozen=True, slots=True)
class Flow:
    """`to` is what the client asked for, `by` who answers; `original` is the kernel's own name of it."""

    to: Entrance
    by: Entrance
    original: bytes = b""
    family: int = socket.AF_INET


def stale(
    flows: Iterable[Flow], entrances: Mapping[Entrance, Collection[Entrance]], node_addresses: Collection[str]
) -> list[Flow]:
    """Those that lead through one of `entrances` to somebody who is not behind it."""
    found = []
    for flow in flows:
        behind = entrances.get(flow.to)
        if behind is None and flow.to[0] in node_addresses:
            behind = entrances.get(("", flow.to[1]))
        if behind is not None and flow.by not in behind:
            found.append(flow)
    return found


def udp_flows() -> list[Flow]:
    """All of this thread's network namespace."""
    with _open() as door:
        found: list[Flow] = []
        for family in (socket.AF_INET, socket.AF_INET6):
            body = struct.pack("=BBH", family, 0, 0)
            door.send(_HEADER.pack(_HEADER.size + len(body), _GET, _REQUEST | _DUMP, 1, 0) + body)
            finished = False
            while not finished:
                for kind, message in messages(door.recv(1 << 17)):
                    finished = finished or kind in (_DONE, 2)
                    flow = None if finished else _flow(message, family)
                    if flow is not None:
                        found.append(flow)
        return found


def end(flows: Iterable[Flow]) -> int:
    """Delete the kernel's entries; how many there still were."""
    ended = 0
    with _open() as door:
        for flow in flows:
            name = struct.pack("=HH", 4 + len(flow.original), _ORIGINAL | _NESTED) + flow.original
            body = struct.pack("=BBH", flow.family, 0, 0) + name
            door.send(_HEADER.pack(_HEADER.size + len(body), _DELETE, _REQUEST | _ACK, 1, 0) + body)
            with contextlib.suppress(StopIteration):
                kind, message = next(messages(door.recv(1 << 16)))
                ended += kind == 2 and struct.unpack_from("=i", message)[0] == 0
    return ended


def _open() -> socket.socket:
    door = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)
    door.settimeout(20)
    door.bind((0, 0))
    return door


def _flow(message: bytes, family: int) -> Flow | None:
    parts = dict(_attributes(message[4:]))
    original, reply = parts.get(_ORIGINAL, b""), parts.get(_REPLY, b"")
    asked, answers = _tuple(original), _tuple(reply)
    if asked is None or answers is None:
        return None
    return Flow((asked[1], asked[3]), (answers[0], answers[2]), original, family)


def _tuple(data: bytes) -> tuple[str, str, int, int] | None:
    """(source, destination, source port, destination port) of a UDP tuple; None of others."""
    parts = dict(_attributes(data))
    addresses, protocol = dict(_attributes(parts.get(1, b""))), dict(_attributes(parts.get(2, b"")))
    source, target = addresses.get(1) or addresses.get(3), addresses.get(2) or addresses.get(4)
    if protocol.get(1) != bytes([UDP]) or source is None or target is None:
        return None
    ports = (int.from_bytes(protocol.get(number, b"")) for number in (2, 3))
    return (str(ipaddress.ip_address(source)), str(ipaddress.ip_address(target)), *ports)  # type: ignore[return-value]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            return
        yield kind & 0x3FFF, data[4:length]
        data = data[(length + 3) & ~3 :]
