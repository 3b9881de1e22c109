"""answer(question, zone): what the cluster's DNS says.  Pure.

The schema is that of Kubernetes' DNS specification: services, their ports and endpoints below `svc`, pods by their
address below `pod`, names by address, and CNAME for ExternalName.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nodeagent.dns.wire import AAAA, CNAME, NS, NXDOMAIN, PTR, SOA, SRV, TXT, A, Name, Record, Reply
from nodeagent.dns.zone import Address, EndpointRecord, Key, Port, ServiceRecord, Zone, undashed

SCHEMA_VERSION = b"1.1.0"
MOST_CNAMES = 8
MOST_NAMES_OF_AN_ADDRESS = 32
_REVERSE_4 = (b"in-addr", b"arpa")
_REVERSE_6 = (b"ip6", b"arpa")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Not ours to answer.  `chain` are the CNAMEs that led to `name`; the rest is asked of an upstream server."""

    name: Name
    chain: tuple[Record, ...] = ()


def answer(name: Name, kind: int, zone: Zone) -> Reply | Elsewhere:
    """`name` in lower case.  The answer, or where it must be asked for."""
    chain: list[Record] = []
    while True:
        found = _look_up(name, kind, zone)
        if found is None:
            return Elsewhere(name, tuple(chain))
        target = found.target
        if target is None:
            return _reply(found, chain, zone)
        chain.append(Record(name, CNAME, zone.ttl_seconds, target=target))
        if kind == CNAME or len(chain) >= MOST_CNAMES:
            return Reply(answers=tuple(chain))
        name = target


def _look_up(name: Name, kind: int, zone: Zone) -> _Found | None:
    """None: not ours to know."""
    if name[-len(zone.domain) :] == zone.domain:
        return _below(name[: len(name) - len(zone.domain)], name, kind, zone)
    return _reverse(name, kind, zone) if name[-2:] in (_REVERSE_4, _REVERSE_6) else None


@dataclass(slots=True)
class _Found:
    """`exists` with no records is an answer without data; `target`: go on there."""

    records: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    exists: bool = True
    target: Name | None = None


_NOTHING = _Found(exists=False)


def _reply(found: _Found, chain: list[Record], zone: Zone) -> Reply:
    answers = (*chain, *found.records)
    if found.records:
        return Reply(answers=answers, additional=found.additional)
    return Reply(0 if found.exists else NXDOMAIN, answers, (soa(zone),))


def soa(zone: Zone) -> Record:
    """The start of authority, whose last number says how long an absence may be believed."""
    labels = [(b"ns", b"dns", *zone.domain), (b"hostmaster", *zone.domain)]
    names = b"".join(b"".join(bytes([len(label)]) + label for label in name) + b"\0" for name in labels)
    numbers = struct.pack("!5I", zone.generation & 0xFFFFFFFF, 7200, 1800, 86400, zone.ttl_seconds)
    return Record(zone.domain, SOA, zone.ttl_seconds, names + numbers)


def _below(inner: Name, name: Name, kind: int, zone: Zone) -> _Found:
    """Names of the cluster's domain; `inner` is what stands before it."""
    match inner:
        case ():
            return _apex(name, kind, zone)
        case (b"dns-version",):
            return _of_kind(kind, TXT, [Record(name, TXT, zone.ttl_seconds, bytes([5]) + SCHEMA_VERSION)])
        case (b"dns",):
            return _Found()
        case (b"ns", b"dns"):
            return _addresses(name, kind, zone.dns_addresses, zone)
        case (b"svc",) | (b"pod",):
            return _Found()
        case (namespace, b"svc" | b"pod"):
            return _Found(exists=_text(namespace) in zone.namespaces)
        case (label, namespace, b"pod"):
            address = undashed(label)
            if address is None or _text(namespace) not in zone.namespaces:
                return _NOTHING
            return _addresses(name, kind, [address], zone)
        case (*before, service, namespace, b"svc"):
            record = zone.services.get((_text(namespace), _text(service)))
            return _NOTHING if record is None else _service(tuple(before), name, kind, record, zone)
    return _NOTHING


def _text(label: bytes) -> str:
    return label.decode("ascii", "replace")


def _apex(name: Name, kind: int, zone: Zone) -> _Found:
    if kind == SOA:
        return _Found((soa(zone),))
    server: Name = (b"ns", b"dns", *zone.domain)
    glue = tuple(_records(server, zone.dns_addresses, zone))
    return _of_kind(kind, NS, [Record(name, NS, zone.ttl_seconds, target=server)], glue)


def _of_kind(kind: int, wanted: int, records: Iterable[Record], additional: tuple[Record, ...] = ()) -> _Found:
    return _Found(tuple(records), additional) if kind == wanted else _Found()


