"""/metrics/cadvisor: the container_* families that dashboards and recording rules ask for, by cAdvisor's names.  Pure.

A container has its image as a label; its pod's row has container="" and image="" and carries the network; a selector
like image!="" counts nothing twice.  Labels are put together once per container and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from nodeagent.metrics.text import Page, labels
from nodeagent.stats.cgroupusage import Usage
from nodeagent.stats.machine import Interface
from nodeagent.stats.snapshot import NodeSnapshot

_Read = Callable[[Usage], float | None]
Row = tuple["_Labels", Usage, float]  # labels, usage, start in seconds


class _Labels:
    """The label text, open at the end so that one more can be put in before it is closed."""

    __slots__ = ("closed", "fields", "image")

    def __init__(self, fields: tuple[tuple[str, str], ...]) -> None:
        self.fields = fields
        self.closed, self.image = labels(**dict(fields)), dict(fields)["image"]

    def with_label(self, name: str, value: str) -> str:
        return labels(**dict(sorted((*self.fields, (name, value)))))


@lru_cache(maxsize=4096)
def _labels(container: str, cgroup: str, image: str, name: str, namespace: str, pod: str) -> _Labels:
    fields = {"container": container, "id": cgroup, "image": image, "name": name, "namespace": namespace, "pod": pod}
    return _Labels(tuple(fields.items()))


@lru_cache(maxsize=65536)
def _with(row: _Labels, name: str, value: str) -> str:
    return row.with_label(name, value)


def _seconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e9


_LIMITED = "container_cpu_cfs"
_OF_CONTAINERS = ("container_memory_failcnt", "container_oom_events_total", "container_threads_max")
FAMILIES: tuple[tuple[str, str, str, _Read], ...] = (
    (
        "container_cpu_cfs_periods_total",
        "counter",
        "Number of elapsed enforcement period intervals.",
        lambda u: u.periods,
    ),
    (
        "container_cpu_cfs_throttled_periods_total",
        "counter",
        "Number of throttled period intervals.",
        lambda u: u.throttled_periods,
    ),
    (
        "container_cpu_cfs_throttled_seconds_total",
        "counter",
        "Total time duration the container has been throttled.",
        lambda u: u.throttled_ns / 1e9,
    ),
    (
        "container_cpu_system_seconds_total",
        "counter",
        "Cumulative system cpu time consumed in seconds.",
        lambda u: _seconds(u.cpu_system_ns),
    ),
    (
        "container_cpu_user_seconds_total",
        "counter",
        "Cumulative user cpu time consumed in seconds.",
        lambda u: _seconds(u.cpu_user_ns),
    ),
    ("container_memory_cache", "gauge", "Number of bytes of page cache memory.", lambda u: u.cache_bytes),
    ("container_memory_failcnt", "counter", "Number of memory usage hits limits", lambda u: u.memory_failures),
    ("container_memory_mapped_file", "gauge", "Size of memory mapped files in bytes.", lambda u: u.mapped_bytes),
    ("container_memory_rss", "gauge", "Size of RSS in bytes.", lambda u: u.rss_bytes),
    ("container_memory_swap", "gauge", "Container swap usage in bytes.", lambda u: u.swap_bytes),
    (
        "container_memory_usage_bytes",
        "gauge",
        "Current memory usage in bytes, including all memory regardless of when it was accessed",
        lambda u: u.memory_bytes,
    ),
    ("container_memory_working_set_bytes", "gauge", "Current working set in bytes.", lambda u: u.working_set_bytes),
    (
        "container_oom_events_total",
        "counter",
        "Count of out of memory events observed for the container",
        lambda u: u.oom_kills,
    ),
    ("container_processes", "gauge", "Number of processes running inside the container.", lambda u: u.processes),
    (
        "container_spec_memory_limit_bytes",
        "gauge",
        "Memory limit for the container.",
        lambda u: u.memory_limit_bytes,
    ),
    (
        "container_threads_max",
        "gauge",
        "Maximum number of threads allowed inside the container, infinity if value is zero",
        lambda u: u.process_limit,
    ),
)

_IO: tuple[tuple[str, str, str], ...] = (
    ("container_fs_reads_bytes_total", "read_bytes", "Cumulative count of bytes read"),
    ("container_fs_reads_total", "reads", "Cumulative count of reads completed"),
    ("container_fs_writes_bytes_total", "write_bytes", "Cumulative count of bytes written"),
    ("container_fs_writes_total", "writes", "Cumulative count of writes completed"),
)

_NETWORK: tuple[tuple[str, str, str], ...] = (
    ("container_network_receive_bytes_total", "received_bytes", "Cumulative count of bytes received"),
    (
        "container_network_receive_errors_total",
        "received_errors",
        "Cumulative count of errors encountered while receiving",
    ),
    (
        "container_network_receive_packets_dropped_total",
        "received_dropped",
        "Cumulative count of packets dropped while receiving",
    ),
    ("container_network_receive_packets_total", "received_packets", "Cumulative count of packets received"),
    ("container_network_transmit_bytes_total", "sent_bytes", "Cumulative count of bytes transmitted"),
    (
        "container_network_transmit_errors_total",
        "sent_errors",
        "Cumulative count of errors encountered while transmitting",
    ),
    (
        "container_network_transmit_packets_dropped_total",
        "sent_dropped",
        "Cumulative count of packets dropped while transmitting",
    ),
    ("container_network_transmit_packets_total", "sent_packets", "Cumulative count of packets transmitted"),
)


def cadvisor_page(node: NodeSnapshot) -> bytes:
    """The text of the page."""
    page = Page()
    stamp = f" {int(node.at.timestamp() * 1000)}"
    rows = list(_rows(node))
    _cpu(page, rows, stamp)
    for name, kind, help, read in FAMILIES:
        page.family(name, kind, help)
        for row, usage, _ in rows:
            if name.startswith(_LIMITED) and not usage.periods:
                continue  # as cAdvisor: only where there is a quota
            if name in _OF_CONTAINERS and not row.image:
                continue  # not looked at for pods
            value = read(usage)
            if value is not None:
                page.sample(row.closed, value, stamp)
    _failures(page, rows, stamp)
    _io(page, rows, stamp)
    page.family("container_last_seen", "gauge", "Last time a container was seen by the exporter")
    for row, _, _ in rows:
        page.sample(row.closed, int(node.at.timestamp()), stamp)
    page.family("container_start_time_seconds", "gauge", "Start time of the container since unix epoch in seconds.")
    for row, _, started in rows:
        page.sample(row.closed, started, stamp)
    _network(page, node, stamp)
    _machine(page, node)
    return page.body()


def _rows(node: NodeSnapshot) -> Iterable[Row]:
    started = node.booted_at.timestamp()
    for system in node.system:
        begin = system.started_at.timestamp() if system.started_at else started
        yield _labels("", system.cgroup, "", "", "", ""), system.usage, begin
    for pod in node.pods:
        begin = pod.started_at.timestamp() if pod.started_at else started
        if pod.usage is not None:
            yield _labels("", pod.cgroup, "", "", pod.namespace, pod.name), pod.usage, begin
        for one in pod.containers:
            own = one.started_at.timestamp() if one.started_at else begin
            yield _labels(one.name, one.cgroup, one.image, one.id, pod.namespace, pod.name), one.usage, own


def _cpu(page: Page, rows: Iterable[Row], stamp: str) -> None:
    page.family("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds.")
    for row, usage, _ in rows:
        if usage.cpu_ns is not None:
            page.sample(_with(row, "cpu", "total"), usage.cpu_ns / 1e9, stamp)


def _failures(page: Page, rows: Iterable[Row], stamp: str) -> None:
    page.family("container_memory_failures_total", "counter", "Cumulative count of memory allocation failures.")
    for row, usage, _ in rows:
        for kind, count in (("pgfault", usage.page_faults), ("pgmajfault", usage.major_page_faults)):
            fields = (*row.fields, ("failure_type", kind), ("scope", "hierarchy"))
            page.sample(_failure_labels(fields), count, stamp)


@lru_cache(maxsize=16384)
def _failure_labels(fields: tuple[tuple[str, str], ...]) -> str:
    return labels(**dict(sorted(fields)))


def _io(page: Page, rows: Iterable[Row], stamp: str) -> None:
    rows = [row for row in rows if row[1].io]
    for name, attribute, help in _IO:
        page.family(name, "counter", help)
        for row, usage, _ in rows:
            for device, io in (usage.io or {}).items():
                page.sample(_with(row, "device", device_name(device)), getattr(io, attribute), stamp)


def _network(page: Page, node: NodeSnapshot, stamp: str) -> None:
    cards: list[tuple[str, Interface]] = []
    for pod in node.pods:
        row = _labels("", pod.cgroup, "", "", pod.namespace, pod.name)
        cards += [(_with(row, "interface", card.name), card) for card in pod.interfaces]
    root = _labels("", "/", "", "", "", "")
    cards += [(_with(root, "interface", card.name), card) for card in node.interfaces]
    for name, attribute, help in _NETWORK:
        page.family(name, "counter", help)
        for text, card in cards:
            page.sample(text, getattr(card, attribute), stamp)


def _machine(page: Page, node: NodeSnapshot) -> None:
    gauges: Mapping[str, tuple[str, float]] = {
        "machine_cpu_cores": ("Number of logical CPU cores.", node.cpus),
        "machine_memory_bytes": ("Amount of memory installed on the machine.", node.memory.total_bytes),
        "machine_scrape_error": ("1 if there was an error while getting machine metrics, 0 otherwise.", 0),
        "container_scrape_error": (
            "1 if there was an error while getting container metrics, 0 otherwise",
            1 if node.faults else 0,
        ),
    }
    for name, (help, value) in gauges.items():
        page.family(name, "gauge", help)
        page.sample("", value)


@lru_cache(maxsize=256)
def device_name(number: str) -> str:
    """ "8:0" as "/dev/sda"; the number where the kernel gives no name."""
    try:
        for line in Path(f"/sys/dev/block/{number}/uevent").read_text().splitlines():
            if line.startswith("DEVNAME="):
                return "/dev/" + line.partition("=")[2]
    except OSError:
        pass
    return number
