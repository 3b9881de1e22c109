"""Endpoints: the same addresses as EndpointSlices, in the one object per Service that older clients read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from controllers.endpointslice import selector_of
from controllers.endpointslice_plan import ports_of, serves
from controllers.podconditions import is_ready
from tiphys.api.core.endpoints import Endpoints
from tiphys.api.core.pod import Pod
from tiphys.api.core.service import Service
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Writes
from tiphys.client.errors import ApiError

CAPACITY = 1000
MANAGED_BY = {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}


def subsets(service: Service, pods: Sequence[Pod]) -> list[dict[str, Any]]:
    """The addresses by the ports they share, ready ones and others, in the order of addresses."""
    groups: dict[str, dict[str, Any]] = {}
    counted = [pod for pod in pods if serves(pod) and not pod.metadata.deletionTimestamp]
    for pod in sorted(counted, key=lambda pod: pod.status.podIP)[:CAPACITY]:
        ports = [_without_empty(port) for port in ports_of(service, pod)]
        group = groups.setdefault(repr(ports), {"ports": ports})
        ready = is_ready(pod) or service.spec.publishNotReadyAddresses
        meta = pod.metadata
        address = {
            "ip": pod.status.podIP,
            "nodeName": pod.spec.nodeName,
            "targetRef": {"kind": "Pod", "namespace": meta.namespace, "name": meta.name, "uid": meta.uid},
        }
        if pod.spec.hostname and pod.spec.subdomain == service.metadata.name:
            address["hostname"] = pod.spec.hostname
        group.setdefault("addresses" if ready else "notReadyAddresses", []).append(address)
    return [{name: value for name, value in group.items() if value} for group in groups.values()]


def _without_empty(port: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in port.items() if value != ""}


class EndpointsController(Controller):
    name: ClassVar = "endpoints-controller"
    kind = Service
    reads = (Pod, Endpoints)
    writes = (Writes(Endpoints, ("create", "patch", "delete")),)

    def setup(self) -> None:
        self.on(Pod, self._services_of)
        self.on(Endpoints, lambda held: [Key(held.metadata.namespace, held.metadata.name)])

    def _services_of(self, pod: Pod) -> Iterable[Key]:
        for service in self.cache(Service).list(pod.metadata.namespace):
            if service.spec.selector and service.spec.selector.items() <= pod.metadata.labels.items():
                yield Key(service.metadata.namespace, service.metadata.name)

    async def reconcile(self, key: Key) -> float | None:
        service, held = self.cache(Service).get(*key), self.cache(Endpoints).get(*key)
        if service is None:
            if held is not None and held.metadata.labels.items() >= MANAGED_BY.items():
                await self.client.delete(Endpoints, key.name, key.namespace, uid=held.metadata.uid)
            return None
        if not service.spec.selector or service.spec.type == "ExternalName" or service.metadata.deletionTimestamp:
            return None
        wanted = subsets(service, self.cache(Pod).list(key.namespace, selector_of(service)))
        labels = {**service.metadata.labels, **MANAGED_BY}
        if service.spec.clusterIP == "None":
            labels["service.kubernetes.io/headless"] = ""
        try:
            if held is None:
                metadata = {"name": key.name, "namespace": key.namespace, "labels": labels}
                await self.client.create(Endpoints.model_validate({"metadata": metadata, "subsets": wanted}))
            elif [one.to_dict() for one in held.subsets] != wanted or held.metadata.labels != labels:
                gone = dict.fromkeys(held.metadata.labels.keys() - labels.keys(), None)
                metadata = {"labels": {**gone, **labels}, "resourceVersion": held.metadata.resourceVersion}
                await self.client.patch(
                    Endpoints, key.name, key.namespace, {"metadata": metadata, "subsets": wanted or None}
                )
        except ApiError as error:
            if not error.namespace_terminating:
                raise
        return None
