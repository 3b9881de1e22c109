"""Keeps the routing table, the certificates and the published addresses as the API server has the objects.

What must stay true: the listener starts when the first table is whole, and stays through every later one; a change of
an object that no Ingress needs costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from nodeagent.ingress import status
from nodeagent.ingress.connection import Serving
from nodeagent.ingress.listener import Listener
from nodeagent.ingress.plan import World, class_names, is_ours, plan
from nodeagent.ingress.routing import Table
from nodeagent.services.endpoints import NodeFacts
from tiphys.api.core.node import Node
from tiphys.api.core.secret import Secret
from tiphys.api.core.service import Service
from tiphys.api.endpoints.endpointslice import EndpointSlice
from tiphys.api.networking.ingress import Ingress
from tiphys.api.networking.ingressclass import IngressClass
from tiphys.client.errors import ApiError, ConnectionFailed
from tiphys.client.informer import Informer
from tiphys.client.informers import Informers
from tiphys.client.rest import Client
from tiphys.logs import fields

_log = logging.getLogger(__name__)

SERVICE_NAME = "kubernetes.io/service-name"
ZONE = "topology.kubernetes.io/zone"
GATHER_SECONDS = 0.02  # changes that come together make one table
RETRY_SECONDS = 5.0
SECRETS_SECONDS = 5.0
Reference = tuple[str, str]


@dataclass(frozen=True)
class IngressSettings:
    """`address` "" listens on all of them."""

    node_name: str
    address: str = ""
    http_port: int = 80
    https_port: int = 443


class IngressController:
    """`run` until cancelled; `listening` is set once both ports are open."""

    def __init__(self, client: Client, settings: IngressSettings, serving: Serving) -> None:
        self._client, self._settings, self._serving = client, settings, serving
        self.listener = Listener(serving, settings.address, settings.http_port, settings.https_port)
        self.listening = asyncio.Event()
        self._routes_stale, self._status_stale = asyncio.Event(), asyncio.Event()
        self._services: set[Reference] = set()
        self._secrets: dict[Reference, Informer[Secret]] = {}
        self._problems: dict[Reference, list[str]] = {}
        informers = self._informers = Informers(client)
        self._classes, self._ingresses = informers.of(IngressClass), informers.of(Ingress)
        self._service_cache, self._slices = informers.of(Service), informers.of(EndpointSlice)
        self._nodes = informers.of(Node)
        self._slices.add_index("service", lambda one: [_service_of(one)])

    async def run(self) -> None:
        """Serve until cancelled, then let what is under way end."""
        tasks: list[asyncio.Task[None]] = []
        try:
            self._informers.start()
            await self._informers.wait_synced()
            self._listen_to_changes()
            await self._rebuild()
            await self._open()
            tasks += [asyncio.create_task(self._keep_routes()), asyncio.create_task(self._keep_status())]
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._close()

    async def _open(self) -> None:
        while True:
            try:
                await self.listener.start()
                break
            except OSError as error:
                _log.error("cannot listen", extra=fields(cause=error))
                await asyncio.sleep(RETRY_SECONDS)
        self.listening.set()
        _log.info("listening", extra=fields(http=self.listener.http_port, https=self.listener.https_port))
        await self._announce("true")

    async def _close(self) -> None:
        if self.listening.is_set():
            await self._announce(None)
        await self.listener.stop()
        self._serving.backends.close()
        await self._informers.stop()
        await asyncio.gather(*(informer.stop() for informer in self._secrets.values()))

    async def _announce(self, value: str | None) -> None:
        """Say on our Node whether we listen; the Node is there, since its agent has started us."""
        patch = {"metadata": {"annotations": {status.LISTENS: value}}}
        try:
            await self._client.patch(Node, self._settings.node_name, "", patch)
        except (ApiError, ConnectionFailed) as error:
            _log.warning("the node was not annotated", extra=fields(cause=error))

    # Changes

    def _listen_to_changes(self) -> None:
        for informer in (self._classes, self._ingresses):
            informer.add_handler(self._ingress_changed)
        self._service_cache.add_handler(self._service_changed)
        self._slices.add_handler(self._slice_changed)
        self._nodes.add_handler(self._node_changed)

    def _ingress_changed(self, old: Any, new: Any) -> None:
        self._status_stale.set()
        if old is None or new is None or _meaning(old) != _meaning(new):
            self._routes_stale.set()

    def _service_changed(self, old: Service | None, new: Service | None) -> None:
        one = new or old
        if one is not None and (one.metadata.namespace, one.metadata.name) in self._services:
            self._routes_stale.set()

    def _slice_changed(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        for one in (old, new):
            if one is not None and (one.metadata.namespace, one.metadata.labels.get(SERVICE_NAME)) in self._services:
                self._routes_stale.set()

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        if status.addresses([old] if old else []) != status.addresses([new] if new else []):
            self._status_stale.set()

    # Routes

    async def _keep_routes(self) -> None:
        while True:
            await self._routes_stale.wait()
            await asyncio.sleep(GATHER_SECONDS)
            await self._rebuild()

    def _ours(self) -> list[Ingress]:
        names = class_names(self._classes.list())
        return [one for one in self._ingresses.list() if is_ours(one, names) and not one.metadata.deletionTimestamp]

    async def _rebuild(self) -> None:
        self._routes_stale.clear()
        node = self._nodes.get("", self._settings.node_name)
        facts = NodeFacts(self._settings.node_name, node.metadata.labels.get(ZONE, "") if node else "")
        ours = self._ours()
        result = plan(ours, World(self._service_cache.get, self._slices_of, facts))
        self._services = result.services
        await self._follow_secrets(set(result.table.certificates.values()))
        self._serving.certificates.update({one: cached.get(*one) for one, cached in self._secrets.items()})
        self._serving.table = result.table
        self._serving.backends.retain(_addresses(result.table))
        self._serving.metrics.retain((one.metadata.namespace, one.metadata.name) for one in ours)
        self._tell(result.problems)

    def _slices_of(self, namespace: str, service: str) -> list[EndpointSlice]:
        return list(self._slices.by_index("service", f"{namespace}/{service}"))

    async def _follow_secrets(self, wanted: set[Reference]) -> None:
        """Watch each by its name; new ones are waited for, so that a new host shows its certificate at once."""
        for gone in [one for one in self._secrets if one not in wanted]:
            await self._secrets.pop(gone).stop()
        new = []
        for namespace, name in wanted - self._secrets.keys():
            informer = Informer(self._client, Secret, namespace=namespace, field_selector=f"metadata.name={name}")
            informer.add_handler(lambda old, secret: self._routes_stale.set())
            self._secrets[namespace, name] = informer
            informer.start()
            new.append(asyncio.create_task(informer.wait_synced()))
        if new:
            await asyncio.wait(new, timeout=SECRETS_SECONDS)
            for task in new:
                task.cancel()

    def _tell(self, problems: dict[Reference, list[str]]) -> None:
        for (namespace, name), texts in problems.items():
            if self._problems.get((namespace, name)) != texts:
                extra = fields(namespace=namespace, ingress=name, problems="; ".join(texts))
                _log.warning("an ingress is not served whole", extra=extra)
        self._problems = problems

    # Status

    async def _keep_status(self) -> None:
        while True:
            await self._status_stale.wait()
            self._status_stale.clear()
            nodes = self._nodes.list()
            if status.writer(nodes) != self._settings.node_name:
                continue
            try:
                await self._publish(status.addresses(nodes))
            except (ApiError, ConnectionFailed) as error:
                _log.warning("addresses were not published", extra=fields(cause=error))
                await asyncio.sleep(RETRY_SECONDS)
                self._status_stale.set()

    async def _publish(self, wanted: list[dict[str, str]]) -> None:
        patch = {"status": {"loadBalancer": {"ingress": wanted}}}
        for one in status.outdated(self._ours(), wanted):
            try:
                await self._client.patch(
                    Ingress, one.metadata.name, one.metadata.namespace, patch, subresource="status"
                )
            except ApiError as error:
                if error.code != 404:
                    raise


def _service_of(one: EndpointSlice) -> str:
    return f"{one.metadata.namespace}/{one.metadata.labels.get(SERVICE_NAME, '')}"


def _meaning(one: Ingress | IngressClass) -> tuple[Any, ...]:
    """What routes depend on: not the status."""
    return one.spec, one.metadata.annotations, one.metadata.deletionTimestamp


def _addresses(table: Table) -> set[tuple[str, int]]:
    routes = [*table.hosts.values(), *table.wildcards.values(), table.anywhere]
    found: set[tuple[str, int]] = set()
    for host in routes:
        for route in (*host.exact.values(), *host.prefixes.values(), host.fallback):
            if route is not None:
                found.update(route.backend.endpoints)
    return found
