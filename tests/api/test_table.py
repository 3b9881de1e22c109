"""Printed tables: the columns are upstream's, and the cells say what upstream's printers say."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tiphys.api.core.pod_table import summarize
from tiphys.api.core.service_table import external_ip, ports_text
from tiphys.api.kinds import KindInfo, builtin_registry
from tiphys.api.meta_table import Table
from tiphys.api.table import build_table, selector_text
from tiphys.api.times import format_time

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
REGISTRY = builtin_registry()


def ago(**delta: float) -> str:
    return format_time(NOW - timedelta(**delta))


def kind(api_version: str, name: str) -> KindInfo:
    info = REGISTRY.by_api_version(api_version, name)
    assert info is not None
    return info


def recorded_columns() -> dict[tuple[str, str, str], list[tuple[str, str, str, int]]]:
    table: dict[tuple[str, str, str], list[tuple[str, str, str, int]]] = {}
    with (Path(__file__).parent.parent / "data" / "columns.tsv").open() as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            key = (row["group"], row["version"], row["resource"])
            table.setdefault(key, []).append((row["column"], row["type"], row["format"], int(row["priority"])))
    return table


def test_every_kind_has_the_recorded_columns() -> None:
    recorded = recorded_columns()
    for info in REGISTRY.all():
        if "list" in info.verbs:
            ours = [(c.name, c.type, c.format, c.priority) for c in info.columns]
            assert ours == recorded[info.group, info.version, info.plural], info.plural


def test_every_kind_prints_an_empty_object_with_one_cell_per_column() -> None:
    for info in REGISTRY.all():
        if "list" in info.verbs:
            assert len(info.cells({"metadata": {"name": "x"}}, NOW)) == len(info.columns), info.plural


def waiting(reason: str, **more: Any) -> dict[str, Any]:
    return {"name": "c", "state": {"waiting": {"reason": reason}}, **more}


def running(*, ready: bool = True, **more: Any) -> dict[str, Any]:
    return {"name": "c", "ready": ready, "state": {"running": {"startedAt": ago(minutes=1)}}, **more}


def ended(code: int = 0, **more: Any) -> dict[str, Any]:
    return {"name": "c", "state": {"terminated": {"exitCode": code, **more}}}


def pod(
    phase: str = "Running",
    containers: list[dict[str, Any]] | None = None,
    init: list[dict[str, Any]] | None = None,
    *,
    spec: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
    **status: Any,
) -> dict[str, Any]:
    containers, init = containers or [], init or []
    return {
        "metadata": {"name": "p", "creationTimestamp": ago(minutes=5), **(metadata or {})},
        "spec": {
            "containers": [{"name": c["name"]} for c in containers] or [{"name": "c"}],
            "initContainers": [{"name": c["name"]} for c in init],
            **(spec or {}),
        },
        "status": {"phase": phase, "containerStatuses": containers, "initContainerStatuses": init, **status},
    }


SIDECAR = {"initContainers": [{"name": "c", "restartPolicy": "Always"}]}
DELETED = {"deletionTimestamp": ago(seconds=1)}
READY = [{"type": "Ready", "status": "True"}]
PODS: list[tuple[dict[str, Any], str, str]] = [
    (pod("Pending"), "Pending", "0/1"),
    (pod("Pending", [waiting("ContainerCreating")]), "ContainerCreating", "0/1"),
    (pod("Pending", [waiting("ErrImagePull")]), "ErrImagePull", "0/1"),
    (pod("Running", [running()]), "Running", "1/1"),
    (pod("Running", [running(), running(ready=False)]), "Running", "1/2"),
    (pod("Running", [waiting("CrashLoopBackOff"), running()]), "CrashLoopBackOff", "1/2"),
    (pod("Running", [ended(1, reason="Error")]), "Error", "0/1"),
    (pod("Running", [ended(137)]), "ExitCode:137", "0/1"),
    (pod("Running", [ended(137, signal=9)]), "Signal:9", "0/1"),
    (pod("Succeeded", [ended(reason="Completed")]), "Completed", "0/1"),
    (pod("Running", [ended(reason="Completed"), running()]), "NotReady", "1/2"),
    (pod("Running", [ended(reason="Completed"), running()], conditions=READY), "Running", "1/2"),
    (pod("Failed", reason="Evicted"), "Evicted", "0/1"),
    (pod("Pending", [waiting("PodInitializing")], [waiting("PodInitializing")]), "Init:0/1", "0/1"),
    (pod("Pending", [waiting("PodInitializing")], [ended(), running(ready=False)]), "Init:1/2", "0/1"),
    (pod("Pending", [waiting("PodInitializing")], [waiting("ImagePullBackOff")]), "Init:ImagePullBackOff", "0/1"),
    (pod("Pending", [waiting("PodInitializing")], [ended(1, reason="Error")]), "Init:Error", "0/1"),
    (pod("Pending", [waiting("PodInitializing")], [ended(2)]), "Init:ExitCode:2", "0/1"),
    (pod("Pending", [waiting("PodInitializing")], [ended()]), "PodInitializing", "0/1"),
    (pod("Running", [running()], [running(started=True)], spec=SIDECAR), "Running", "2/2"),
    (pod("Running", [running()], [running(ready=False, started=True)], spec=SIDECAR), "Running", "1/2"),
    (pod("Running", [running()], metadata=DELETED), "Terminating", "1/1"),
    (pod("Succeeded", [ended(reason="Completed")], metadata=DELETED), "Completed", "0/1"),
    (pod("Running", [running()], metadata=DELETED, reason="NodeLost"), "Unknown", "1/1"),
    (pod("Pending", conditions=[{"type": "PodScheduled", "reason": "SchedulingGated"}]), "SchedulingGated", "0/1"),
]


@pytest.mark.parametrize(("obj", "reason", "ready"), PODS, ids=lambda value: value if isinstance(value, str) else "")
def test_the_status_of_a_pod_is_summed_up_as_upstream_does(obj: dict[str, Any], reason: str, ready: str) -> None:
    summary = summarize(obj)
    assert (summary.reason, f"{summary.ready}/{summary.total}") == (reason, ready)


def test_restarts_tell_when_the_last_one_was() -> None:
    last: dict[str, Any] = {"lastState": {"terminated": {"exitCode": 1, "finishedAt": ago(minutes=5)}}}
    obj = pod("Running", [running(restartCount=2, **last), running(restartCount=1)])
    assert kind("v1", "Pod").cells(obj, NOW)[3] == "3 (5m ago)"
    assert kind("v1", "Pod").cells(pod("Running", [running(restartCount=3)]), NOW)[3] == "3"


def test_a_pod_row_shows_where_it_is() -> None:
    obj = pod("Running", [running()], spec={"nodeName": "n1"}, podIPs=[{"ip": "10.1.0.2"}])
    assert kind("v1", "Pod").cells(obj, NOW) == [
        "p", "1/1", "Running", "0", "5m", "10.1.0.2", "n1", "<none>", "<none>",
    ]  # fmt: skip


def test_a_node_row_shows_readiness_roles_and_addresses() -> None:
    node = {
        "metadata": {
            "name": "n1",
            "creationTimestamp": ago(hours=30),
            "labels": {"node-role.kubernetes.io/control-plane": "", "node-role.kubernetes.io/worker": "true"},
        },
        "spec": {"unschedulable": True},
        "status": {
            "conditions": [{"type": "Ready", "status": "Unknown"}],
            "addresses": [{"type": "InternalIP", "address": "192.0.2.1"}],
            "nodeInfo": {"kubeletVersion": "v1.36.0", "osImage": "Debian", "kernelVersion": "6.1"},
        },
    }
    cells = kind("v1", "Node").cells(node, NOW)
    assert cells[:5] == ["n1", "NotReady,SchedulingDisabled", "control-plane,worker", "30h", "v1.36.0"]
    assert cells[5:] == ["192.0.2.1", "<none>", "Debian", "6.1", "<unknown>"]
    assert kind("v1", "Node").cells({"metadata": {"name": "x"}}, NOW)[:4] == ["x", "Unknown", "<none>", "<unknown>"]


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ({"spec": {"type": "ClusterIP"}}, "<none>"),
        ({"spec": {"type": "NodePort", "externalIPs": ["192.0.2.1", "192.0.2.2"]}}, "192.0.2.1,192.0.2.2"),
        ({"spec": {"type": "LoadBalancer"}}, "<pending>"),
        (
            {
                "spec": {"type": "LoadBalancer"},
                "status": {"loadBalancer": {"ingress": [{"ip": "b"}, {"hostname": "a"}]}},
            },
            "a,b",
        ),
        ({"spec": {"type": "ExternalName", "externalName": "example.com"}}, "example.com"),
    ],
)
def test_the_external_address_of_a_service_depends_on_its_type(service: dict[str, Any], expected: str) -> None:
    assert external_ip(service) == expected


def test_service_ports_show_node_ports_behind_a_colon() -> None:
    assert ports_text([{"port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP", "nodePort": 30053}]) == (
        "80/TCP,53:30053/UDP"
    )
    assert ports_text([]) == "<none>"


def test_a_deployment_row_counts_pods_and_names_its_containers() -> None:
    containers = [{"name": "a", "image": "x:1"}, {"name": "b", "image": "y"}]
    deployment = {
        "metadata": {"name": "web", "creationTimestamp": ago(days=3)},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"spec": {"containers": containers}},
        },
        "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1},
    }
    assert kind("apps/v1", "Deployment").cells(deployment, NOW) == [
        "web", "2/3", 3, 1, "3d", "a,b", "x:1,y", "app=web",
    ]  # fmt: skip


def test_selectors_read_as_a_client_would_write_them() -> None:
    rules = [
        {"key": "tier", "operator": "In", "values": ["b", "a"]},
        {"key": "old", "operator": "DoesNotExist"},
        {"key": "new", "operator": "Exists"},
    ]
    assert selector_text({"matchLabels": {"app": "x"}, "matchExpressions": rules}) == "app=x,new,!old,tier in (a,b)"
    assert selector_text(None) == selector_text({}) == "<none>"


def test_an_event_without_timestamps_of_its_own_uses_the_event_time_and_its_series() -> None:
    event = {
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec.containers{c}"},
        "reason": "Started",
        "message": "Started container\n",
        "type": "Normal",
        "eventTime": ago(minutes=20),
        "reportingComponent": "kubelet",
        "source": {"component": "kubelet", "host": "n1"},
    }
    cells = kind("v1", "Event").cells(event, NOW)
    assert cells == [
        "20m", "Normal", "Started", "pod/p", "spec.containers{c}", "kubelet, n1", "Started container", "20m", 1, "e",
    ]  # fmt: skip
    event["series"] = {"count": 7, "lastObservedTime": ago(seconds=10)}
    cells = kind("v1", "Event").cells(event, NOW)
    assert (cells[0], cells[7], cells[8]) == ("10s", "20m", 7)


def test_a_table_carries_as_much_of_the_object_as_was_asked_for() -> None:
    info = kind("v1", "ConfigMap")
    obj = {"metadata": {"name": "m", "creationTimestamp": ago(seconds=9)}, "data": {"a": "b"}}
    table = build_table(info, [obj], {"resourceVersion": "7"}, NOW)
    assert table["metadata"] == {"resourceVersion": "7"} and table["kind"] == "Table"
    assert table["rows"][0]["cells"] == ["m", 1, "9s"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert "data" not in table["rows"][0]["object"]
    assert build_table(info, [obj], None, NOW, include_object="None")["rows"][0]["object"] is None
    assert build_table(info, [obj], None, NOW, include_object="Object")["rows"][0]["object"]["data"] == {"a": "b"}
    assert build_table(info, [], None, NOW, headers=False)["columnDefinitions"] is None


def test_rows_of_ended_pods_are_marked_completed() -> None:
    table = build_table(kind("v1", "Pod"), [pod("Succeeded"), pod("Running", [running()])], None, NOW)
    assert [row.get("conditions", [{}])[0].get("reason") for row in table["rows"]] == ["Succeeded", None]


def test_a_built_table_reads_back_through_its_model() -> None:
    table = build_table(kind("v1", "Pod"), [pod("Succeeded")], {"resourceVersion": "7"}, NOW)
    model = Table.model_validate(table)
    assert model.metadata.resourceVersion == "7"
    assert model.rows is not None and model.rows[0].cells[0] == "p"
    assert model.rows[0].conditions[0].type == "Completed"
    assert model.to_dict()["columnDefinitions"] == table["columnDefinitions"]
