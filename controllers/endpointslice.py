"""EndpointSlices: for every Service with a selector, the addresses of the pods behind it.

The plan is endpointslice_plan.py.  Services without a selector and of type ExternalName are left to their owners.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from controllers.endpointslice_plan import MANAGED_BY, MANAGED_BY_LABEL, SERVICE_LABEL, plan
from tiphys.api.core.node import Node
from tiphys.api.core.pod import Pod
from tiphys.api.core.service import Service
from tiphys.api.endpoints.endpointslice import EndpointSlice
from tiphys.api.selectors import LabelSelectorExpr, Requirement
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Writes
from tiphys.client.errors import ApiError

ZONE_LABEL = "topology.kubernetes.io/zone"
SERVICE_INDEX = "service"


def selector_of(service: Service) -> LabelSelectorExpr:
    """A Service's selector: equality only."""
    return LabelSelectorExpr(tuple(Requirement(k, "In", frozenset([v])) for k, v in service.spec.selector.items()))


class EndpointSliceController(Controller):
    name: ClassVar = "endpointslice-controller"
    kind = Service
    owns = (EndpointSlice,)
    reads = (Pod, Node)
    writes = (Writes(EndpointSlice, ("create", "patch", "delete")), Writes(Service, ("update",), "finalizers"))

    def setup(self) -> None:
        self.cache(EndpointSlice).add_index(SERVICE_INDEX, _service_of)
        self.on(Pod, self._services_of)

    def _services_of(self, pod: Pod) -> Iterable[Key]:
        labels = pod.metadata.labels
        for service in self.cache(Service).list(pod.metadata.namespace):
            if service.spec.selector and service.spec.selector.items() <= labels.items():
                yield Key(service.metadata.namespace, service.metadata.name)

    async def reconcile(self, key: Key) -> float | None:
        service = self.cache(Service).get(*key)
        if service is None or not service.spec.selector or service.spec.type == "ExternalName":
            return None  # the garbage collector takes the slices of a Service that is gone
        if service.metadata.deletionTimestamp:
            return None
        pods = self.cache(Pod).list(key.namespace, selector_of(service))
        zones = {node.metadata.name: node.metadata.labels.get(ZONE_LABEL, "") for node in self.cache(Node).list()}
        slices = self.cache(EndpointSlice).by_index(SERVICE_INDEX, str(key))
        todo = plan(service, pods, zones, slices)
        try:
            for wanted in todo.create:
                await self.client.create(EndpointSlice.model_validate(wanted))
        except ApiError as error:
            if not error.namespace_terminating:
                raise
        for held, patch in todo.update:
            change = {**patch, "metadata": {**patch["metadata"], "resourceVersion": held.metadata.resourceVersion}}
            await self.client.patch(EndpointSlice, held.metadata.name, key.namespace, change)
        for held in todo.delete:
            await self.client.delete(EndpointSlice, held.metadata.name, key.namespace, uid=held.metadata.uid)
        return None


def _service_of(held: EndpointSlice) -> list[str]:
    """Only slices of ours: others may belong to a mirroring controller or to a person."""
    labels = held.metadata.labels
    if labels.get(MANAGED_BY_LABEL) != MANAGED_BY or SERVICE_LABEL not in labels:
        return []
    return [f"{held.metadata.namespace}/{labels[SERVICE_LABEL]}"]
