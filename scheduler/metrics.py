"""The scheduler's metrics, under upstream's names."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

PROFILE = "default-scheduler"
_ATTEMPT_BUCKETS = tuple(0.001 * 2**power for power in range(15))
_SLI_BUCKETS = tuple(0.01 * 2**power for power in range(20))


class PendingPods(Collector):
    """scheduler_pending_pods, read from the queue when scraped."""

    def __init__(self, counts: Callable[[], dict[str, int]]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "scheduler_pending_pods", "Pods waiting to be scheduled, by where they wait.", labels=["queue"]
        )
        for queue, count in self._counts().items():
            family.add_metric([queue], count)
        yield family


class SchedulerMetrics:
    def __init__(self, registry: CollectorRegistry, counts: Callable[[], dict[str, int]]) -> None:
        registry.register(PendingPods(counts))
        self.attempts = Counter(
            "scheduler_schedule_attempts",
            "Attempts to schedule a pod, by result.",
            ["result", "profile"],
            registry=registry,
        )
        self.attempt_seconds = Histogram(
            "scheduler_scheduling_attempt_duration_seconds",
            "Time from taking a pod to its binding, or to knowing that none fits.",
            ["result", "profile"],
            buckets=_ATTEMPT_BUCKETS,
            registry=registry,
        )
        self.algorithm_seconds = Histogram(
            "scheduler_scheduling_algorithm_duration_seconds",
            "Time of the decision alone.",
            buckets=_ATTEMPT_BUCKETS,
            registry=registry,
        )
        self.sli_seconds = Histogram(
            "scheduler_pod_scheduling_sli_duration_seconds",
            "Time from a pod's first appearance in the queue to its binding.",
            ["attempts"],
            buckets=_SLI_BUCKETS,
            registry=registry,
        )

    def attempt(self, result: str, seconds: float) -> None:
        """`result` is scheduled, unschedulable or error."""
        self.attempts.labels(result, PROFILE).inc()
        self.attempt_seconds.labels(result, PROFILE).observe(seconds)
