"""/metrics/probes: how probes went, per container.  The series of a pod go with the pod."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import generate_latest

_POD = ("probe_type", "container", "pod", "namespace")


class ProbeMetrics:
    """In a registry of their own, since they have a page of their own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self._total = Counter(
            "prober_probe_total",
            "Cumulative number of a liveness, readiness or startup probe for a container by result.",
            ["probe_type", "result", "container", "pod", "namespace", "pod_uid"],
            registry=registry,
        )
        self._seconds = Histogram(
            "prober_probe_duration_seconds", "Duration in seconds for a probe response.", _POD, registry=registry
        )
        self._series: dict[str, set[tuple[str, ...]]] = {}

    def observe(self, kind: str, result: str, container: str, pod: tuple[str, str, str], seconds: float) -> None:
        """`kind` is Startup, Liveness or Readiness, `result` successful, failed or unknown, `pod` is (namespace, name,
        uid)."""
        namespace, name, uid = pod
        self._total.labels(kind, result, container, name, namespace, uid).inc()
        self._seconds.labels(kind, container, name, namespace).observe(seconds)
        self._series.setdefault(uid, set()).add((kind, result, container, name, namespace))

    def forget(self, pod_uid: str) -> None:
        """The pod is gone."""
        for kind, result, container, name, namespace in self._series.pop(pod_uid, ()):
            self._total.remove(kind, result, container, name, namespace, pod_uid)
            try:
                self._seconds.remove(kind, container, name, namespace)
            except KeyError:
                continue  # went with another result, or is another pod's of the same name by now

    def render(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)
