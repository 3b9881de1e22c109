"""What the cluster looks like to its DNS: services, their endpoints, namespaces, and names by address.

Fed with objects of the informers, read by answer.py.  What must stay true: a change costs work in proportion to the
service it is about, never to the cluster; `generation` moves with every change, so that answers may be kept until then.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

from nodeagent.dns.wire import Name, name_of
from tiphys.api.core.service import Service
from tiphys.api.endpoints.endpointslice import EndpointSlice

SERVICE_LABEL = "kubernetes.io/service-name"
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Key = tuple[str, str]
"""(namespace, name) of a service."""


@dataclass(frozen=True, slots=True)
class Port:
    name: bytes  # in lower case; b"" for the only port of a service
    protocol: bytes
    number: int


@dataclass(frozen=True, slots=True)
class EndpointRecord:
    """A ready endpoint: its label below the service, its addresses, its ports."""

    label: bytes
    address: Address
    ports: tuple[Port, ...]


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """`external` is the name an ExternalName service stands for."""

    key: Key
    addresses: tuple[Address, ...] = ()
    ports: tuple[Port, ...] = ()
    headless: bool = False
    external: Name | None = None


@dataclass
class Zone:
    """`domain` as labels; everything that is looked up is in lower case."""

    domain: Name
    dns_addresses: tuple[Address, ...] = ()
    reverse_local: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    """Addresses whose names are asked of nobody else."""
    ttl_seconds: int = 5
    generation: int = 0
    services: dict[Key, ServiceRecord] = field(default_factory=dict)
    namespaces: set[str] = field(default_factory=set)
    _endpoints: dict[Key, dict[str, tuple[EndpointRecord, ...]]] = field(default_factory=dict)
    _by_address: dict[Address, dict[tuple[Key, str], bytes]] = field(default_factory=dict)

    def endpoints(self, key: Key) -> list[EndpointRecord]:
        """The ready endpoints of a service, each address and label once."""
        found: dict[tuple[bytes, Address], EndpointRecord] = {}
        for records in self._endpoints.get(key, {}).values():
            for record in records:
                first = found.setdefault((record.label, record.address), record)
                if first is not record:
                    ports = tuple(dict.fromkeys((*first.ports, *record.ports)))
                    found[record.label, record.address] = EndpointRecord(record.label, record.address, ports)
        return list(found.values())

    def names_of(self, address: Address) -> list[tuple[Key, bytes]]:
        """Services with this address (label b"") before endpoints."""
        found = self._by_address.get(address, {})
        return sorted({(key, label) for (key, _), label in found.items()}, key=lambda one: (one[1] != b"", one))

    def namespace_changed(self, name: str, *, there: bool) -> None:
        """A namespace was made, or is gone."""
        before = len(self.namespaces)
        (self.namespaces.add if there else self.namespaces.discard)(name)
        self.generation += len(self.namespaces) != before

    def service_changed(self, old: Service | None, new: Service | None) -> None:
        """As an informer's handler."""
        before = _service(old) if old is not None else None
        after = _service(new) if new is not None else None
        if before == after:
            return
        self.generation += 1
        if before is not None:
            self.services.pop(before.key, None)
            self._unname(before.key, "", before.addresses)
        if after is not None:
            self.services[after.key] = after
            self._name(after.key, "", [(address, b"") for address in after.addresses])

    def slice_changed(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        """As an informer's handler."""
        before, after = _records(old), _records(new)
        old_key, new_key = _slice_key(old), _slice_key(new)
        if before == after and old_key == new_key:
            return
        self.generation += 1
        if old is not None and old_key is not None:
            slices = self._endpoints.get(old_key, {})
            slices.pop(old.metadata.name, None)
            if not slices:
                self._endpoints.pop(old_key, None)
            self._unname(old_key, old.metadata.name, {record.address for record in before})
        if new is not None and new_key is not None:
            self._endpoints.setdefault(new_key, {})[new.metadata.name] = after
            self._name(new_key, new.metadata.name, [(record.address, record.label) for record in after])

    def _name(self, key: Key, source: str, names: Iterable[tuple[Address, bytes]]) -> None:
        for address, label in names:
            self._by_address.setdefault(address, {})[key, source] = label

    def _unname(self, key: Key, source: str, addresses: Iterable[Address]) -> None:
        for address in addresses:
            names = self._by_address.get(address, {})
            names.pop((key, source), None)
            if not names:
                self._by_address.pop(address, None)


def _service(service: Service) -> ServiceRecord:
    key = (service.metadata.namespace, service.metadata.name)
    spec = service.spec
    if spec.type == "ExternalName":
        try:
            return ServiceRecord(key, external=name_of(spec.externalName))
        except ValueError:
            return ServiceRecord(key, headless=True)
    ports = tuple(Port(port.name.encode().lower(), _protocol(port.protocol), port.port) for port in spec.ports)
    if spec.clusterIP == "None":
        return ServiceRecord(key, ports=ports, headless=True)
    texts = spec.clusterIPs or ([spec.clusterIP] if spec.clusterIP else [])
    return ServiceRecord(key, tuple(a for text in texts if (a := address_of(text)) is not None), ports)


def _slice_key(piece: EndpointSlice | None) -> Key | None:
    if piece is None:
        return None
    name = piece.metadata.labels.get(SERVICE_LABEL, "")
    return (piece.metadata.namespace, name) if name else None


def _records(piece: EndpointSlice | None) -> tuple[EndpointRecord, ...]:
    """The ready endpoints; a service that publishes the others too has them marked as ready."""
    if piece is None or piece.addressType == "FQDN":
        return ()
    ports = tuple(
        Port((port.name or "").encode().lower(), _protocol(port.protocol or ""), port.port)
        for port in piece.ports
        if port.port is not None
    )
    found = []
    for endpoint in piece.endpoints:
        if endpoint.conditions.ready is False:
            continue
        for text in endpoint.addresses[:1]:
            address = address_of(text)
            if address is not None:
                label = (endpoint.hostname or dashed(address)).encode().lower()
                found.append(EndpointRecord(label, address, ports))
    return tuple(found)


def _protocol(text: str) -> bytes:
    return (text or "TCP").lower().encode()


def address_of(text: str) -> Address | None:
    """None for what is no address."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def dashed(address: Address) -> str:
    """An address as a label: 10-1-2-3, fd00--1."""
    text = str(address).replace(".", "-").replace(":", "-")
    return f"0{text}" if text.startswith("-") else text


def undashed(label: bytes) -> Address | None:
    """The address a label spells."""
    text = label.decode("ascii", "replace")
    if text.count("-") == 3 and "--" not in text:
        return address_of(text.replace("-", "."))
    return address_of(text.replace("-", ":"))
