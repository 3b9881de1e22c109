"""What one Service puts into the maps and sets of the table: its contribution.  Pure.

A port of a Service is one element in a verdict map, which leads to a chain made for so many endpoints, and one element
per endpoint under (address, protocol, port, slot).  What must stay true: slots are 0 to n-1 without a hole, and an
endpoint that stays keeps its slot where it can, so that one change touches a handful of elements.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from nodeagent.services.endpoints import FAMILIES, Candidate, Choice, NodeFacts, candidates, choose, is_proxied
from tiphys.api.core.service import Service, ServicePort
from tiphys.api.endpoints.endpointslice import EndpointSlice

INSIDE_OFFSET = 65536  # slots from here on are for clients inside the cluster when outsiders stay on the node
PROTOCOLS = {"TCP": "tcp", "UDP": "udp"}  # SCTP is not forwarded
REFUSE, DROP = "goto refuse", "drop"
DEFAULT_STICKY_SECONDS = 10800


def endpoints_map(protocol: str, *, node_port: bool) -> str:
    """One map per protocol: nft ties a dnat to a map of ports to the protocol the map was declared with."""
    return f"{'node-' if node_port else ''}{protocol}-endpoints"


class Element(NamedTuple):
    """A place in the table: `family` is "ip" or "ip6"; `container` a map or set; `key` in nft's spelling."""

    family: str
    container: str
    key: str


class Pick(NamedTuple):
    """A chain that picks one of `outside` endpoints (of `inside` ones for clients inside, where that differs).

    `kind`: "cluster" an address for the inside; "external" one for everybody; "local" one whose outsiders stay on this
    node; "node", "nodelocal" the same for node ports.
    """

    kind: str
    sticky: bool
    outside: int
    inside: int = 0
    protocol: str = "tcp"

    @property
    def name(self) -> str:
        return f"{self.kind}-{'sticky' if self.sticky else 'any'}-{self.protocol}-{self.outside}-{self.inside}"

    @classmethod
    def parse(cls, name: str) -> Pick | None:
        """None for a chain that is not a pick."""
        words = name.split("-")
        if len(words) != 5:
            return None
        kind, sticky, protocol, outside, inside = words
        return cls(kind, sticky == "sticky", int(outside), int(inside), protocol)


@dataclass(slots=True)
class Contribution:
    """Elements to their values ("" in a set); the slots as they were filled; UDP entrances to their endpoints."""

    elements: dict[Element, str] = field(default_factory=dict)
    placed: dict[Element, tuple[str, ...]] = field(default_factory=dict)
    udp: dict[tuple[str, int], frozenset[tuple[str, int]]] = field(default_factory=dict)
    """(address, port), address "" for a node port -> (address, port) of the endpoints that may answer."""
    sticky: bool = False
    local_endpoints: int = 0  # for the health check of a load balancer
    unserved: tuple[str, ...] = ()  # ports that are not forwarded, as text


def contribution(
    service: Service, slices: Sequence[EndpointSlice], facts: NodeFacts, before: Contribution | None = None
) -> Contribution:
    """Everything the Service needs on this node; `before` keeps endpoints in their slots."""
    result = Contribution()
    if is_proxied(service):
        kept = before.placed if before is not None else {}
        for family in FAMILIES:
            if family in (service.spec.ipFamilies or ["IPv4"]):
                _Plan(service, family, facts, kept, result).run(slices)
    return result


