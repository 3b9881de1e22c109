"""Endpoints made by hand, for a Service without a selector, are mirrored as EndpointSlices: nobody else reads them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from controllers.endpointslice_plan import MANAGED_BY_LABEL, SERVICE_LABEL
from tiphys.api.core.endpoints import EndpointAddress, Endpoints
from tiphys.api.core.service import Service
from tiphys.api.endpoints.endpointslice import EndpointSlice
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Writes
from tiphys.client.errors import ApiError
from tiphys.client.ownership import owner_reference

MANAGED_BY = "endpointslicemirroring-controller.k8s.io"
SKIP_LABEL = "endpointslice.kubernetes.io/skip-mirror"
LEADER_ANNOTATION = "control-plane.alpha.kubernetes.io/leader"
INDEX = "mirrored"

Wire = dict[str, Any]


@dataclass
class Plan:
    create: list[Wire] = field(default_factory=list)
    update: list[tuple[EndpointSlice, Wire]] = field(default_factory=list)  # (slice, merge patch)
    delete: list[EndpointSlice] = field(default_factory=list)


def is_mirrored(endpoints: Endpoints, service: Service | None) -> bool:
    meta = endpoints.metadata
    if service is None or service.spec.selector or service.metadata.deletionTimestamp or meta.deletionTimestamp:
        return False
    return meta.labels.get(SKIP_LABEL) != "true" and LEADER_ANNOTATION not in meta.annotations


def contents(endpoints: Endpoints) -> list[Wire]:
    """addressType, endpoints and ports of each slice: one per subset and family."""
    found = []
    for subset in endpoints.subsets:
        ports = [_port(port.to_dict()) for port in subset.ports]
        families: dict[str, list[Wire]] = {}
        for ready, addresses in ((True, subset.addresses), (False, subset.notReadyAddresses)):
            for address in addresses:
                family = "IPv6" if ipaddress.ip_address(address.ip).version == 6 else "IPv4"
                families.setdefault(family, []).append(_endpoint(address, ready))
        found += [{"addressType": family, "endpoints": some, "ports": ports} for family, some in families.items()]
    return found


def _port(port: Wire) -> Wire:
    return {"name": "", "protocol": "TCP", **port}


def _endpoint(address: EndpointAddress, ready: bool) -> Wire:
    found: Wire = {"addresses": [address.ip], "conditions": {"ready": ready}}
    if address.hostname:
        found["hostname"] = address.hostname
    if address.nodeName:
        found["nodeName"] = address.nodeName
    if address.targetRef is not None:
        found["targetRef"] = address.targetRef.to_dict()
    return found


def plan(endpoints: Endpoints, held: Sequence[EndpointSlice]) -> Plan:
    """Slices that already say the same stay; those for the same ports change; the others come and go."""
    todo, left = Plan(), list(held)
    meta = endpoints.metadata
    inherited = {name: value for name, value in meta.labels.items() if name != MANAGED_BY_LABEL}
    labels = {**inherited, SERVICE_LABEL: meta.name, MANAGED_BY_LABEL: MANAGED_BY}
    for wanted in contents(endpoints):
        same = [one for one in left if _shape(one) == (wanted["addressType"], wanted["ports"])]
        if not same:
            metadata = {
                "generateName": f"{meta.name}-",
                "namespace": meta.namespace,
                "labels": labels,
                "ownerReferences": [owner_reference(endpoints)],
            }
            todo.create.append({"metadata": metadata, **wanted})
            continue
        one = same[0]
        left.remove(one)
        if [each.to_dict() for each in one.endpoints] != wanted["endpoints"] or one.metadata.labels != labels:
            gone = dict.fromkeys(one.metadata.labels.keys() - labels.keys())
            todo.update.append((one, {"metadata": {"labels": {**gone, **labels}}, "endpoints": wanted["endpoints"]}))
    todo.delete = left
    return todo


def _shape(held: EndpointSlice) -> tuple[str, list[Wire]]:
    return held.addressType, [_port(port.to_dict()) for port in held.ports]


class EndpointSliceMirroringController(Controller):
    name: ClassVar = "endpointslicemirroring-controller"
    kind = Endpoints
    reads = (Service, EndpointSlice)
    writes = (Writes(EndpointSlice, ("create", "patch", "delete")), Writes(Endpoints, ("update",), "finalizers"))

    def setup(self) -> None:
        self.cache(EndpointSlice).add_index(INDEX, _endpoints_of)
        self.on(Service, lambda service: [Key(service.metadata.namespace, service.metadata.name)])
        self.on(EndpointSlice, self._mirrored)

    def _mirrored(self, held: EndpointSlice) -> Iterable[Key]:
        for text in _endpoints_of(held):
            namespace, _, name = text.partition("/")
            yield Key(namespace, name)

    async def reconcile(self, key: Key) -> float | None:
        endpoints, service = self.cache(Endpoints).get(*key), self.cache(Service).get(*key)
        held = self.cache(EndpointSlice).by_index(INDEX, str(key))
        if endpoints is None or not is_mirrored(endpoints, service):
            todo = Plan(delete=list(held))
        else:
            todo = plan(endpoints, held)
        try:
            for wanted in todo.create:
                await self.client.create(EndpointSlice.model_validate(wanted))
        except ApiError as error:
            if not error.namespace_terminating:
                raise
        for one, patch in todo.update:
            change = {**patch, "metadata": {**patch["metadata"], "resourceVersion": one.metadata.resourceVersion}}
            await self.client.patch(EndpointSlice, one.metadata.name, key.namespace, change)
        for one in todo.delete:
            await self.client.delete(EndpointSlice, one.metadata.name, key.namespace, uid=one.metadata.uid)
        return None


def _endpoints_of(held: EndpointSlice) -> list[str]:
    labels = held.metadata.labels
    if labels.get(MANAGED_BY_LABEL) != MANAGED_BY or SERVICE_LABEL not in labels:
        return []
    return [f"{held.metadata.namespace}/{labels[SERVICE_LABEL]}"]
