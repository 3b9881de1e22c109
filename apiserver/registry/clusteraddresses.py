"""Cluster addresses of Services: each is an IPAddress object, made before the Service and gone after it.

What must stay true: the object is the reservation (its name is the address, and a name exists once), so no two servers
hand out the same one; only objects that this allocator made are ever removed by it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

from apiserver.registry import objectmeta
from apiserver.registry.store import ResourceStore
from apiserver.resources import Resources
from tiphys.api.status import StatusError
from tiphys.api.times import format_time
from tiphys.clock import Clock

Obj = dict[str, Any]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

GROUP = "networking.k8s.io"
MANAGED_BY = ("ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io")
FAMILY_LABEL = "ipaddress.kubernetes.io/ip-family"


class ClusterAddresses:
    """`network` is the server's own range; ServiceCIDR objects may add others."""

    def __init__(self, resources: Resources, network: Network, clock: Clock) -> None:
        self._resources, self._clock = resources, clock
        self.network = network

    @property
    def _store(self) -> ResourceStore:
        store = self._resources.named(GROUP, "ipaddresses")
        assert store is not None
        return store

    def networks(self) -> list[Network]:
        """The server's own range first, then those of ServiceCIDRs that are not being deleted."""
        found = [self.network]
        store = self._resources.named(GROUP, "servicecidrs")
        for one in store.peek_all() if store is not None else ():
            if not one["metadata"].get("deletionTimestamp"):
                found += [ipaddress.ip_network(text) for text in one.get("spec", {}).get("cidrs", [])]
        return list(dict.fromkeys(network for network in found if network.version == self.network.version))

    def is_free(self, address: str) -> bool:
        return self._store.peek("", address) is None

    async def take(self, address: str, service: Obj) -> bool:
        """False: somebody has it."""
        try:
            await self._store.insert(self._object(address, service))
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise
            return False
        return True

    def _object(self, address: str, service: Obj) -> Obj:
        family = "IPv6" if ":" in address else "IPv4"
        metadata: Obj = {"name": address, "labels": {FAMILY_LABEL: family, MANAGED_BY[0]: MANAGED_BY[1]}}
        objectmeta.fill_system_fields(metadata, format_time(self._clock.now()))
        of = service["metadata"]
        parent = {"resource": "services", "namespace": of.get("namespace", ""), "name": of.get("name", "")}
        return {
            "kind": "IPAddress",
            "apiVersion": f"{GROUP}/v1",
            "metadata": metadata,
            "spec": {"parentRef": {key: value for key, value in parent.items() if value}},
        }

    async def free(self, addresses: Iterable[str]) -> None:
        """Absent ones are fine."""

        async def nothing(current: Obj) -> None:
            return None

        for address in addresses:
            try:
                await self._store.change("", address, nothing)
            except StatusError as error:
                if error.reason != "NotFound":
                    raise

    async def claim(self, wanted: dict[str, Obj]) -> set[str]:
        """`wanted`: address -> its Service.  Make what is missing; the addresses that are reserved for nobody."""
        held = set(self._made())
        for address, service in wanted.items():
            if address not in held:
                await self.take(address, service)
        return held - set(wanted)

    def _made(self) -> Iterator[str]:
        for one in self._store.peek_all():
            if one["metadata"].get("labels", {}).get(MANAGED_BY[0]) == MANAGED_BY[1]:
                yield one["metadata"]["name"]
