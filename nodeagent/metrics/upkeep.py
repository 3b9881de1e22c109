"""Families of the agent's own upkeep: evictions, garbage collection, certificates, storage, its calls of the API."""

from __future__ import annotations

import asyncio
import logging
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from cryptography import x509
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from nodeagent.machine import KUBELET_VERSION

_log = logging.getLogger(__name__)
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class UpkeepMetrics:
    """Families are attributes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._declare_node(registry)
        self._declare_certificates(registry)
        self._declare_storage(registry)
        self._declare_client(registry)

    def _declare_node(self, registry: CollectorRegistry) -> None:
        self.relist_interval = Histogram(
            "kubelet_pleg_relist_interval_seconds",
            "Interval in seconds between relisting in PLEG.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.cgroup_seconds = Histogram(
            "kubelet_cgroup_manager_duration_seconds",
            "Duration in seconds for cgroup manager operations. Broken down by method.",
            ["operation_type"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.evictions = Gauge(  # a counter by nature, but upstream's name has no _total
            "kubelet_evictions",
            "Cumulative number of pod evictions by eviction signal",
            ["eviction_signal"],
            registry=registry,
        )
        self.images_collected = Counter(
            "kubelet_image_garbage_collected_total",
            "Total number of images garbage collected by the kubelet, by the reason.",
            ["reason"],
            registry=registry,
        )
        self.node_config_error = Gauge(
            "kubelet_node_config_error",
            "This metric is true (1) if the node is experiencing a configuration-related error, false (0) otherwise.",
            registry=registry,
        )
        Gauge(
            "kubernetes_build_info",
            "A metric with a constant '1' value labeled by version.",
            ["git_version", "major", "minor", "platform"],
            registry=registry,
        ).labels(KUBELET_VERSION, "1", KUBELET_VERSION.split(".")[1], f"linux/{platform.machine()}").set(1)
        Gauge("go_goroutines", "Number of asyncio tasks that currently exist.", registry=registry).set_function(_tasks)

    def _declare_certificates(self, registry: CollectorRegistry) -> None:
        self.client_seconds_left = Gauge(
            "kubelet_certificate_manager_client_ttl_seconds",
            "Gauge of the TTL (time-to-live) of the Kubelet's client certificate.",
            registry=registry,
        )
        self.server_seconds_left = Gauge(
            "kubelet_certificate_manager_server_ttl_seconds",
            "Gauge of the shortest TTL (time-to-live) of the Kubelet's serving certificate.",
            registry=registry,
        )
        for name, help in (
            (
                "kubelet_certificate_manager_client_expiration_renew_errors",
                "Counter of certificate renewal errors.",
            ),
            ("kubelet_server_expiration_renew_errors", "Counter of certificate renewal errors."),
        ):
            Gauge(name, help, registry=registry).set(0)

    def _declare_storage(self, registry: CollectorRegistry) -> None:
        names = ["migrated", "operation_name", "status", "volume_plugin"]
        self._storage_seconds = Histogram(
            "storage_operation_duration_seconds",
            "Storage operation duration",
            names,
            buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 25, 50, 120, 300, 600),
            registry=registry,
        )
        self._storage_errors = Counter(
            "storage_operation_errors_total",
            "Storage operation errors",
            ["operation_name", "volume_plugin"],
            registry=registry,
        )

    def _declare_client(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "rest_client_requests_total",
            "Number of HTTP requests, partitioned by status code, method, and host.",
            ["code", "host", "method"],
            registry=registry,
        )
        self._request_seconds = Histogram(
            "rest_client_request_duration_seconds",
            "Request latency in seconds. Broken down by verb, and host.",
            ["host", "verb"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.api_host = ""

    def answered(self, method: str, status: int, seconds: float) -> None:
        """A request to the API server has ended; status 0: without an answer."""
        self._requests.labels(str(status) if status else "<error>", self.api_host, method).inc()
        self._request_seconds.labels(self.api_host, method).observe(seconds)

    @contextmanager
    def storage_operation(self, name: str, plugin: str) -> Iterator[None]:
        """Times one operation on volumes, and counts its failure."""
        began, status = asyncio.get_running_loop().time(), "success"
        try:
            yield
        except Exception:
            status = "fail-unknown"
            self._storage_errors.labels(name, plugin).inc()
            raise
        finally:
            elapsed = asyncio.get_running_loop().time() - began
            self._storage_seconds.labels("false", name, status, plugin).observe(elapsed)


def _tasks() -> float:
    try:
        return float(len(asyncio.all_tasks()))
    except RuntimeError:
        return 0.0  # rendered outside of a loop


def certificate_seconds_left(file: Path, now: datetime) -> float:
    """Until the first certificate of a PEM file ends; 0 when it cannot be read."""
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError) as error:
        _log.info("certificate not readable", extra={"file": str(file), "error": str(error)})
        return 0.0
    return (certificate.not_valid_after_utc - now).total_seconds()
