"""The workqueue_* metrics, under upstream's names, one label set per queue."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable
from typing import Any
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

BUCKETS_SECONDS = tuple(1e-8 * 10**power for power in range(12))


class _Families(Collector):
    """The metric families of one registry; the two gauges about work in progress are computed when scraped."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def histogram(name: str, text: str) -> Histogram:
            return Histogram(name, text, ["name"], buckets=BUCKETS_SECONDS, registry=registry)

        self.depth = Gauge("workqueue_depth", "Current depth of workqueue", ["name"], registry=registry)
        self.adds = Counter("workqueue_adds", "Total number of adds handled by workqueue", ["name"], registry=registry)
        self.retries = Counter(
            "workqueue_retries", "Total number of retries handled by workqueue", ["name"], registry=registry
        )
        self.waited = histogram(
            "workqueue_queue_duration_seconds",
            "How long in seconds an item stays in workqueue before being requested.",
        )
        self.worked = histogram(
            "workqueue_work_duration_seconds", "How long in seconds processing an item from workqueue takes."
        )
        self.queues: list[QueueMetrics] = []
        registry.register(self)

    def describe(self) -> Iterable[Any]:
        return [GaugeMetricFamily("workqueue_unfinished_work_seconds", ""), _longest()]

    def collect(self) -> Iterable[Any]:
        unfinished = GaugeMetricFamily(
            "workqueue_unfinished_work_seconds",
            "How many seconds of work has done that is in progress and hasn't been observed by work_duration.",
            labels=["name"],
        )
        longest = _longest()
        for queue in self.queues:
            ages = queue.ages()
            unfinished.add_metric([queue.name], sum(ages))
            longest.add_metric([queue.name], max(ages, default=0.0))
        return [unfinished, longest]


def _longest() -> GaugeMetricFamily:
    return GaugeMetricFamily(
        "workqueue_longest_running_processor_seconds",
        "How many seconds has the longest running processor for workqueue been running.",
        labels=["name"],
    )


_families: WeakKeyDictionary[CollectorRegistry, _Families] = WeakKeyDictionary()


class QueueMetrics:
    """What one queue reports.  Times are seconds of the event loop's clock."""

    def __init__(self, name: str, registry: CollectorRegistry) -> None:
        self.name = name
        families = _families.get(registry)
        if families is None:
            families = _families[registry] = _Families(registry)
        families.queues.append(self)
        self._depth = families.depth.labels(name)
        self._adds = families.adds.labels(name)
        self._retries = families.retries.labels(name)
        self._waited = families.waited.labels(name)
        self._worked = families.worked.labels(name)
        self._added_at: dict[Hashable, float] = {}
        self._taken_at: dict[Hashable, float] = {}

    def depth(self, depth: int) -> None:
        self._depth.set(depth)

    def added(self, key: Hashable, now: float) -> None:
        self._adds.inc()
        self._added_at.setdefault(key, now)

    def retried(self) -> None:
        self._retries.inc()

    def taken(self, key: Hashable, now: float) -> None:
        self._taken_at[key] = now
        added = self._added_at.pop(key, None)
        if added is not None:
            self._waited.observe(now - added)

    def finished(self, key: Hashable, now: float) -> None:
        taken = self._taken_at.pop(key, None)
        if taken is not None:
            self._worked.observe(now - taken)

    def ages(self) -> list[float]:
        """How long each key in work has been worked on."""
        if not self._taken_at:
            return []
        now = asyncio.get_running_loop().time()
        return [now - taken for taken in self._taken_at.values()]
