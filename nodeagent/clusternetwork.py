"""What a node does for the cluster's network beside carrying packets: Services, names and Ingresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry

from nodeagent.dns.running import Informers, answer_names
from nodeagent.ingress.keeper import serve_ingresses
from nodeagent.policy.keeper import PolicyInformers, PolicyKeeper
from nodeagent.services.running import forward_services
from nodeagent.settings import Settings
from tiphys.api.core.namespace import Namespace
from tiphys.api.core.pod import Pod
from tiphys.api.core.service import Service
from tiphys.api.endpoints.endpointslice import EndpointSlice
from tiphys.api.networking.networkpolicy import NetworkPolicy
from tiphys.client.events import EventRecorder
from tiphys.client.informer import Informer
from tiphys.client.rest import Client
from tiphys.clock import Clock


async def start(
    client: Client,
    settings: Settings,
    node_labels: Callable[[], Mapping[str, str]],
    services: Informer[Service],
    events: EventRecorder,
    registry: CollectorRegistry,
    clock: Clock,
) -> list[Callable[[], object]]:
    """Returns what ends it, in order of making; `services` is started by the caller and stays."""
    slices: Informer[EndpointSlice] = Informer(client, EndpointSlice)
    namespaces: Informer[Namespace] = Informer(client, Namespace)
    slices.start()
    namespaces.start()
    names = await answer_names(settings, Informers(services, slices, namespaces), registry, clock)
    proxy = await forward_services(client, settings, node_labels, services, events, slices)
    return [slices.stop, namespaces.stop, *names, *proxy, *serve_ingresses(client, settings)]


async def enforce_policies(
    client: Client, keeper: PolicyKeeper, local: Informer[Pod], addresses: Mapping[str, str]
) -> list[Callable[[], object]]:
    """Start the keeper; `addresses`: pod uid -> address of the pods that are here.  Returns what ends it, in order."""
    policies: Informer[NetworkPolicy] = Informer(client, NetworkPolicy)
    namespaces: Informer[Namespace] = Informer(client, Namespace)
    policies.start()
    namespaces.start()
    await keeper.start(PolicyInformers(policies, namespaces, Informer(client, Pod), local), addresses)
    return [policies.stop, namespaces.stop, keeper.stop]
