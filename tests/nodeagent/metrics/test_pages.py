"""The pages that are written by hand, read back by Prometheus' own parser."""

from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from nodeagent.metrics.cadvisor import cadvisor_page
from nodeagent.metrics.families import AgentMetrics
from nodeagent.metrics.probes import ProbeMetrics
from nodeagent.metrics.resource import resource_page
from nodeagent.metrics.text import labels
from nodeagent.metrics.volumes import volume_page
from nodeagent.stats.cgroupusage import DeviceIo, Usage
from nodeagent.stats.disk import TreeUsage, VolumeUsage
from nodeagent.stats.machine import FileSystem, Interface, MachineMemory, Processes
from nodeagent.stats.snapshot import ContainerStats, NodeSnapshot, PodStats, SystemContainer
from tiphys.api.core.pod import Pod

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DISK = FileSystem(1000, 600, 100, 90, 400)
USAGE = Usage(
    cpu_ns=1_500_000_000,
    periods=9,
    throttled_periods=2,
    memory_bytes=70,
    working_set_bytes=60,
    rss_bytes=50,
    cache_bytes=20,
    processes=3,
    io={"999:0": DeviceIo(1, 2, 3, 4)},
)
MAIN = ContainerStats("c1", "main", "busybox", "/k/pod1/c1", AT, USAGE)
POD = PodStats("1", "p", "ns", "/k/pod1", AT, USAGE, None, (Interface("eth0", 5, 6, 7, 8, 9, 10, 11, 12),), (MAIN,))
NODE = NodeSnapshot(
    at=AT,
    node_name="n",
    booted_at=AT,
    cpu_ns=9_000_000_000,
    cpu_nano_cores=None,
    cpus=2,
    memory=MachineMemory(1000, 700, 400, 300, 200, 100, 1, 2, 0, 0),
    processes=Processes(5, 100),
    node_fs=DISK,
    image_fs=DISK,
    images_bytes=7,
    containers_bytes=None,
    interfaces=(),
    default_interface="",
    system=(SystemContainer("pods", "/k", AT, USAGE),),
    pods=(POD,),
)


def samples(body: bytes) -> dict[tuple[str, str], list[tuple[dict[str, str], float]]]:
    found: dict[tuple[str, str], list[Any]] = {}
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            found.setdefault((sample.name, family.type), []).append((sample.labels, sample.value))
    return found


def test_the_resource_page() -> None:
    found = samples(resource_page(NODE))
    own, pod = {"container": "main", "namespace": "ns", "pod": "p"}, {"namespace": "ns", "pod": "p"}
    assert found["container_cpu_usage_seconds_total", "counter"] == [(own, 1.5)]
    assert found["container_memory_working_set_bytes", "gauge"] == [(own, 60)]
    assert found["container_start_time_seconds", "gauge"] == [(own, AT.timestamp())]
    assert found["pod_cpu_usage_seconds_total", "counter"] == [(pod, 1.5)]
    assert found["node_memory_working_set_bytes", "gauge"] == [({}, 300)]
    assert found["resource_scrape_error", "gauge"] == [({}, 0)]


DASHBOARDS = (
    *(
        "container_cpu_cfs_periods_total",
        "container_cpu_cfs_throttled_periods_total",
        "container_cpu_usage_seconds_total",
    ),
    *("container_fs_reads_bytes_total", "container_fs_reads_total"),
    *("container_fs_writes_bytes_total", "container_fs_writes_total"),
    *("container_memory_cache", "container_memory_rss", "container_memory_swap", "container_memory_working_set_bytes"),
    *("container_network_receive_bytes_total", "container_network_receive_packets_dropped_total"),
    *("container_network_receive_packets_total", "container_network_transmit_bytes_total"),
    *("container_network_transmit_packets_dropped_total", "container_network_transmit_packets_total"),
)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_what_dashboards_ask_cadvisor_for_is_there_per_pod(name: str) -> None:
    found = samples(cadvisor_page(NODE))
    rows = next(rows for (sample, _), rows in found.items() if sample == name)
    assert any(row["namespace"] == "ns" and row["pod"] == "p" for row, _ in rows)


def test_only_containers_have_an_image_so_that_sums_count_nothing_twice() -> None:
    rows = samples(cadvisor_page(NODE))["container_cpu_usage_seconds_total", "counter"]
    assert [(row["container"], row["id"], row["name"]) for row, _ in rows if row["image"]] == [
        ("main", "/k/pod1/c1", "c1")
    ]
    assert {row["id"] for row, _ in rows} == {"/k", "/k/pod1", "/k/pod1/c1"}


def test_volumes_of_claims_and_how_many_volumes_there_are() -> None:
    claim = VolumeUsage("data", "claim", TreeUsage(400, 10), DISK)
    volumes = [{"name": "a", "emptyDir": {}}, {"name": "b", "secret": {"secretName": "s"}}]
    pod = Pod.model_validate({"metadata": {"name": "p"}, "spec": {"containers": [], "volumes": volumes}})
    found = samples(volume_page([("ns", claim), ("ns", claim)], [pod]))
    own = {"namespace": "ns", "persistentvolumeclaim": "claim"}
    assert found["kubelet_volume_stats_used_bytes", "gauge"] == [(own, 400)]
    assert found["kubelet_volume_stats_inodes_free", "gauge"] == [(own, 90)]
    assert found["volume_manager_total_volumes", "gauge"][0] == (
        {"plugin_name": "kubernetes.io/empty-dir", "state": "actual_state_of_world"},
        1,
    )


def test_the_series_of_a_pods_probes_go_with_it() -> None:
    metrics = ProbeMetrics()
    metrics.observe("Liveness", "successful", "c", ("ns", "p", "1"), 0.1)
    metrics.observe("Liveness", "failed", "c", ("ns", "p", "1"), 0.1)
    assert metrics.render().count(b"prober_probe_total{") == 2
    metrics.forget("1")
    metrics.forget("never seen")
    assert b"{" not in metrics.render()


def test_labels_are_escaped() -> None:
    assert labels(a='1"2\\3\n') == '{a="1\\"2\\\\3\\n"}'


ALERTED = (
    *("kubelet_certificate_manager_client_expiration_renew_errors", "kubelet_certificate_manager_client_ttl_seconds"),
    *("kubelet_certificate_manager_server_ttl_seconds", "kubelet_cgroup_manager_duration_seconds", "kubelet_evictions"),
    *("kubelet_node_config_error", "kubelet_node_name", "kubelet_pleg_relist_duration_seconds"),
    *(
        "kubelet_pleg_relist_interval_seconds",
        "kubelet_pod_start_duration_seconds",
        "kubelet_pod_worker_duration_seconds",
    ),
    *("kubelet_running_containers", "kubelet_running_pods", "kubelet_runtime_operations_duration_seconds"),
    *("kubelet_runtime_operations_errors_total", "kubelet_runtime_operations_total"),
    *("kubelet_server_expiration_renew_errors", "kubernetes_build_info", "rest_client_request_duration_seconds"),
    *("rest_client_requests_total", "storage_operation_duration_seconds", "storage_operation_errors_total"),
    *("go_goroutines", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds"),
)


def test_what_alerts_and_dashboards_ask_the_kubelet_for_is_there() -> None:
    page = AgentMetrics("n1").render().decode()
    assert [name for name in ALERTED if f"# TYPE {name} " not in page] == []