def _records(name: Name, addresses: Iterable[Address], zone: Zone) -> Iterator[Record]:
    for address in addresses:
        yield Record(name, A if address.version == 4 else AAAA, zone.ttl_seconds, address.packed)


def _addresses(name: Name, kind: int, addresses: Iterable[Address], zone: Zone) -> _Found:
    return _Found(tuple(record for record in _records(name, addresses, zone) if record.kind == kind))


def _service(before: Name, name: Name, kind: int, record: ServiceRecord, zone: Zone) -> _Found:
    """A service's own name, a port of it (_http._tcp), or an endpoint of it."""
    if record.external is not None:
        return _NOTHING if before else _Found(target=record.external)
    match before:
        case ():
            return _service_itself(name, kind, record, zone)
        case (b"_tcp" | b"_udp" | b"_sctp" as protocol,):
            ports = {port.protocol for port in record.ports}
            return _Found(exists=protocol[1:] in ports)
        case (port, b"_tcp" | b"_udp" | b"_sctp" as protocol) if port.startswith(b"_") and len(port) > 1:
            return _port(name, kind, port[1:], protocol[1:], record, zone)
        case (label,):
            found = [one for one in zone.endpoints(record.key) if one.label == label]
            if not found:
                return _NOTHING
            if kind == SRV:
                return _srv(name, record, found, None, zone)
            return _addresses(name, kind, [one.address for one in found], zone)
    return _NOTHING


def _service_itself(name: Name, kind: int, record: ServiceRecord, zone: Zone) -> _Found:
    endpoints = zone.endpoints(record.key) if record.headless else []
    if record.headless and not endpoints:
        return _NOTHING
    if kind == SRV:
        return _srv(name, record, endpoints, None, zone)
    addresses = dict.fromkeys([one.address for one in endpoints] if record.headless else record.addresses)
    return _addresses(name, kind, addresses, zone)


def _port(name: Name, kind: int, port: bytes, protocol: bytes, record: ServiceRecord, zone: Zone) -> _Found:
    endpoints = zone.endpoints(record.key) if record.headless else []
    known = [one.ports for one in endpoints] if record.headless else [record.ports]
    if not any((one.name, one.protocol) == (port, protocol) for ports in known for one in ports):
        return _NOTHING
    return _srv(name, record, endpoints, (port, protocol), zone) if kind == SRV else _Found()


def _srv(
    name: Name, record: ServiceRecord, endpoints: list[EndpointRecord], wanted: tuple[bytes, bytes] | None, zone: Zone
) -> _Found:
    """Where the ports are: at the service's own name, or at each endpoint of a headless one."""
    base = _name_of(record.key, zone)
    places: list[tuple[Name, tuple[Address, ...], tuple[Port, ...]]]
    if record.headless or endpoints:
        places = [((one.label, *base), (one.address,), one.ports) for one in endpoints]
    else:
        places = [(base, record.addresses, record.ports)]
    chosen = [
        (target, addresses, port.number)
        for target, addresses, ports in places
        for port in ports
        if wanted is None or (port.name, port.protocol) == wanted
    ]
    weight = 100 // len(chosen) if chosen else 0
    records: dict[tuple[Name, int], Record] = {}
    for target, _, number in chosen:
        data = struct.pack("!3H", 0, max(weight, 1), number)
        records.setdefault((target, number), Record(name, SRV, zone.ttl_seconds, data, target))
    glue = dict.fromkeys(one for target, addresses, _ in chosen for one in _records(target, addresses, zone))
    return _Found(tuple(records.values()), tuple(glue))


def _name_of(key: Key, zone: Zone) -> Name:
    namespace, service = key
    return (service.encode(), namespace.encode(), b"svc", *zone.domain)


def _reverse(name: Name, kind: int, zone: Zone) -> _Found | None:
    """The names of an address; None where others may know it."""
    address = reversed_address(name)
    if address is None:
        return None
    names = zone.names_of(address)[:MOST_NAMES_OF_AN_ADDRESS]
    if not names:
        return _NOTHING if any(address in network for network in zone.reverse_local) else None
    targets = [((label,) if label else ()) + _name_of(key, zone) for key, label in names]
    return _of_kind(kind, PTR, [Record(name, PTR, zone.ttl_seconds, target=target) for target in targets])


def reversed_address(name: Name) -> Address | None:
    """The address that a name of in-addr.arpa or ip6.arpa spells."""
    labels = [label.decode("ascii", "replace") for label in reversed(name[:-2])]
    try:
        if name[-2:] == _REVERSE_4 and len(labels) == 4:
            return ipaddress.IPv4Address(".".join(labels))
        if name[-2:] == _REVERSE_6 and len(labels) == 32 and all(len(label) == 1 for label in labels):
            return ipaddress.IPv6Address(":".join("".join(labels[at : at + 4]) for at in range(0, 32, 4)))
    except ValueError:
        pass
    return None
