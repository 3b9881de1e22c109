"""Every metric family of the agent, declared once.  Each agent has its own registry, so tests can make several."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import generate_latest

from nodeagent.metrics.probes import ProbeMetrics
from nodeagent.metrics.upkeep import UpkeepMetrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # upstream has no *_created series

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class AgentMetrics:
    """Pass `node_name` once; families are attributes."""

    def __init__(self, node_name: str) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.node_name = Gauge(
            "kubelet_node_name", "The node's name. The count is always 1.", ["node"], registry=registry
        )
        self.node_name.labels(node_name).set(1)
        self.running_pods = Gauge(
            "kubelet_running_pods", "Number of pods that have a running pod sandbox", registry=registry
        )
        self.running_containers = Gauge(
            "kubelet_running_containers",
            "Number of containers currently running",
            ["container_state"],
            registry=registry,
        )
        self.pod_start = Histogram(
            "kubelet_pod_start_duration_seconds",
            "Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run",
            buckets=_SECONDS,
            registry=registry,
        )
        self.pod_worker = Histogram(
            "kubelet_pod_worker_duration_seconds",
            "Duration in seconds to sync a single pod. Broken down by operation type: create, update, or sync",
            ["operation_type"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.operations = Counter(
            "kubelet_runtime_operations_total",
            "Cumulative number of runtime operations by operation type.",
            ["operation_type"],
            registry=registry,
        )
        self.operation_errors = Counter(
            "kubelet_runtime_operations_errors_total",
            "Cumulative number of runtime operation errors by operation type.",
            ["operation_type"],
            registry=registry,
        )
        self.operation_seconds = Histogram(
            "kubelet_runtime_operations_duration_seconds",
            "Duration in seconds of runtime operations. Broken down by operation type.",
            ["operation_type"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.relist = Histogram(
            "kubelet_pleg_relist_duration_seconds",
            "Duration in seconds for relisting pods in PLEG.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.started_containers = Counter(
            "kubelet_started_containers_total",
            "Cumulative number of containers started",
            ["container_type"],
            registry=registry,
        )
        self.started_pods = Counter(
            "kubelet_started_pods_total", "Cumulative number of pods started", registry=registry
        )
        self.upkeep = UpkeepMetrics(registry)
        self.probes = ProbeMetrics()
        self._relisted_at = 0.0

    def render(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)

    def relisted(self) -> None:
        """The runtime was asked what there is."""
        now = time.perf_counter()
        if self._relisted_at:
            self.upkeep.relist_interval.observe(now - self._relisted_at)
        self._relisted_at = now

    @contextmanager
    def operation(self, kind: str) -> Iterator[None]:
        """Counts and times one call of the runtime, and counts it again if it raises."""
        self.operations.labels(kind).inc()
        started = time.perf_counter()
        try:
            yield
        except Exception:
            self.operation_errors.labels(kind).inc()
            raise
        finally:
            self.operation_seconds.labels(kind).observe(time.perf_counter() - started)
