"""Host ports: what comes to a port of the node goes to the pod that asked for it.  Chains in the table of ours.

    DIR/UID    JSON of a pod's ports; a pod without host ports has none

What must stay true: the rules are always what the files say, in one transaction; they go with the pod; connections from
the node itself, over loopback too, and from the pod to itself work; nobody else reaches the node's loopback through
the pods' bridge.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import orjson

from nodeagent.network import masquerade
from nodeagent.runtime.interface import PortMapping

FORWARD, INPUT, OUTPUT, RETURN, GUARD = (
    "host-ports",
    "host-ports-in",
    "host-ports-out",
    "host-ports-back",
    "host-ports-guard",
)
_PRIORITY = "priority dstnat - 5"  # before Services: a host port is the node's own


def rules(table: str, bridge: str, mappings: Sequence[PortMapping]) -> str:
    """The transaction that makes the chains what they must be, whatever they were."""
    chains = {
        FORWARD: "",
        INPUT: f"type nat hook prerouting {_PRIORITY}; policy accept;",
        OUTPUT: "type nat hook output priority -105; policy accept;",
        RETURN: "type nat hook postrouting priority srcnat - 5; policy accept;",
        GUARD: "type filter hook prerouting priority raw; policy accept;",
    }
    text = [f"add table ip {table}"]
    for name, hook in chains.items():
        text += [f"add chain ip {table} {name} {{ {hook} }}" if hook else f"add chain ip {table} {name}"]
        text += [f"flush chain ip {table} {name}"]

    def add(chain: str, rule: str) -> None:
        text.append(f"add rule ip {table} {chain} {rule}")

    if mappings:
        for chain in (INPUT, OUTPUT):
            add(chain, f"fib daddr type local jump {FORWARD}")
        add(GUARD, f"iifname {bridge} ip daddr 127.0.0.0/8 drop")
        add(RETURN, f"ip saddr 127.0.0.0/8 oifname {bridge} masquerade")
    for one in sorted(mappings, key=lambda one: (not one.host_ip, one.host_port)):  # one address before any address
        where = f"ip daddr {one.host_ip} " if one.host_ip else ""
        add(FORWARD, f"{where}{one.protocol} dport {one.host_port} dnat to {one.pod_ip}:{one.container_port}")
    for ip in sorted({one.pod_ip for one in mappings}):
        add(RETURN, f"ip saddr {ip} ip daddr {ip} masquerade")
    return "\n".join([*text, ""])


def is_usable(mapping: PortMapping) -> bool:
    """Whether the kernel can be told: a protocol with ports that it translates, an IPv4 address."""
    try:
        if mapping.host_ip:
            ipaddress.IPv4Address(mapping.host_ip)
    except ValueError:
        return False
    return mapping.protocol in ("tcp", "udp")


class HostPorts:
    """All host ports of one node."""

    def __init__(self, directory: Path, table: str, bridge: str) -> None:
        self._dir, self._table, self._bridge = directory, table, bridge
        self._mappings: dict[str, list[PortMapping]] = {}

    async def open(self) -> None:
        """Read back what is there and make the rules.  Raises FirewallError, OSError."""
        self._dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in self._dir.iterdir():
            try:
                self._mappings[file.name] = [PortMapping(**one) for one in orjson.loads(file.read_bytes())]
            except (ValueError, TypeError):
                file.unlink()  # a crash in the middle of writing
        await self._apply()

    async def set(self, pod_uid: str, ip: str, mappings: Sequence[PortMapping]) -> None:
        """Raises FirewallError, OSError; then nothing is left."""
        wanted = [replace(one, pod_ip=ip) for one in mappings if is_usable(one)]
        if not wanted:
            return
        temporary = self._dir / f".{pod_uid}"
        temporary.write_bytes(orjson.dumps([asdict(one) for one in wanted]))
        temporary.replace(self._dir / pod_uid)
        self._mappings[pod_uid] = wanted
        try:
            if any(one.host_ip in ("", "127.0.0.1") for one in wanted):
                Path(f"/proc/sys/net/ipv4/conf/{self._bridge}/route_localnet").write_text("1")
            await self._apply()
        except BaseException:
            await self.remove(pod_uid)
            raise

    async def remove(self, pod_uid: str) -> None:
        """Absent is fine.  Raises FirewallError."""
        if self._mappings.pop(pod_uid, None) is None:
            return
        (self._dir / pod_uid).unlink(missing_ok=True)
        await self._apply()

    @property
    def pods(self) -> Mapping[str, Sequence[PortMapping]]:
        return self._mappings

    async def _apply(self) -> None:
        every = [one for mappings in self._mappings.values() for one in mappings]
        await masquerade.apply(rules(self._table, self._bridge, every))
