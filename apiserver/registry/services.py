"""Services: cluster addresses and node ports, each reserved by a key of its own in the store.

What must stay true: an address is taken by creating its key, so two servers, or a server before and after a crash, can
never hand out the same one; what a failed write took is given back, and `repair` removes what a crash left behind.
"""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
from collections.abc import Iterable
from typing import Any

from apiserver.registry.strategy import Allocation, Strategy
from apiserver.storage.store import Conflict, Store
from tiphys.api.status import FieldError, StatusError, internal_error, invalid, invalid_object

Obj = dict[str, Any]

IP_PREFIX = "/ranges/serviceips/"  # not below /registry/: these are no objects and nobody watches them
PORT_PREFIX = "/ranges/servicenodeports/"
NODE_PORTS = range(30000, 32768)
_RANDOM_TRIES = 64


class Reservation(Allocation):
    """Keys taken for one write, and keys that the write makes free."""

    def __init__(self, store: Store, *, dry_run: bool = False) -> None:
        self._store = store
        self.dry_run = dry_run
        self.taken: list[str] = []
        self.freed: list[str] = []

    async def keep(self) -> None:
        await remove_keys(self._store, self.freed)

    async def give_back(self) -> None:
        await remove_keys(self._store, self.taken)


async def remove_keys(store: Store, keys: Iterable[str]) -> None:
    for key in keys:
        entry, _ = await store.get(key)
        if entry is not None:
            with contextlib.suppress(Conflict):  # somebody else removed it
                await store.delete(key, entry.revision)


