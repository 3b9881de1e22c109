"""Services: cluster addresses (an IPAddress object each) and node ports (a key of its own in the store each).

What must stay true: a port is taken by creating its key, so two servers, or a server before and after a crash, can
never hand out the same one; what a failed write took is given back, and `remove` takes what a crash left behind.
"""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
from collections.abc import Iterable
from typing import Any

from apiserver.registry.clusteraddresses import ClusterAddresses
from apiserver.registry.strategy import Allocation, Strategy
from apiserver.resources import Resources
from apiserver.storage.store import Conflict, Store
from tiphys.api.status import FieldError, StatusError, internal_error, invalid, invalid_object
from tiphys.clock import Clock

Obj = dict[str, Any]

PORT_PREFIX = "/ranges/servicenodeports/"  # not below /registry/: these are no objects and nobody watches them
NODE_PORTS = range(30000, 32768)
_RANDOM_TRIES = 64


class Reservation(Allocation):
    """Keys taken for one write, and keys that the write makes free."""

    def __init__(self, store: Store, addresses: ClusterAddresses, *, dry_run: bool = False) -> None:
        self._store, self._addresses = store, addresses
        self.dry_run = dry_run
        self.taken: list[str] = []
        self.freed: list[str] = []
        self.taken_addresses: list[str] = []
        self.freed_addresses: list[str] = []

    async def keep(self) -> None:
        await remove_keys(self._store, self.freed)
        await self._addresses.free(self.freed_addresses)

    async def give_back(self) -> None:
        await remove_keys(self._store, self.taken)
        await self._addresses.free(self.taken_addresses)


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
        self._given: ClusterAddresses | None = None

    def bind(self, resources: Resources, clock: Clock) -> None:
        """Must be called before the first Service comes."""
        self._given = ClusterAddresses(resources, self._network, clock)

    @property
    def addresses(self) -> ClusterAddresses:
        assert self._given is not None, "bind comes first"
        return self._given

    def strategy(self) -> Strategy:
        return Strategy(create_on_update=True, returns_deleted=True, allocate=self.allocate, release=self.release)

    async def allocate(self, new: Obj, old: Obj | None, dry_run: bool) -> Allocation:
        """Raises 422 when what the service asks for cannot be had."""
        reservation = Reservation(self._store, self.addresses, dry_run=dry_run)
        try:
            await self._cluster_ip(new, old, reservation)
            await self._node_ports(new, old, reservation)
            await self._health_check_port(new, old, reservation)
        except BaseException:
            await reservation.give_back()
            raise
        return reservation

    async def release(self, service: Obj) -> None:
        await remove_keys(self._store, keys_of(service))
        await self.addresses.free(_addresses(service))

    async def claim(self, services: Iterable[Obj]) -> set[str]:
        """Make the reservations that are missing; those that no service claims (`remove` takes them)."""
        held = list(services)
        wanted = {key for service in held for key in keys_of(service)}
        page = await self._store.range(PORT_PREFIX)
        found = {entry.key for entry in page.entries}
        for key in wanted - found:
            with contextlib.suppress(Conflict):  # another server is at it
                await self._store.create(key, b"{}")
        addresses = await self.addresses.claim({one: service for service in held for one in _addresses(service)})
        return (found - wanted) | addresses

    async def remove(self, unclaimed: Iterable[str], services: Iterable[Obj]) -> None:
        """Remove those of `unclaimed` that no service claims even now."""
        claimed = {key for service in services for key in (*keys_of(service), *_addresses(service))}
        left = set(unclaimed) - claimed
        await remove_keys(self._store, [one for one in left if one.startswith(PORT_PREFIX)])
        await self.addresses.free([one for one in left if not one.startswith(PORT_PREFIX)])

    async def _cluster_ip(self, new: Obj, old: Obj | None, reservation: Reservation) -> None:
        spec = new.setdefault("spec", {})
        held = _addresses(old) if old else []
        if spec.get("type") == "ExternalName":
            for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                spec.pop(name, None)
            reservation.freed_addresses += held
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
            asked = await self._any_address(new, reservation)
            spec["clusterIP"], spec["clusterIPs"] = asked, [asked]
        elif asked != "None" and asked not in held:
            await self._this_address(new, asked, reservation)
        family = "IPv6" if ":" in asked or (asked == "None" and self._network.version == 6) else "IPv4"
        spec.setdefault("ipFamilies", [family])
        spec.setdefault("ipFamilyPolicy", "SingleStack")

    async def _any_address(self, service: Obj, reservation: Reservation) -> str:
        for network in self.addresses.networks():
            first, count = int(network.network_address) + 1, max(1, network.num_addresses - 2)
            # Upstream leaves the lowest part of the range to addresses that people choose, while there is room above.
            offset = min(max(16, count // 16), 256) if count > 32 else 1
            for _ in range(_RANDOM_TRIES):
                address = str(ipaddress.ip_address(first + offset + secrets.randbelow(max(1, count - offset))))
                if await self._take_address(address, service, reservation):
                    return address
            for index in range(1, count):
                address = str(ipaddress.ip_address(first + index))
                if await self._take_address(address, service, reservation):
                    return address
        raise internal_error("failed to allocate a serviceIP: range is full")

    async def _this_address(self, service: Obj, address: str, reservation: Reservation) -> None:
        if not any(ipaddress.ip_address(address) in network for network in self.addresses.networks()):
            text = f"the provided IP ({address}) is not in the valid range. The range of valid IPs is {self._network}"
        elif await self._take_address(address, service, reservation):
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

    async def _health_check_port(self, new: Obj, old: Obj | None, reservation: Reservation) -> None:
        """A load balancer whose traffic stays on the node is told by a port of its own which nodes have endpoints."""
        spec, held = new["spec"], (old or {}).get("spec", {}).get("healthCheckNodePort", 0)
        wants = spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"
        asked = spec.get("healthCheckNodePort", 0)
        if wants and not asked:
            asked = spec["healthCheckNodePort"] = await self._any_port(reservation)
        elif wants and asked != held and not await self._take(f"{PORT_PREFIX}{asked}", reservation):
            raise _refused(new, invalid("spec.healthCheckNodePort", asked, "provided port is already allocated"))
        if held and held != asked:
            reservation.freed.append(f"{PORT_PREFIX}{held}")

    async def _take_address(self, address: str, service: Obj, reservation: Reservation) -> bool:
        if reservation.dry_run:
            return self.addresses.is_free(address)
        if not await self.addresses.take(address, service):
            return False
        reservation.taken_addresses.append(address)
        return True

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
    """The keys of a service's ports."""
    ports = {*_node_ports(service), service.get("spec", {}).get("healthCheckNodePort", 0)} - {0}
    return [f"{PORT_PREFIX}{port}" for port in ports]
