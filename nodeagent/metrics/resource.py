"""/metrics/resource: CPU and memory of node, pods and containers; autoscalers and `kubectl top` live on it.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nodeagent.metrics.text import Page, labels
from nodeagent.stats.snapshot import ContainerStats, NodeSnapshot, PodStats

_SWAP_LIMIT = "Current amount of the container swap limit in bytes. Reported only on non-windows systems"
_SWAP = "Current amount of the {} swap usage in bytes. Reported only on non-windows systems"


def resource_page(node: NodeSnapshot) -> bytes:
    """The text of the page."""
    page = Page()
    stamp = _stamp(node)
    containers = [
        (labels(container=c.name, namespace=p.namespace, pod=p.name), c) for p in node.pods for c in p.containers
    ]
    pods = [(labels(namespace=pod.namespace, pod=pod.name), pod) for pod in node.pods]
    _containers(page, containers, stamp)
    page.family("node_cpu_usage_seconds_total", "counter", _cpu_help("node"))
    page.sample("", node.cpu_ns / 1e9, stamp)
    page.family("node_memory_working_set_bytes", "gauge", "[STABLE] Current working set of the node in bytes")
    page.sample("", node.memory.working_set_bytes, stamp)
    page.family("node_swap_usage_bytes", "gauge", "[ALPHA] " + _SWAP.format("node"))
    page.sample("", node.memory.swap_total_bytes - node.memory.swap_free_bytes, stamp)
    _pods(page, pods, stamp)
    page.family(
        "resource_scrape_error",
        "gauge",
        "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise",
    )
    page.sample("", 1 if node.faults else 0)
    return page.body()


def _containers(page: Page, rows: Iterable[tuple[str, ContainerStats]], stamp: str) -> None:
    rows = list(rows)
    page.family("container_cpu_usage_seconds_total", "counter", _cpu_help("container"))
    for text, one in rows:
        if one.usage.cpu_ns is not None:
            page.sample(text, one.usage.cpu_ns / 1e9, stamp)
    families: list[tuple[str, str, str, Callable[[ContainerStats], float | None]]] = [
        (
            "container_memory_working_set_bytes",
            "[STABLE] Current working set of the container in bytes",
            stamp,
            lambda one: one.usage.working_set_bytes,
        ),
        (
            "container_start_time_seconds",
            "[STABLE] Start time of the container since unix epoch in seconds",
            "",
            lambda one: one.started_at.timestamp() if one.started_at is not None else None,
        ),
        ("container_swap_usage_bytes", "[ALPHA] " + _SWAP.format("container"), stamp, lambda one: one.usage.swap_bytes),
        ("container_swap_limit_bytes", "[ALPHA] " + _SWAP_LIMIT, stamp, lambda one: 0),
    ]
    for name, help, when, read in families:
        page.family(name, "gauge", help)
        for text, one in rows:
            value = read(one)
            if value is not None:
                page.sample(text, value, when)


def _pods(page: Page, rows: Iterable[tuple[str, PodStats]], stamp: str) -> None:
    known = [(text, pod.usage) for text, pod in rows if pod.usage is not None]
    page.family("pod_cpu_usage_seconds_total", "counter", _cpu_help("pod"))
    for text, usage in known:
        if usage.cpu_ns is not None:
            page.sample(text, usage.cpu_ns / 1e9, stamp)
    page.family("pod_memory_working_set_bytes", "gauge", "[STABLE] Current working set of the pod in bytes")
    for text, usage in known:
        page.sample(text, usage.working_set_bytes, stamp)
    page.family("pod_swap_usage_bytes", "gauge", "[ALPHA] " + _SWAP.format("pod"))
    for text, usage in known:
        page.sample(text, usage.swap_bytes, stamp)


def _cpu_help(of: str) -> str:
    return f"[STABLE] Cumulative cpu time consumed by the {of} in core-seconds"


def _stamp(node: NodeSnapshot) -> str:
    return f" {int(node.at.timestamp() * 1000)}"
