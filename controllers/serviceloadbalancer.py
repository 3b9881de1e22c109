"""Services of type LoadBalancer get the addresses of the nodes: every node answers on the Service's ports.

For Services of our class, and for those of no class unless somebody else already serves them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from controllers.nodelifecycle import status_of
from tiphys.api.core.node import Node
from tiphys.api.core.service import Service
from tiphys.client.cache import Key, key_of
from tiphys.client.controller import Controller, Writes

CLASS = "tiphys.dev/node-addresses"
EXCLUDE_LABEL = "node.kubernetes.io/exclude-from-external-load-balancers"


def address_of(node: Node) -> str:
    """The one others should use: ExternalIP before InternalIP; "" where the node says neither."""
    for type in ("ExternalIP", "InternalIP"):
        for address in node.status.addresses:
            if address.type == type:
                return address.address
    return ""


def addresses(nodes: Iterable[Node]) -> list[str]:
    """Of the nodes that are ready and take part, in order."""
    chosen = (
        node
        for node in nodes
        if status_of(node, "Ready") == "True"
        and EXCLUDE_LABEL not in node.metadata.labels
        and not node.metadata.deletionTimestamp
    )
    return sorted({address for node in chosen if (address := address_of(node))})


def is_ours(service: Service, every: Iterable[str]) -> bool:
    """Whether we say where the Service is; `every` are the addresses of all nodes."""
    if service.spec.loadBalancerClass is not None:
        return service.spec.loadBalancerClass == CLASS
    held = {one.ip for one in service.status.loadBalancer.ingress}
    return not held or bool(held & set(every))


def wanted_ingress(service: Service, nodes: Sequence[Node]) -> list[str] | None:
    """The addresses to write; None: they are right, or not ours."""
    held = [one.ip for one in service.status.loadBalancer.ingress]
    wanted = [] if service.spec.type != "LoadBalancer" else addresses(nodes)
    if wanted == held or service.metadata.deletionTimestamp:
        return None
    return wanted if is_ours(service, (address_of(node) for node in nodes)) else None


class ServiceLoadBalancerController(Controller):
    name: ClassVar = "service-lb-controller"
    kind = Service
    reads = (Node,)
    writes = (Writes(Service, ("patch",), "status"),)

    def setup(self) -> None:
        self._addresses: list[str] = []
        self.on(Node, self._all)

    def _all(self, _: Node) -> Iterable[Key]:
        """Every Service, when the list of addresses is another one; heartbeats change nothing."""
        found = addresses(self.cache(Node).list())
        if found != self._addresses:
            self._addresses = found
            for service in self.cache(Service).list():
                if service.spec.type == "LoadBalancer":
                    yield key_of(service)

    async def reconcile(self, key: Key) -> float | None:
        service = self.cache(Service).get(*key)
        if service is None or (service.spec.type != "LoadBalancer" and not service.status.loadBalancer.ingress):
            return None
        wanted = wanted_ingress(service, self.cache(Node).list())
        if wanted is None:
            return None
        patch = {
            "metadata": {"resourceVersion": service.metadata.resourceVersion},
            "status": {"loadBalancer": {"ingress": [{"ip": address} for address in wanted] or None}},
        }
        await self.client.patch(Service, key.name, key.namespace, patch, subresource="status")
        message = f"Ensured load balancer at {', '.join(wanted)}" if wanted else "Deleted load balancer"
        reason = "EnsuredLoadBalancer" if wanted else "DeletedLoadBalancer"
        self.events.event(service, "Normal", reason, message, source=self.name)
        return None
