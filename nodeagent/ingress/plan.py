"""From objects to the routing table.  Pure.

What must stay true: the oldest Ingress keeps a host and path that two claim; what cannot be served (a missing Service,
an ExternalName, a resource backend) answers 503 and never falls through to somebody else's backend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from nodeagent.ingress.paths import AmbiguousPath, canonical_rule
from nodeagent.ingress.routing import Backend, Route, Table
from nodeagent.services.endpoints import FAMILIES, NodeFacts, candidates, choose
from tiphys.api.core.service import Service, ServicePort
from tiphys.api.endpoints.endpointslice import EndpointSlice
from tiphys.api.networking.ingress import Ingress, IngressBackend
from tiphys.api.networking.ingressclass import IngressClass

CONTROLLER = "tiphys.dev/ingress"
CLASS_ANNOTATION = "kubernetes.io/ingress.class"
HTTPS_REDIRECT = "tiphys.dev/https-redirect"
MAX_BODY_BYTES = "tiphys.dev/max-body-bytes"
TIMEOUT_SECONDS = "tiphys.dev/timeout-seconds"
MOST_TIMEOUT_SECONDS = 3600.0


@dataclass(frozen=True)
class World:
    """How the plan reads objects: `service(namespace, name)`, `slices(namespace, service name)`."""

    service: Callable[[str, str], Service | None]
    slices: Callable[[str, str], Sequence[EndpointSlice]]
    facts: NodeFacts


@dataclass
class Plan:
    """The table, the Services it depends on, and what was left out, as text per Ingress."""

    table: Table = field(default_factory=Table)
    services: set[tuple[str, str]] = field(default_factory=set)
    problems: dict[tuple[str, str], list[str]] = field(default_factory=dict)


def class_names(classes: Iterable[IngressClass]) -> frozenset[str]:
    """The classes that are ours."""
    return frozenset(one.metadata.name for one in classes if one.spec.controller == CONTROLLER)


def is_ours(ingress: Ingress, names: frozenset[str]) -> bool:
    """Its class is one of ours, by the field or by the annotation from before the field."""
    if ingress.spec.ingressClassName is not None:
        return ingress.spec.ingressClassName in names
    return ingress.metadata.annotations.get(CLASS_ANNOTATION) in names


def plan(ingresses: Iterable[Ingress], world: World) -> Plan:
    """`ingresses` are ours, in any order."""
    result = Plan()
    for ingress in sorted(ingresses, key=_age):
        _One(ingress, world, result).run()
    return result


def _age(ingress: Ingress) -> tuple[str, str, str]:
    meta = ingress.metadata
    return meta.creationTimestamp or "", meta.namespace, meta.name


class _One:
    """One Ingress."""

    def __init__(self, ingress: Ingress, world: World, result: Plan) -> None:
        self.ingress, self.world, self.result = ingress, world, result
        self.namespace, self.name = ingress.metadata.namespace, ingress.metadata.name

    def run(self) -> None:
        spec, table = self.ingress.spec, self.result.table
        fallback = self._route(spec.defaultBackend) if spec.defaultBackend is not None else None
        for rule in spec.rules:
            routes = table.host(rule.host.lower())
            for item in rule.http.paths if rule.http is not None else ():
                try:
                    path = canonical_rule(item.path)
                except AmbiguousPath as error:
                    self._problem(f"path {item.path!r}: {error}")
                    continue
                if not routes.add(path, item.pathType == "Exact", self._route(item.backend)):
                    self._problem(f"host {rule.host!r} path {item.path!r} belongs to an older Ingress")
            if routes.fallback is None:
                routes.fallback = fallback
        if table.anywhere.fallback is None and not spec.rules:
            table.anywhere.fallback = fallback
        self._certificates()

    def _certificates(self) -> None:
        known = self.result.table.certificates
        for tls in self.ingress.spec.tls:
            hosts = tls.hosts or [rule.host for rule in self.ingress.spec.rules] or [""]
            for host in hosts if tls.secretName else ():
                wanted = (self.namespace, tls.secretName)
                if known.setdefault(host.lower(), wanted) != wanted:
                    self._problem(f"the certificate of host {host!r} belongs to an older Ingress")

    def _problem(self, text: str) -> None:
        self.result.problems.setdefault((self.namespace, self.name), []).append(text)

    def _route(self, backend: IngressBackend) -> Route:
        notes = self.ingress.metadata.annotations
        return Route(
            self.namespace,
            self.name,
            self._backend(backend),
            notes.get(HTTPS_REDIRECT) == "true",
            int(_number(notes.get(MAX_BODY_BYTES, ""), float(1 << 62))),
            _number(notes.get(TIMEOUT_SECONDS, ""), MOST_TIMEOUT_SECONDS),
        )

    def _backend(self, backend: IngressBackend) -> Backend:
        if backend.service is None:
            return self._broken("", "", "only Services are served")
        name, asked = backend.service.name, backend.service.port
        text = asked.name or str(asked.number)
        self.result.services.add((self.namespace, name))
        service = self.world.service(self.namespace, name)
        if service is None:
            return self._broken(name, text, f"Service {name!r} not found")
        if service.spec.type == "ExternalName":
            return self._broken(name, text, f"Service {name!r} is an ExternalName, which is not served")
        port = next((one for one in service.spec.ports if _is(one, asked.name, asked.number)), None)
        if port is None:
            return self._broken(name, text, f"Service {name!r} has no TCP port {text}")
        sticky = service.spec.sessionAffinity == "ClientIP"
        return Backend(self.namespace, name, text, self._endpoints(service, port), sticky)

    def _broken(self, service: str, port: str, fault: str) -> Backend:
        self._problem(fault)
        return Backend(self.namespace, service, port, fault=fault)

    def _endpoints(self, service: Service, port: ServicePort) -> tuple[tuple[str, int], ...]:
        slices = self.world.slices(self.namespace, service.metadata.name)
        for family in service.spec.ipFamilies or FAMILIES:
            chosen = choose(candidates(slices, port, family), self.world.facts).cluster
            if chosen:
                return tuple((one.address, one.port) for one in chosen)
        return ()


def _is(port: ServicePort, name: str, number: int) -> bool:
    if (port.protocol or "TCP") != "TCP":
        return False
    return port.name == name if name else port.port == number


def _number(text: str, most: float) -> float:
    """0 for what is no number."""
    return min(float(int(text)), most) if text.isascii() and text.isdigit() and len(text) < 20 else 0.0
