"""coredns's metric names, so that its dashboards and alerts read this DNS too.

A question costs one dictionary look-up and some additions; the text is made when somebody scrapes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from nodeagent.dns.wire import RCODE_NAMES, TYPE_NAMES

SERVER = "dns://:53"
_SECONDS = (0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096)
_BYTES = (0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16000, 32000, 48000, 64000)
Key = tuple[str, str, int, int, str]
"""(zone, protocol, type, rcode, plugin)."""


class _Counts:
    __slots__ = ("asked", "asked_bytes", "said", "said_bytes", "seconds", "spent")

    def __init__(self) -> None:
        self.seconds = [0] * (len(_SECONDS) + 1)
        self.asked = [0] * (len(_BYTES) + 1)
        self.said = [0] * (len(_BYTES) + 1)
        self.spent = 0.0
        self.asked_bytes = self.said_bytes = 0


class DNSMetrics(Collector):
    """`entries` says how many (answers, denials) the cache has; set by its owner."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._counts: dict[Key, _Counts] = {}
        self.entries: Callable[[], tuple[int, int]] = lambda: (0, 0)
        labels = ["server", "zones", "view"]
        self.panics = Counter("coredns_panics_total", "A metrics that counts the number of panics.", registry=registry)
        self._hits = Counter(
            "coredns_cache_hits_total",
            "The count of cache hits.",
            ["server", "type", "zones", "view"],
            registry=registry,
        )
        misses = Counter("coredns_cache_misses_total", "The count of cache misses.", labels, registry=registry)
        stale = Counter("coredns_cache_served_stale_total", "Answers served stale.", labels, registry=registry)
        self.cache_misses = misses.labels(SERVER, ".", "")
        self.cache_stale = stale.labels(SERVER, ".", "")
        self._forwarded = Histogram(
            "coredns_proxy_request_duration_seconds",
            "Histogram of the time each request took.",
            ["proxy_name", "to", "rcode"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._failed = Counter(
            "coredns_proxy_healthcheck_failures_total",
            "Counter of the number of failed healthchecks.",
            ["proxy_name", "to"],
            registry=registry,
        )
        self.rejected = Counter(
            "coredns_forward_max_concurrent_rejects_total",
            "Counter of the number of queries rejected because the concurrent queries were at maximum.",
            registry=registry,
        )
        self.programming = Histogram(
            "coredns_kubernetes_dns_programming_duration_seconds",
            "In Cluster DNS Programming Latency in seconds",
            ["service_kind"],
            buckets=(0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1, 2, 4, 8, 16, 32, 64),
            registry=registry,
        )
        if registry is not None:
            registry.register(self)

    def answered(self, key: Key, seconds: float, asked_bytes: int, said_bytes: int) -> None:
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = _Counts()
        counts.seconds[bisect_left(_SECONDS, seconds)] += 1
        counts.asked[bisect_left(_BYTES, asked_bytes)] += 1
        counts.said[bisect_left(_BYTES, said_bytes)] += 1
        counts.spent += seconds
        counts.asked_bytes += asked_bytes
        counts.said_bytes += said_bytes

    def cache_hit(self, *, denial: bool) -> None:
        self._hits.labels(SERVER, "denial" if denial else "success", ".", "").inc()

    def forwarded(self, to: str, rcode: int, seconds: float) -> None:
        self._forwarded.labels("forward", to, RCODE_NAMES.get(rcode, str(rcode))).observe(seconds)

    def upstream_failed(self, to: str) -> None:
        self._failed.labels("forward", to).inc()

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily]:
        yield from self._requests()
        yield from self._distributions()
        entries = GaugeMetricFamily(
            "coredns_cache_entries", "The number of elements in the cache.", labels=["server", "type", "zones", "view"]
        )
        answers, denials = self.entries()
        entries.add_metric([SERVER, "success", ".", ""], answers)
        entries.add_metric([SERVER, "denial", ".", ""], denials)
        yield entries

    def _requests(self) -> Iterable[CounterMetricFamily]:
        asked: dict[tuple[str, ...], int] = {}
        said: dict[tuple[str, ...], int] = {}
        for (zone, protocol, kind, rcode, plugin), counts in self._counts.items():
            number = sum(counts.seconds)
            question = (SERVER, zone, "", protocol, "1", TYPE_NAMES.get(kind, "other"))
            answer = (SERVER, zone, "", RCODE_NAMES.get(rcode, str(rcode)), plugin)
            asked[question] = asked.get(question, 0) + number
            said[answer] = said.get(answer, 0) + number
        labels = ["server", "zone", "view", "proto", "family", "type"]
        text = "Counter of DNS requests made per zone, protocol and family."
        requests = CounterMetricFamily("coredns_dns_requests", text, labels=labels)
        for row, number in asked.items():
            requests.add_metric(list(row), number)
        yield requests
        labels = ["server", "zone", "view", "rcode", "plugin"]
        responses = CounterMetricFamily("coredns_dns_responses", "Counter of response status codes.", labels=labels)
        for row, number in said.items():
            responses.add_metric(list(row), number)
        yield responses

    def _distributions(self) -> Iterable[HistogramMetricFamily]:
        seconds: dict[tuple[str, ...], tuple[list[int], float]] = {}
        asked: dict[tuple[str, ...], tuple[list[int], float]] = {}
        said: dict[tuple[str, ...], tuple[list[int], float]] = {}
        for (zone, protocol, kind, _, _), counts in self._counts.items():
            _add(seconds, (SERVER, zone, "", TYPE_NAMES.get(kind, "other")), counts.seconds, counts.spent)
            _add(asked, (SERVER, zone, "", protocol), counts.asked, counts.asked_bytes)
            _add(said, (SERVER, zone, "", protocol), counts.said, counts.said_bytes)
        text = "Histogram of the time (in seconds) each request took per zone."
        labels = ["server", "zone", "view", "type"]
        yield _family("coredns_dns_request_duration_seconds", text, labels, seconds, _SECONDS)
        text, labels = (
            "Size of the EDNS0 UDP buffer in bytes (64K for TCP) per zone and protocol.",
            [*labels[:3], "proto"],
        )
        yield _family("coredns_dns_request_size_bytes", text, labels, asked, _BYTES)
        yield _family(
            "coredns_dns_response_size_bytes", "Size of the returned response in bytes.", labels, said, _BYTES
        )


def _add(
    into: dict[tuple[str, ...], tuple[list[int], float]], key: tuple[str, ...], row: list[int], sum_: float
) -> None:
    before, total = into.get(key, ([0] * len(row), 0.0))
    into[key] = ([old + new for old, new in zip(before, row, strict=True)], total + sum_)


def _family(
    name: str,
    text: str,
    labels: list[str],
    rows: dict[tuple[str, ...], tuple[list[int], float]],
    limits: tuple[float, ...],
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, text, labels=labels)
    for key, (row, total) in rows.items():
        buckets, so_far = [], 0
        for limit, number in zip([*map(float, limits), float("inf")], row, strict=True):
            so_far += number
            buckets.append(("+Inf" if limit == float("inf") else str(limit), float(so_far)))
        family.add_metric(list(key), buckets, total)
    return family