class ServiceAllocator:
    """Fills in clusterIP, clusterIPs, ipFamilies, ipFamilyPolicy and nodePorts as upstream does."""

    def __init__(self, store: Store, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> None:
        self._store = store
        self._network = network
        self._first = int(network.network_address) + 1
        self._count = max(1, network.num_addresses - 2)

    def strategy(self) -> Strategy:
        return Strategy(create_on_update=True, returns_deleted=True, allocate=self.allocate, release=self.release)

    async def allocate(self, new: Obj, old: Obj | None, dry_run: bool) -> Allocation:
        """Raises 422 when what the service asks for cannot be had."""
        reservation = Reservation(self._store, dry_run=dry_run)
        try:
            await self._cluster_ip(new, old, reservation)
            await self._node_ports(new, old, reservation)
        except BaseException:
            await reservation.give_back()
            raise
        return reservation

    async def release(self, service: Obj) -> None:
        await remove_keys(self._store, keys_of(service))

    async def repair(self, services: Iterable[Obj]) -> None:
        """Remove reservations of services that are not there."""
        wanted = {key for service in services for key in keys_of(service)}
        for prefix in (IP_PREFIX, PORT_PREFIX):
            page = await self._store.range(prefix)
            await remove_keys(self._store, [entry.key for entry in page.entries if entry.key not in wanted])

    async def _cluster_ip(self, new: Obj, old: Obj | None, reservation: Reservation) -> None:
        spec = new.setdefault("spec", {})
        held = _addresses(old) if old else []
        if spec.get("type") == "ExternalName":
            for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                spec.pop(name, None)
            reservation.freed += [IP_PREFIX + address for address in held]
            return
        if old is not None and held and not spec.get("clusterIP"):
            spec["clusterIP"], spec["clusterIPs"] = held[0], held
        if spec.get("clusterIP") and not spec.get("clusterIPs"):
            spec["clusterIPs"] = [spec["clusterIP"]]
        elif spec.get("clusterIPs") and not spec.get("clusterIP"):
            spec["clusterIP"] = spec["clusterIPs"][0]
        asked = spec.get("clusterIP", "")
        if asked and asked != "None" and not _is_address(asked):
            return  # validation says what is wrong with it
        if not asked:
            asked = await self._any_address(reservation)
            spec["clusterIP"], spec["clusterIPs"] = asked, [asked]
        elif asked != "None" and asked not in held:
            await self._this_address(new, asked, reservation)
        family = "IPv6" if ":" in asked or (asked == "None" and self._network.version == 6) else "IPv4"
        spec.setdefault("ipFamilies", [family])
        spec.setdefault("ipFamilyPolicy", "SingleStack")

    async def _any_address(self, reservation: Reservation) -> str:
        # Upstream leaves the lowest part of the range to addresses that people choose, while there is room above it.
        offset = min(max(16, self._count // 16), 256) if self._count > 32 else 1
        for _ in range(_RANDOM_TRIES):
            address = str(ipaddress.ip_address(self._first + offset + secrets.randbelow(max(1, self._count - offset))))
            if await self._take(IP_PREFIX + address, reservation):
                return address
        for index in range(1, self._count):
            address = str(ipaddress.ip_address(self._first + index))
            if await self._take(IP_PREFIX + address, reservation):
                return address
        raise internal_error("failed to allocate a serviceIP: range is full")

    async def _this_address(self, service: Obj, address: str, reservation: Reservation) -> None:
        if ipaddress.ip_address(address) not in self._network:
            text = f"the provided IP ({address}) is not in the valid range. The range of valid IPs is {self._network}"
        elif await self._take(IP_PREFIX + address, reservation):
            return
        else:
            text = "provided IP is already allocated"
        error = invalid("spec.clusterIPs", [address], f"failed to allocate IP {address}: {text}")
        raise _refused(service, error)

    async def _node_ports(self, new: Obj, old: Obj | None, reservation: Reservation) -> None:
        spec = new["spec"]
        held = _node_ports(old) if old else set()
        wants = spec.get("type") == "NodePort" or (
            spec.get("type") == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True)
        )
        given: dict[int, str] = {}
        for index, port in enumerate(spec.get("ports", [])):
            asked = port.get("nodePort") or 0
            if asked and asked not in held and asked not in given:
                await self._this_port(new, index, asked, reservation)
            elif not asked and wants:
                asked = port["nodePort"] = await self._any_port(reservation)
            if asked:
                given[asked] = port.get("protocol", "TCP")
        reservation.freed += [f"{PORT_PREFIX}{port}" for port in held - set(given)]

    async def _any_port(self, reservation: Reservation) -> int:
        for _ in range(_RANDOM_TRIES):
            port = secrets.choice(NODE_PORTS)
            if await self._take(f"{PORT_PREFIX}{port}", reservation):
                return port
        for port in NODE_PORTS:
            if await self._take(f"{PORT_PREFIX}{port}", reservation):
                return port
        raise internal_error("failed to allocate a nodePort: range is full")

    async def _this_port(self, service: Obj, index: int, port: int, reservation: Reservation) -> None:
        if port not in NODE_PORTS and not reservation.dry_run:  # upstream's dry run does not look at the range
            first, last = NODE_PORTS[0], NODE_PORTS[-1]
            text = f"provided port is not in the valid range. The range of valid ports is {first}-{last}"
        elif await self._take(f"{PORT_PREFIX}{port}", reservation):
            return
        else:
            text = "provided port is already allocated"
        raise _refused(service, invalid(f"spec.ports[{index}].nodePort", port, text))

    async def _take(self, key: str, reservation: Reservation) -> bool:
        if reservation.dry_run:
            return (await self._store.get(key))[0] is None
        try:
            await self._store.create(key, b"{}")
        except Conflict:
            return False
        reservation.taken.append(key)
        return True


def _refused(service: Obj, error: FieldError) -> StatusError:
    return invalid_object("", "Service", service["metadata"].get("name", ""), [error])


def _is_address(text: str) -> bool:
    try:
        return str(ipaddress.ip_address(text)) == text
    except ValueError:
        return False


def _addresses(service: Obj) -> list[str]:
    spec = service.get("spec", {})
    found = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    return [address for address in found if address != "None"]


def _node_ports(service: Obj) -> set[int]:
    return {port["nodePort"] for port in service.get("spec", {}).get("ports", []) if port.get("nodePort")}


def keys_of(service: Obj) -> list[str]:
    """The reservations that belong to a service."""
    keys = [IP_PREFIX + address for address in _addresses(service)]
    return keys + [f"{PORT_PREFIX}{port}" for port in _node_ports(service)]
