"""The API server put together: store, cache, resources, admission, filters, paths.  Read this first.

`ApiServer` starts in the order its methods stand: nothing listens before the cache is full and the system namespaces
are there, and nothing is closed before the listeners are.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from apiserver.admission.denyserviceexternalips import DenyServiceExternalIPs
from apiserver.admission.plugins import builtin_admission
from apiserver.aggregator import frontproxy
from apiserver.aggregator.backends import Backends
from apiserver.aggregator.controller import Aggregator
from apiserver.authentication import AuthenticatorChain
from apiserver.authentication.anonymous import Anonymous
from apiserver.authentication.bootstraptoken import BootstrapTokens
from apiserver.authentication.clientcert import ClientCertificates
from apiserver.authentication.issuer import Issuer, OpenIdDocuments
from apiserver.authentication.legacytoken import LegacyTokens
from apiserver.authentication.serviceaccount import ServiceAccountTokens, TokenSigner
from apiserver.authorization import Union
from apiserver.authorization.aggregation import ClusterRoleAggregation
from apiserver.authorization.escalation import EscalationCheck
from apiserver.authorization.node import NodeAuthorizer
from apiserver.authorization.privilegedgroups import PrivilegedGroups
from apiserver.authorization.rbac import RbacAuthorizer, RbacIndex
from apiserver.authorization.reconciliation import ensure_defaults
from apiserver.bootstrap import Bootstrap
from apiserver.crd.controller import CustomResources
from apiserver.discovery import Discovery
from apiserver.dispatch import Dispatcher
from apiserver.filters.auditid import audit_id
from apiserver.filters.authenticate import authenticate
from apiserver.filters.authorize import authorize
from apiserver.filters.impersonate import impersonate
from apiserver.filters.inflight import InFlight
from apiserver.filters.measure import measure
from apiserver.filters.recover import recover
from apiserver.filters.timeout import timeout
from apiserver.filters.warnings import warnings
from apiserver.flowcontrol.controller import FlowControl
from apiserver.health import Check, Health, ping
from apiserver.metrics import Metrics, set_all
from apiserver.openapi import OpenApi
from apiserver.outbound import Outbound
from apiserver.paths import Paths, version
from apiserver.registry.codec import Fields, describe
from apiserver.registry.expiry import Expiry
from apiserver.registry.services import ServiceAllocator
from apiserver.registry.store import ResourceStore
from apiserver.registry.strategies import builtin_strategies
from apiserver.request import Handler, chain
from apiserver.resources import Resources, selectable_fields
from apiserver.server import BODY_SECONDS, IDLE_SECONDS, HttpServer, tls_context
from apiserver.storage.compactor import INTERVAL_SECONDS, Compactor
from apiserver.storage.consistency import ConsistencyCheck
from apiserver.storage.open_store import open_store
from apiserver.storage.store import Store, StoreError
from apiserver.storage.watchcache import WatchCache
from apiserver.subresources.kubelets import Agents
from apiserver.subresources.proxy import Proxy
from apiserver.subresources.table import subresources, virtual_kinds
from apiserver.version import GIT_VERSION, MAJOR, MINOR, version_document
from tiphys.api.kinds import builtin_registry
from tiphys.api.status import StatusError
from tiphys.clock import Clock
from tiphys.logs import fields

_log = logging.getLogger(__name__)


SETTLED_SECONDS = 75.0  # no request that was under way lasts as long
LISTED_PATHS = (
    "/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2",
    "/openapi/v3", "/openid/v1/jwks", "/readyz", "/version",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Options:
    """What the flags say.  `port` 0 asks for a free one; `advertise_address` "" is the bind address."""

    data_dir: Path
    pki_dir: Path
    store: str = "sqlite"
    bind_address: str = "127.0.0.1"
    advertise_address: str = ""
    port: int = 6443
    service_cluster_ip_range: str = "10.96.0.0/16"
    idle_seconds: float = IDLE_SECONDS
    body_seconds: float = BODY_SECONDS
    compaction_seconds: float = INTERVAL_SECONDS
    issuer: Issuer = Issuer()  # noqa: RUF009 - frozen
    external_ips: bool = False  # may Services claim externalIPs
    loopback_webhooks: bool = False  # may webhooks be called on this machine's own loopback address


class ApiServer:
    """One API server on the running event loop."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self.port = 0
        self._store: Store | None = None
        self._cache: WatchCache | None = None
        self._http: HttpServer | None = None
        self._proxy: Proxy | None = None
        self._outbound: Outbound | None = None
        self._background: list[asyncio.Task[None]] = []
        self._ready = False

    async def start(self) -> None:
        """Raises OSError (port, files), StoreError."""
        options = self._options
        registry = builtin_registry()
        self._store = await open_store(options.store, options.data_dir, self._clock)
        readers = selectable_fields(registry)
        self._cache = WatchCache(self._store, describe(lambda key: _reader_of(key, readers)))
        await self._cache.start()
        network = ipaddress.ip_network(options.service_cluster_ip_range)
        allocator = ServiceAllocator(self._store, network)
        strategies = builtin_strategies(registry, allocator.strategy())
        self.resources = resources = Resources(registry, self._store, self._cache, strategies)
        allocator.bind(resources, self._clock)
        handler, bootstrap = self._build(resources)
        assert self._outbound is not None
        custom = CustomResources(resources, self._clock, self._kinds_changed, self._outbound)
        self._aggregator.start()
        custom.start()
        services = resources.named("", "services")
        assert services is not None
        await self._repair(services, allocator)
        await bootstrap.namespaces()
        await bootstrap.priority_classes()
        await ensure_defaults(bootstrap, resources)
        await self._flow_control.ensure(bootstrap)
        aggregation = ClusterRoleAggregation(resources, bootstrap)
        await aggregation.sync()
        await frontproxy.publish(bootstrap, resources, options.pki_dir)
        self._http = HttpServer(handler, idle_seconds=options.idle_seconds, body_seconds=options.body_seconds)
        context = tls_context(
            options.pki_dir / "apiserver.crt", options.pki_dir / "apiserver.key", options.pki_dir / "ca.crt"
        )
        self.port = await self._http.start(options.bind_address, options.port, context)
        await bootstrap.service_range(str(network))
        await bootstrap.kubernetes_service(str(network[1]), self._advertised(), self.port)
        self._background += [
            asyncio.create_task(Compactor(self._cache, self._options.compaction_seconds).run(), name="compactor"),
            asyncio.create_task(Expiry(resources, self._clock).run(), name="expiry"),
            asyncio.create_task(custom.run(), name="custom-resources"),
            asyncio.create_task(self._aggregator.run(), name="aggregator"),
            asyncio.create_task(aggregation.run(), name="clusterrole-aggregation"),
            asyncio.create_task(self._flow_control.run(bootstrap), name="flow-control"),
        ]
        if options.store.startswith("etcd"):
            self._background.append(asyncio.create_task(ConsistencyCheck(self._cache).run(), name="consistency"))
        self._ready = True
        _log.info("serving", extra=fields(address=options.bind_address, port=self.port, version=GIT_VERSION))

    async def close(self) -> None:
        self._ready = False
        for task in self._background:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._cache is not None:
            await self._cache.close()  # ends every watch, so that connections close at once
        if self._http is not None:
            await self._http.close()
        if self._proxy is not None:
            await self._proxy.close()
        if self._outbound is not None:
            await self._outbound.close()
        if self._store is not None:
            await self._store.close()

    def _kinds_changed(self, group: str) -> None:
        """A custom resource came, went or looks different."""
        self._listing_changed(group)
        self._aggregator.kinds_changed()

    def _listing_changed(self, group: str) -> None:
        self._discovery.invalidate()
        self._openapi.invalidate(group)

    def _advertised(self) -> str:
        address = self._options.advertise_address or self._options.bind_address
        return "127.0.0.1" if address in ("0.0.0.0", "::", "localhost") else address

    async def _repair(self, services: ResourceStore, allocator: ServiceAllocator) -> None:
        """What a crash left reserved for no Service is free again.

        Another server of the same etcd may have reserved it for a Service that it is about to store: then we wait until
        that request must be over.
        """
        unclaimed = await allocator.claim(services.peek_all())
        if self._options.store.startswith("etcd"):
            task = asyncio.create_task(self._remove_later(services, allocator, unclaimed), name="service-repair")
            self._background.append(task)
        else:
            await allocator.remove(unclaimed, services.peek_all())

    async def _remove_later(self, services: ResourceStore, allocator: ServiceAllocator, unclaimed: set[str]) -> None:
        await asyncio.sleep(SETTLED_SECONDS)
        try:
            await allocator.remove(unclaimed, services.peek_all())
        except (StatusError, StoreError) as error:  # the next start tries again
            _log.warning("reservations of services not repaired", extra=fields(cause=error))

    def _build(self, resources: Resources) -> tuple[Handler, Bootstrap]:
        """The request chain, outermost filter first."""
        pki, clock = self._options.pki_dir, self._clock
        tokens = ServiceAccountTokens(pki / "sa.pub", resources.lookup, clock, self._options.issuer)
        bootstrap_tokens = BootstrapTokens(resources.lookup, clock)
        legacy = LegacyTokens(pki / "sa.pub", resources.lookup)
        authenticators = AuthenticatorChain([ClientCertificates(), bootstrap_tokens, legacy, tokens, Anonymous()])
        rbac = RbacAuthorizer(RbacIndex(resources.cache))
        authorizer = Union([PrivilegedGroups(), NodeAuthorizer(resources), rbac])
        self._outbound = Outbound(resources, allow_loopback=self._options.loopback_webhooks)
        escalation = EscalationCheck(authorizer, rbac)
        last = [escalation] if self._options.external_ips else [escalation, DenyServiceExternalIPs()]
        admission = builtin_admission(resources, self._outbound, authorizer, clock, last=last)
        self.admission = admission
        self._flow_control = FlowControl(resources, clock)
        metrics, inflight = Metrics(), InFlight()
        _fill_metrics(metrics, inflight, resources)
        agents = Agents(
            resources, pki / "ca.crt", pki / "apiserver-kubelet-client.crt", pki / "apiserver-kubelet-client.key"
        )
        self._proxy = Proxy(agents, authorizer)
        bootstrap = Bootstrap(resources, admission.own(), clock)
        self._aggregator = Aggregator(resources, bootstrap, Backends(self._outbound, pki), clock, self._listing_changed)
        dispatcher = Dispatcher(
            resources,
            admission,
            clock,
            subresources(TokenSigner(pki / "sa.key", clock, self._options.issuer), agents, self._proxy),
            self._paths(resources, metrics).handle,
            virtual_kinds(authorizer, tokens),
            self._aggregator,
        )
        filters = [
            recover,
            audit_id,
            warnings,
            measure(metrics),
            recover,
            timeout,
            authenticate(authenticators),
            impersonate(authorizer),
            self._flow_control.filter,
            inflight.run,
            authorize(authorizer),
        ]
        return chain(filters, dispatcher.handle), bootstrap

    def _paths(self, resources: Resources, metrics: Metrics) -> Paths:
        address = f"{self._advertised()}:{self._options.port}"
        self._discovery = Discovery(resources.registry, address, self._aggregator)
        self._openapi = OpenApi(resources.registry, self._aggregator)
        open_id = OpenIdDocuments(self._options.issuer, (self._options.pki_dir / "sa.pub").read_bytes(), address)
        health = Health(self._checks())
        handlers: dict[str, Handler] = {
            "api": self._discovery.handle,
            "apis": self._discovery.handle,
            "openapi": self._openapi.handle,
            ".well-known": open_id.handle,
            "openid": open_id.handle,
            "version": version,
            "metrics": metrics.handle,
            "livez": health.handle,
            "readyz": health.handle,
            "healthz": health.handle,
        }
        return Paths(handlers, list(LISTED_PATHS))

    def _checks(self) -> Mapping[str, Mapping[str, Check]]:
        async def store() -> None:
            assert self._store is not None
            async with asyncio.timeout(2):
                await self._store.revision()

        async def cache() -> None:
            if self._cache is None or not self._cache.revision:
                raise RuntimeError("the watch cache is not filled")

        async def started() -> None:
            if not self._ready:
                raise RuntimeError("not finished")

        live = {"ping": ping, "log": ping, "etcd": store}
        hooks = {
            "poststarthook/start-system-namespaces-controller": started,
            "poststarthook/bootstrap-controller": started,
            "poststarthook/rbac/bootstrap-roles": started,
        }
        ready = {**live, "etcd-readiness": store, "informer-sync": cache, **hooks}
        return {"livez": {**live, **hooks}, "readyz": ready, "healthz": {**live, **hooks}}


def _reader_of(key: str, readers: Mapping[str, Fields]) -> Fields | None:
    parts = key.split("/", 4)  # "", "registry", group, plural, rest
    return readers.get(f"{parts[2]}/{parts[3]}") if len(parts) == 5 else None


def _fill_metrics(metrics: Metrics, inflight: InFlight, resources: Resources) -> None:
    def prepare() -> None:
        set_all(metrics.inflight, {"readOnly": inflight.counts["readOnly"], "mutating": inflight.counts["mutating"]})
        stored = [info for info in resources.registry.all() if "list" in info.verbs]
        counts = {
            f"{info.plural}.{info.group}" if info.group else info.plural: len(resources.of(info)) for info in stored
        }
        set_all(metrics.objects, counts)

    metrics.build.set(1, (GIT_VERSION, str(MAJOR), str(MINOR), version_document()["platform"]))
    metrics.before_scrape.append(prepare)
