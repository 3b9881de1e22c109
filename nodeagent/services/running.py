"""Starts the service proxy of an agent: its informer, its table, what it knows of the node."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nodeagent.services.endpoints import NodeFacts
from nodeagent.services.proxy import ProxyConfig, ServiceProxy
from nodeagent.services.ruleset import TableConfig
from nodeagent.settings import Settings
from tiphys.api.core.service import Service
from tiphys.api.endpoints.endpointslice import EndpointSlice
from tiphys.client.events import EventRecorder
from tiphys.client.informer import Informer
from tiphys.client.rest import Client

ZONE_LABEL = "topology.kubernetes.io/zone"


async def forward_services(
    client: Client,
    settings: Settings,
    node_labels: Callable[[], Mapping[str, str]],
    services: Informer[Service],
    events: EventRecorder,
    slices: Informer[EndpointSlice] | None = None,
) -> list[Callable[[], object]]:
    """Returns what ends it, in order of making.  `slices` may be shared and is then not ended, like `services`."""
    own = slices is None
    endpoints: Informer[EndpointSlice] = slices or Informer(client, EndpointSlice)

    def facts() -> NodeFacts:
        return NodeFacts(settings.node_name, node_labels().get(ZONE_LABEL, ""))

    def report(service: Service, reason: str, message: str) -> None:
        events.event(service, "Warning", reason, message)

    table = TableConfig(settings.services_table_name, {"ip": settings.cluster_cidr})
    proxy = ServiceProxy(
        ProxyConfig(table, facts, settings.node_ips, report, frozenset(settings.cluster_dns)), services, endpoints
    )
    if own:
        endpoints.start()
    await proxy.start()
    return [endpoints.stop, proxy.stop] if own else [proxy.stop]
