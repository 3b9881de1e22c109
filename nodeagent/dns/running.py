"""Starts the DNS of an agent: its zone follows the informers, its servers listen on the cluster's DNS addresses.

What must stay true: without `cluster_dns` nothing is started; an address that is taken is tried again, and the node
works without names meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from nodeagent.dns import link
from nodeagent.dns.forward import Forwarder
from nodeagent.dns.metrics import DNSMetrics
from nodeagent.dns.responder import Responder
from nodeagent.dns.server import DNSServer, Networks, is_among
from nodeagent.dns.upstreams import Upstreams, parse_server, parse_stub_domains
from nodeagent.dns.wire import name_of
from nodeagent.dns.zone import Zone
from nodeagent.settings import Settings
from tiphys.api.core.namespace import Namespace
from tiphys.api.core.service import Service
from tiphys.api.endpoints.endpointslice import EndpointSlice
from tiphys.api.times import parse_time
from tiphys.client.informer import Informer
from tiphys.clock import Clock
from tiphys.logs import fields

_log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"


@dataclass(frozen=True)
class Informers:
    """What the zone follows; started and stopped by whoever made them."""

    services: Informer[Service]
    slices: Informer[EndpointSlice]
    namespaces: Informer[Namespace]


async def answer_names(
    settings: Settings, informers: Informers, registry: CollectorRegistry, clock: Clock
) -> list[Callable[[], object]]:
    """Returns what ends it, in order of making.  Does not wait for the informers: until they are there, nobody listens.

    Raises ValueError for settings that are none."""
    if not settings.cluster_dns:
        return []
    metrics = DNSMetrics(registry)
    upstreams = Upstreams(
        settings.cluster_dns,
        fixed=tuple(parse_server(text) for text in settings.dns_upstreams),
        stub_domains=parse_stub_domains(settings.dns_stub_domains),
    )
    forwarder = Forwarder(upstreams, clock, metrics, stale_seconds=settings.dns_stale_seconds)
    metrics.entries = lambda: (forwarder.cache.count(denial=False), forwarder.cache.count(denial=True))
    zone = zone_of(settings)
    responder = Responder(zone, forwarder, metrics, clock)
    clients = is_among(clients_of(settings))
    servers = [DNSServer(responder, address, settings.dns_port, clients) for address in settings.cluster_dns]
    follow(zone, informers, metrics, clock)
    task = asyncio.create_task(_serve(settings, informers, servers, forwarder), name="DNS")

    async def stop() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for server in servers:
            await server.close()
        await forwarder.close()

    return [stop]


def zone_of(settings: Settings) -> Zone:
    """The empty zone of these settings."""
    addresses = tuple(ipaddress.ip_address(text) for text in settings.cluster_dns)
    local = (ipaddress.ip_network(settings.cluster_cidr),)
    return Zone(name_of(settings.cluster_domain), addresses, local)


def clients_of(settings: Settings) -> Networks:
    """Pods, and this node itself: nobody else may use us to ask others."""
    own = [*settings.cluster_dns, *settings.node_ips, "127.0.0.0/8", "::1"]
    return tuple(ipaddress.ip_network(text) for text in (settings.cluster_cidr, *own))


def follow(zone: Zone, informers: Informers, metrics: DNSMetrics, clock: Clock) -> None:
    """Every change of the informers is in the zone before anything else happens."""

    def namespace_changed(old: Namespace | None, new: Namespace | None) -> None:
        one = new or old
        assert one is not None
        zone.namespace_changed(one.metadata.name, there=new is not None)

    def slice_changed(old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        before = zone.generation
        zone.slice_changed(old, new)
        trigger = new.metadata.annotations.get(TRIGGER) if new is not None else None
        if zone.generation != before and trigger and informers.slices.synced:
            with contextlib.suppress(ValueError):
                seconds = (clock.now() - parse_time(trigger)).total_seconds()
                metrics.programming.labels("headless_with_selector").observe(max(seconds, 0.0))

    informers.namespaces.add_handler(namespace_changed)
    informers.services.add_handler(zone.service_changed)
    informers.slices.add_handler(slice_changed)


async def _serve(settings: Settings, informers: Informers, servers: list[DNSServer], forwarder: Forwarder) -> None:
    await informers.services.wait_synced()
    await informers.slices.wait_synced()
    await informers.namespaces.wait_synced()
    waiting = list(servers)
    said = ""
    while waiting:
        try:
            await asyncio.to_thread(link.ensure, link.link_name(settings.bridge_name), settings.cluster_dns)
            while waiting:
                await waiting[0].open()
                waiting.pop(0)
        except OSError as error:
            if str(error) != said:
                said = str(error)
                _log.warning("DNS cannot listen yet", extra=fields(cause=error))
            await asyncio.sleep(RETRY_SECONDS)
    _log.info("DNS answers", extra=fields(addresses=",".join(settings.cluster_dns), domain=settings.cluster_domain))
    await forwarder.probe_loops()


def teardown(bridge_name: str) -> None:
    """Remove the link."""
    link.remove(link.link_name(bridge_name))
