"""/metrics: upstream's families about requests, and what the process and the caches say about themselves.

Request families are kept as plain numbers per label set and written out only when somebody scrapes, so a request pays
for one dictionary look-up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client import REGISTRY, generate_latest

from apiserver.request import Request, Response

BUCKETS = (
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    45.0, 60.0,
)  # fmt: skip
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[str, ...]


class Counter:
    kind = "counter"

    def __init__(self, name: str, text: str, labels: Sequence[str] = ()) -> None:
        self.name, self.text, self.labels = name, text, tuple(labels)
        self.values: dict[Labels, float] = {}

    def add(self, labels: Labels = (), amount: float = 1) -> None:
        self.values[labels] = self.values.get(labels, 0) + amount

    def lines(self) -> Iterable[str]:
        for labels, value in self.values.items():
            yield f"{self.name}{show_labels(self.labels, labels)} {show_number(value)}"


class Gauge(Counter):
    kind = "gauge"

    def set(self, value: float, labels: Labels = ()) -> None:
        self.values[labels] = value


class Histogram:
    kind = "histogram"

    def __init__(self, name: str, text: str, labels: Sequence[str], buckets: Sequence[float] = BUCKETS) -> None:
        self.name, self.text, self.labels = name, text, tuple(labels)
        self._buckets = tuple(buckets)
        self._edges = (*map(show_number, buckets), "+Inf")
        self._values: dict[Labels, list[float]] = {}  # one count per bucket, then +Inf's, then the sum

    def observe(self, value: float, labels: Labels) -> None:
        row = self._values.get(labels)
        if row is None:
            row = self._values[labels] = [0] * (len(self._buckets) + 2)
        row[bisect_left(self._buckets, value)] += 1
        row[-1] += value

    def lines(self) -> Iterable[str]:
        names = (*self.labels, "le")
        for labels, row in self._values.items():
            total = 0.0
            for edge, count in zip(self._edges, row[:-1], strict=True):
                total += count
                yield f"{self.name}_bucket{show_labels(names, (*labels, edge))} {show_number(total)}"
            yield f"{self.name}_sum{show_labels(self.labels, labels)} {row[-1]:.9g}"
            yield f"{self.name}_count{show_labels(self.labels, labels)} {show_number(total)}"


Family = Counter | Gauge | Histogram


def show_number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def show_labels(names: Sequence[str], values: Sequence[str]) -> str:
    if not names:
        return ""
    pairs = (f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True))
    return "{" + ",".join(pairs) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class Metrics:
    """All families of this server.  `before_scrape` functions set gauges that are read, not counted."""

    def __init__(self) -> None:
        request = ("verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component")
        self.requests = Counter(
            "apiserver_request_total",
            "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, "
            "component, and HTTP response code.",
            (*request, "code"),
        )
        self.durations = Histogram(
            "apiserver_request_duration_seconds",
            "Response latency distribution in seconds for each verb, dry run value, group, version, resource, "
            "subresource, scope and component.",
            request,
        )
        self.sli_durations = Histogram(
            "apiserver_request_sli_duration_seconds",
            "Response latency distribution (not counting webhook duration and priority & fairness queue wait times) "
            "in seconds for each verb, group, version, resource, subresource, scope and component.",
            ("verb", "group", "version", "resource", "subresource", "scope", "component"),
        )
        self.terminations = Counter(
            "apiserver_request_terminations_total",
            "Number of requests which apiserver terminated in self-defense.",
            ("verb", "group", "version", "resource", "subresource", "scope", "component", "code"),
        )
        self.inflight = Gauge(
            "apiserver_current_inflight_requests",
            "Maximal number of currently used inflight request limit of this apiserver per request kind in last "
            "second.",
            ("request_kind",),
        )
        self.long_running = Gauge(
            "apiserver_longrunning_requests",
            "Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope "
            "and component. Not all requests are tracked this way.",
            ("verb", "group", "version", "resource", "subresource", "scope", "component"),
        )
        self.objects = Gauge(
            "apiserver_storage_objects",
            "Number of stored objects at the time of last check split by kind.",
            ("resource",),
        )
        self.build = Gauge(
            "kubernetes_build_info",
            "A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, "
            "build date, Go version, and compiler from which Kubernetes was built, and platform on which it is "
            "running.",
            ("git_version", "major", "minor", "platform"),
        )
        self._families: list[Family] = [
            self.requests, self.durations, self.sli_durations, self.terminations, self.inflight, self.long_running,
            self.objects, self.build,
        ]  # fmt: skip
        self.before_scrape: list[Callable[[], None]] = []

    async def handle(self, request: Request) -> Response:
        return Response(200, self.text(), CONTENT_TYPE)

    def text(self) -> bytes:
        for prepare in self.before_scrape:
            prepare()
        lines: list[str] = []
        for family in self._families:
            lines.append(f"# HELP {family.name} {family.text}")
            lines.append(f"# TYPE {family.name} {family.kind}")
            lines += family.lines()
        return "\n".join(lines).encode() + b"\n" + generate_latest(REGISTRY)


def set_all(gauge: Gauge, values: Mapping[str, float]) -> None:
    """Replace the values of a gauge with one label."""
    gauge.values = {(label,): value for label, value in values.items()}
