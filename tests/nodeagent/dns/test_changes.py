"""An answer follows readiness: from the write of an EndpointSlice to the first answer with it, on a real server."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from prometheus_client import CollectorRegistry

from nodeagent.dns import wire
from nodeagent.dns.forward import Forwarder
from nodeagent.dns.metrics import DNSMetrics
from nodeagent.dns.responder import Responder
from nodeagent.dns.running import Informers, follow
from nodeagent.dns.upstreams import Upstreams
from nodeagent.dns.zone import Zone
from tests.nodeagent.cluster import Cluster
from tests.nodeagent.dns.cluster_objects import endpoint, endpoint_slice, question, service
from tiphys.api.core.namespace import Namespace
from tiphys.api.core.service import Service
from tiphys.api.endpoints.endpointslice import EndpointSlice
from tiphys.client.errors import ApiError, ConnectionFailed
from tiphys.client.informer import Informer
from tiphys.client.rest import Client
from tiphys.clock import SystemClock

CHANGES = 20
DEADLINE_SECONDS = 5.0  # of one change; the figure that is printed is the one that counts


def test_an_answer_follows_the_readiness_of_an_endpoint(tmp_path: Path) -> None:
    asyncio.run(_follow(tmp_path))


async def _follow(directory: Path) -> None:
    cluster = Cluster(directory)
    cluster.start_api()
    try:
        async with cluster.client() as client:
            await _answered(client)
            seconds = sorted(await _changes(client))
    finally:
        cluster.stop()
    print(f"readiness to answer: p50 {seconds[len(seconds) // 2] * 1000:.1f} ms, max {seconds[-1] * 1000:.1f} ms")


async def _answered(client: Client) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                await client.get(Namespace, "default")
                return
            except (ApiError, ConnectionFailed):
                await asyncio.sleep(0.05)


async def _changes(client: Client) -> list[float]:
    clock, metrics = SystemClock(), DNSMetrics(CollectorRegistry())
    zone = Zone(wire.name_of("cluster.local"))
    informers = Informers(Informer(client, Service), Informer(client, EndpointSlice), Informer(client, Namespace))
    follow(zone, informers, metrics, clock)
    responder = Responder(zone, Forwarder(Upstreams([]), clock, metrics), metrics, clock)
    every = (informers.services, informers.slices, informers.namespaces)
    for one in every:
        one.start()
    for one in every:
        await one.wait_synced()
    ports = [{"name": "http", "port": 80}]
    await client.create(service("follow", clusterIP="None", clusterIPs=["None"], ports=ports))
    held = await client.create(endpoint_slice("follow", [endpoint("10.244.0.2", ready=False)], name="follow-mine"))
    asked = question("follow.default.svc.cluster.local", wire.A)
    seconds = []
    for number in range(CHANGES):
        ready = number % 2 == 0
        changed = endpoint_slice("follow", [endpoint("10.244.0.2", ready=ready)], name="follow-mine")
        held = await client.update(changed.model_copy(update={"metadata": held.metadata}))
        written = time.monotonic()
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                said = responder.respond(asked, tcp=False)
                assert isinstance(said, bytes)
                if bool(wire.walk(said).addresses) == ready:
                    break
                await asyncio.sleep(0.0005)
        seconds.append(time.monotonic() - written)
    for one in every:
        await one.stop()
    return seconds
