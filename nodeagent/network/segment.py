"""Several nodes on one machine: a bridge, and a network namespace with a link to it for every node but the first.

The first node is the machine itself and has the bridge's address.  What must stay true: everything is made again after
a reboot and is left as it is when it is there; `remove` leaves nothing of it; namespaces are pinned by bind mounts, so
they outlive every process.
"""

from __future__ import annotations

import errno
import hashlib
import ipaddress
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from nodeagent.network import links
from nodeagent.runtime import syscalls

CANDIDATES = ipaddress.IPv4Network("172.28.0.0/14")
INTERFACE = "eth0"


@dataclass(frozen=True, slots=True)
class Segment:
    """One link layer for the nodes of one machine.  `name` tells clusters apart."""

    network: ipaddress.IPv4Network
    name: str

    @property
    def bridge(self) -> str:
        return f"tn{_short(self.name)}"

    def address(self, number: int) -> str:
        """Of node `number`, counted from 1."""
        return str(self.network[number])

    def host_link(self, number: int) -> str:
        return f"tn{_short(self.name)}-{number}"


def _short(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def choose(taken: Iterable[ipaddress.IPv4Network], name: str) -> ipaddress.IPv4Network:
    """A /24 that overlaps with nothing this machine routes; clusters start looking at different places."""
    known = [one for one in taken if one.prefixlen > 0]
    parts = list(CANDIDATES.subnets(new_prefix=24))
    start = int(_short(name), 16) % len(parts)
    for part in parts[start:] + parts[:start]:
        if not any(part.overlaps(one) for one in known):
            return part
    raise OSError(errno.EADDRNOTAVAIL, f"no free network in {CANDIDATES} for the nodes of this machine")


def routed() -> list[ipaddress.IPv4Network]:
    """The networks this machine has routes to."""
    with IPRoute() as ip:
        found = [(route.get_attr("RTA_DST"), route["dst_len"]) for route in ip.get_routes(family=socket.AF_INET)]
    return [ipaddress.IPv4Network(f"{address}/{length}", strict=False) for address, length in found if address]


def ensure(segment: Segment, namespaces: Mapping[int, Path], cluster: str) -> None:
    """Bridge, namespaces (node number -> file to pin it at; 1 is this one) and links.  Repeatable.  Raises OSError.

    `cluster` is the range of all pods: what is outside of it is reached under the machine's address."""
    try:
        gateway = ipaddress.IPv4Interface(f"{segment.address(1)}/{segment.network.prefixlen}")
        bridge = links.ensure_bridge(segment.bridge, gateway, 0)
        for number, pin in namespaces.items():
            _ensure_namespace(pin, fresh=number > 1)
            if number == 1:
                continue
            _ensure_link(segment, number, pin, bridge)
    except NetlinkError as error:
        raise OSError(error.code, f"the link between the nodes: {error}") from error
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    _load(masquerade_rules(segment, cluster))


def masquerade_rules(segment: Segment, cluster: str) -> str:
    table, chain = f"add table ip {segment.bridge}", f"ip {segment.bridge} outward"
    outside = f"ip daddr != {{ {segment.network}, {cluster}, 224.0.0.0/4 }}"
    return "\n".join(
        [
            table,
            f"add chain {chain} {{ type nat hook postrouting priority srcnat; policy accept; }}",
            f"flush chain {chain}",
            f"add rule {chain} ip saddr {segment.network} {outside} masquerade",
            "",
        ]
    )


def remove(segment: Segment, namespaces: Iterable[Path]) -> None:
    """Absent is fine.  The namespaces' processes must have ended."""
    for pin in namespaces:
        if _is_pinned(pin):
            syscalls.umount(str(pin))
        pin.unlink(missing_ok=True)
    with IPRoute() as ip:
        names = [link.get_attr("IFLA_IFNAME") for link in ip.get_links()]
    for name in names:
        if name.startswith(f"{segment.bridge}-"):
            links.delete(name)
    links.delete(segment.bridge)
    _load(f"add table ip {segment.bridge}\ndelete table ip {segment.bridge}\n")


def _in_thread(work: Callable[[], None]) -> None:
    """In a thread that ends right after, so that its namespace is nobody else's.  Raises what `work` raises."""
    failed: list[BaseException] = []

    def body() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=body, name="namespace")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def _load(rules: str) -> None:
    done = subprocess.run(["nft", "-f", "-"], input=rules.encode(), capture_output=True, check=False)
    if done.returncode:
        raise OSError(errno.EINVAL, done.stderr.decode(errors="replace").strip()[:1000])


def _is_pinned(pin: Path) -> bool:
    return pin.exists() and pin.stat().st_dev != pin.parent.stat().st_dev


def _ensure_namespace(pin: Path, *, fresh: bool) -> None:
    if _is_pinned(pin):
        return
    pin.touch(mode=0o600)

    def make() -> None:
        if fresh:
            syscalls.unshare(syscalls.CLONE_NEWNET)
        syscalls.mount("/proc/thread-self/ns/net", str(pin), "", syscalls.MS_BIND)

    _in_thread(make)


def _ensure_link(segment: Segment, number: int, pin: Path, bridge: int) -> None:
    host = segment.host_link(number)
    if not links.index_of(host):
        with pin.open("rb") as file, IPRoute() as ip:
            peer = {"ifname": INTERFACE, "net_ns_fd": file.fileno()}
            ip.link("add", ifname=host, kind="veth", peer=peer)
            ip.link("set", index=links.index_of(host), master=bridge, state="up")
    _in_thread(lambda: _configure(segment, number, str(pin)))


def _configure(segment: Segment, number: int, pin: str) -> None:
    enter(pin)
    with IPRoute() as ip:
        ip.link("set", index=1, state="up")
        index = links.index_of(INTERFACE)
        try:
            ip.addr("add", index=index, address=segment.address(number), prefixlen=segment.network.prefixlen)
        except NetlinkError as error:
            if error.code != errno.EEXIST:
                raise
        ip.link("set", index=index, state="up")
        ip.route("replace", dst="default", gateway=segment.address(1))


def enter(pin: str) -> None:
    """Move this thread into the namespace; what it starts afterwards is there too."""
    descriptor = os.open(pin, os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.setns(descriptor, syscalls.CLONE_NEWNET)
    finally:
        os.close(descriptor)
