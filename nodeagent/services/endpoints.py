"""Which endpoints of a Service take its traffic on this node.  Pure.

What must stay true: an endpoint that is ready comes before one that is going; one that is going but still serves is
better than none; a hint narrows the choice only where it leaves somebody.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tiphys.api.core.service import Service, ServicePort
from tiphys.api.endpoints.endpointslice import Endpoint, EndpointSlice

FAMILIES = ("IPv4", "IPv6")


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What of this node decides: its name, and its zone ("": unknown)."""

    name: str
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One address and port behind a port of a Service."""

    address: str
    port: int
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    node: str = ""
    for_zones: frozenset[str] = frozenset()
    for_nodes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Choice:
    """`cluster` are for traffic that may leave the node, `local` for traffic that may not; in a fixed order."""

    cluster: tuple[Candidate, ...] = ()
    local: tuple[Candidate, ...] = ()


def candidates(slices: Iterable[EndpointSlice], port: ServicePort, family: str) -> list[Candidate]:
    """Every endpoint for a port of the Service, by address; addresses that mean the node itself are left out."""
    found: dict[tuple[str, int], Candidate] = {}
    for held in slices:
        if held.addressType != family:
            continue
        for offered in held.ports:
            if (offered.name or "") != port.name or (offered.protocol or "TCP") != (port.protocol or "TCP"):
                continue
            for endpoint in held.endpoints if offered.port else ():
                one = _candidate(endpoint, offered.port or 0)
                if one is None:
                    continue
                before = found.get((one.address, one.port))
                if before is None or (one.ready and not before.ready):
                    found[one.address, one.port] = one
    return [found[key] for key in sorted(found)]


def _candidate(endpoint: Endpoint, port: int) -> Candidate | None:
    address = endpoint.addresses[0] if endpoint.addresses else ""
    if not is_reachable(address):
        return None
    state, hints = endpoint.conditions, endpoint.hints
    ready = state.ready is not False
    return Candidate(
        address,
        port,
        ready,
        ready if state.serving is None else state.serving,
        bool(state.terminating),
        endpoint.nodeName or "",
        frozenset(zone.name for zone in hints.forZones) if hints else frozenset(),
        frozenset(node.name for node in hints.forNodes) if hints else frozenset(),
    )


def is_reachable(address: str) -> bool:
    """No loopback, link-local, multicast or unspecified address: those mean something else on every node."""
    if address.startswith(("10.", "192.168.")):
        return True  # the usual ones, without the cost of parsing
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (parsed.is_loopback or parsed.is_link_local or parsed.is_multicast or parsed.is_unspecified)


def choose(found: Sequence[Candidate], facts: NodeFacts) -> Choice:
    """Ready ones; where there are none, those that are going and still serve."""
    here = [one for one in found if one.node == facts.name]
    return Choice(tuple(_near(_usable(found), facts)), tuple(_usable(here)))


def _usable(found: Sequence[Candidate]) -> list[Candidate]:
    ready = [one for one in found if one.ready]
    return ready or [one for one in found if one.serving and one.terminating]


def _near(usable: list[Candidate], facts: NodeFacts) -> list[Candidate]:
    """Follow the hints if every endpoint has one and some are meant for this node, else for its zone."""
    if usable and all(one.for_nodes for one in usable):
        same_node = [one for one in usable if facts.name in one.for_nodes]
        if same_node:
            return same_node
    if usable and facts.zone and all(one.for_zones for one in usable):
        return [one for one in usable if facts.zone in one.for_zones] or usable
    return usable


def is_proxied(service: Service) -> bool:
    """It has addresses of its own, and no other proxy has been asked to serve it."""
    spec = service.spec
    if spec.type == "ExternalName" or spec.clusterIP in ("", "None"):
        return False
    return "service.kubernetes.io/service-proxy-name" not in service.metadata.labels