class _Plan:
    """One Service in one family."""

    def __init__(
        self,
        service: Service,
        family: str,
        facts: NodeFacts,
        kept: Mapping[Element, tuple[str, ...]],
        result: Contribution,
    ) -> None:
        self.service, self.facts, self.kept, self.result = service, facts, kept, result
        self.ipv6 = family == "IPv6"
        self.family, self.addresses = family, "ip6" if self.ipv6 else "ip"
        spec = service.spec
        self.sticky = spec.sessionAffinity == "ClientIP"
        client = spec.sessionAffinityConfig.clientIP if spec.sessionAffinityConfig else None
        self.sticky_seconds = (client.timeoutSeconds if client else None) or DEFAULT_STICKY_SECONDS
        result.sticky = self.sticky

    def run(self, slices: Sequence[EndpointSlice]) -> None:
        spec = self.service.spec
        cluster_ips = self._own(spec.clusterIPs or [spec.clusterIP])
        balanced = self._own(
            [one.ip for one in self.service.status.loadBalancer.ingress if one.ipMode in (None, "VIP")]
            if spec.type == "LoadBalancer"
            else []
        )
        external = self._own(spec.externalIPs)
        for address in cluster_ips:
            self.put("cluster-ips", address)
        here: set[str] = set()
        for port in spec.ports:
            protocol = PROTOCOLS.get(port.protocol or "TCP")
            if protocol is None:
                self.result.unserved += (f"{port.port}/{port.protocol}",)
                continue
            choice = choose(candidates(slices, port, self.family), self.facts)
            here |= {one.address for one in choice.local}
            self._hairpin(choice)
            self._port(port, protocol, choice, cluster_ips, [*balanced, *external], balanced)
        self.result.local_endpoints = max(self.result.local_endpoints, len(here))

    def _own(self, addresses: Sequence[str]) -> list[str]:
        return list(dict.fromkeys(one for one in addresses if one and (":" in one) == self.ipv6))

    def put(self, container: str, key: str, value: str = "") -> None:
        self.result.elements[Element(self.addresses, container, key)] = value

    def _hairpin(self, choice: Choice) -> None:
        """A pod that reaches itself must see another source address than its own."""
        for one in choice.cluster + choice.local:
            if one.node in ("", self.facts.name):
                self.put("hairpin", f"{one.address} . {one.address}")

    def _port(
        self,
        port: ServicePort,
        protocol: str,
        choice: Choice,
        cluster_ips: Sequence[str],
        outside_ips: Sequence[str],
        balanced: Sequence[str],
    ) -> None:
        spec = self.service.spec
        for address in cluster_ips:
            internal_local = spec.internalTrafficPolicy == "Local"
            chosen = choice.local if internal_local else choice.cluster
            self._entrance(address, protocol, port.port, "cluster", chosen, (), bool(choice.cluster))
        stays = spec.externalTrafficPolicy == "Local"
        outside, inside = (choice.local, choice.cluster) if stays else (choice.cluster, ())
        for address in outside_ips:
            kind = "local" if stays else "external"
            self._entrance(address, protocol, port.port, kind, outside, inside, bool(choice.cluster))
            if address in balanced and spec.loadBalancerSourceRanges:
                self._restrict(f"{address} . {protocol} . {port.port}")
        if port.nodePort:
            kind = "nodelocal" if stays else "node"
            self._entrance("", protocol, port.nodePort, kind, outside, inside, bool(choice.cluster))

    def _entrance(
        self,
        address: str,
        protocol: str,
        port: int,
        kind: str,
        outside: Sequence[Candidate],
        inside: Sequence[Candidate],
        anywhere: bool,
    ) -> None:
        """One address and port (a node port if `address` is "") and who is behind it."""
        key = f"{address} . {protocol} . {port}" if address else f"{protocol} . {port}"
        prefix = "" if address else "node-"
        if protocol == "udp":
            self.result.udp[address, port] = frozenset((one.address, one.port) for one in (*outside, *inside))
        if not outside and not inside:
            self.put(f"{prefix}refused", key, DROP if anywhere else REFUSE)
            return
        container = endpoints_map(protocol, node_port=not address)
        self._slots(container, key, 0, outside)
        self._slots(container, key, INSIDE_OFFSET, inside)
        pick = Pick(kind, self.sticky, len(outside), len(inside), protocol)
        self.put("vips" if address else "nodeports", key, f"goto {pick.name}")
        if self.sticky and not self.ipv6:
            self.put(f"{prefix}affine", key, f"goto remember-{self.sticky_seconds}")

    def _slots(self, container: str, key: str, offset: int, wanted: Sequence[Candidate]) -> None:
        if not wanted:
            return
        whole = Element(self.addresses, container, f"{key} . {offset}")
        placed = place(self.kept.get(whole, ()), [f"{one.address} . {one.port}" for one in wanted])
        self.result.placed[whole] = placed
        for slot, value in enumerate(placed):
            self.put(container, f"{key} . {offset + slot}", value)

    def _restrict(self, key: str) -> None:
        self.put("restricted", key)
        ranges = [_network(text) for text in self.service.spec.loadBalancerSourceRanges]
        mine = [one for one in ranges if one is not None and (one.version == 6) == self.ipv6]
        for network in ipaddress.collapse_addresses(mine):  # type: ignore[type-var]  # all of one version
            self.put("allowed", f"{key} . {network}")


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def place(before: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """The wanted in slots 0 to n-1: who stays keeps the slot, new ones fill holes, the last move into what is left."""
    if tuple(wanted) == tuple(before):
        return tuple(before)
    known = set(before)
    new = [one for one in wanted if one not in known]
    asked = set(wanted)
    slots: list[str | None] = [one if one in asked else None for one in before]
    slots += [None] * (len(wanted) - len(slots))
    spare = new + [one for one in slots[len(wanted) :] if one is not None]
    slots = slots[: len(wanted)]
    filled = [one if one is not None else spare.pop(0) for one in slots]
    return tuple(filled)
