"""The controller's metrics.  Names are our own, `tiphys_ingress_*`: one series per Ingress, Service, method and code.

What must stay true: a client cannot make series (methods are a closed set; hosts and paths are no labels); the series
of an Ingress go when it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from nodeagent.ingress.routing import Route

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
Owner = tuple[str, str]  # namespace and name of an Ingress


class IngressMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "tiphys_ingress_requests_total",
            "Requests that were routed, by the code of the answer.",
            ["namespace", "ingress", "service", "method", "code"],
            registry=registry,
        )
        self._seconds = Histogram(
            "tiphys_ingress_request_duration_seconds",
            "From the whole head of a request to the end of its answer.",
            ["namespace", "ingress"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.refused = Counter(
            "tiphys_ingress_refused_total",
            "Requests that were answered without routing them, by the code of the answer.",
            ["code"],
            registry=registry,
        )
        self.connections = Gauge("tiphys_ingress_connections", "Open connections of clients.", registry=registry)
        self.connect_failures = Counter(
            "tiphys_ingress_connect_failures_total", "Endpoints that could not be connected to.", registry=registry
        )
        self.reloads = Counter("tiphys_ingress_reloads_total", "Routing tables taken into use.", registry=registry)
        self.ingresses = Gauge("tiphys_ingress_ingresses", "Ingresses that are served.", registry=registry)
        self._children: dict[tuple[Route, str, int], Callable[[], None]] = {}
        self._timers: dict[Owner, Callable[[float], None]] = {}
        self._labels: dict[Owner, set[tuple[str, ...]]] = {}

    def routed(self, route: Route, method: str, code: int, seconds: float) -> None:
        key = (route, method, code)
        count = self._children.get(key)
        owner = (route.namespace, route.ingress)
        if count is None:
            labels = (*owner, route.backend.service, method if method in METHODS else "other", str(code))
            self._labels.setdefault(owner, set()).add(labels)
            count = self._requests.labels(*labels).inc
            if method in METHODS:
                self._children[key] = count
            self._timers.setdefault(owner, self._seconds.labels(*owner).observe)
        count()
        self._timers[owner](seconds)

    def retain(self, owners: Iterable[Owner]) -> None:
        """A new table: forget the series of Ingresses that are gone."""
        kept = set(owners)
        self.reloads.inc()
        self.ingresses.set(len(kept))
        self._children.clear()
        for owner in [one for one in self._labels if one not in kept]:
            for labels in self._labels.pop(owner):
                self._requests.remove(*labels)
            self._seconds.remove(*owner)
            del self._timers[owner]
