"""What creates, updates and status writes reset: tables per kind."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tiphys.api.kinds import KindInfo, builtin_registry

REGISTRY = builtin_registry()


def kind(api_version: str, name: str) -> KindInfo:
    info = REGISTRY.by_api_version(api_version, name)
    assert info is not None
    return info


def deployment(**more: Any) -> dict[str, Any]:
    metadata = {"name": "web", "generation": 3, "labels": {"a": "b"}}
    return {"metadata": metadata, "spec": {"replicas": 1}, "status": {"replicas": 1}, **more}


def test_a_new_object_starts_at_generation_one_with_an_empty_status() -> None:
    obj = deployment()
    kind("apps/v1", "Deployment").prepare_for_create(obj)
    assert obj["metadata"]["generation"] == 1 and obj["status"] == {}
    replica_set = deployment()
    kind("apps/v1", "ReplicaSet").prepare_for_create(replica_set)
    assert replica_set["status"] == {"replicas": 0}


def test_generation_counts_changes_of_the_spec_only() -> None:
    info, old = kind("apps/v1", "ReplicaSet"), deployment()
    same = deployment(status={"replicas": 9})
    same["metadata"] = {"name": "web", "labels": {"c": "d"}, "annotations": {"e": "f"}}
    info.prepare_for_update(same, old)
    assert same["metadata"]["generation"] == 3 and same["status"] == old["status"]
    changed = deployment(spec={"replicas": 2})
    info.prepare_for_update(changed, old)
    assert changed["metadata"]["generation"] == 4


def test_generation_of_a_deployment_counts_its_annotations_too() -> None:
    new = deployment()
    new["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "2"}
    kind("apps/v1", "Deployment").prepare_for_update(new, deployment())
    assert new["metadata"]["generation"] == 4


def test_a_status_write_changes_neither_spec_nor_generation_nor_owners() -> None:
    old = deployment()
    old["metadata"]["ownerReferences"] = [{"uid": "1"}]
    new = deployment(spec={"replicas": 5}, status={"replicas": 5})
    new["metadata"] = {"name": "web", "generation": 99, "labels": {"x": "y"}}
    kind("apps/v1", "Deployment").prepare_status_update(new, old)
    assert new["spec"] == {"replicas": 1} and new["status"] == {"replicas": 5}
    assert new["metadata"]["generation"] == 3
    assert new["metadata"]["labels"] == {"a": "b"}
    assert new["metadata"]["ownerReferences"] == [{"uid": "1"}]


def test_kinds_without_generation_have_none() -> None:
    for api_version, name in (("v1", "ConfigMap"), ("v1", "Service"), ("v1", "Namespace"), ("v1", "Node")):
        obj: dict[str, Any] = {"metadata": {"name": "x"}}
        kind(api_version, name).prepare_for_create(obj)
        assert "generation" not in obj["metadata"]


def test_a_new_pod_is_pending_and_knows_its_class() -> None:
    obj = {"metadata": {}, "spec": {"containers": [{"name": "c"}]}, "status": {"phase": "Running", "podIP": "1.2.3.4"}}
    kind("v1", "Pod").prepare_for_create(obj)
    assert obj["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


def test_a_gated_pod_says_why_it_is_not_scheduled() -> None:
    obj: dict[str, Any] = {"metadata": {}, "spec": {"containers": [], "schedulingGates": [{"name": "g"}]}}
    kind("v1", "Pod").prepare_for_create(obj)
    (condition,) = obj["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "SchedulingGated")


@pytest.mark.parametrize(
    ("pod", "asked", "expected"),
    [
        ({"spec": {"nodeName": "n", "terminationGracePeriodSeconds": 30}}, None, 30),
        ({"spec": {"nodeName": "n", "terminationGracePeriodSeconds": 30}}, 5, 5),
        ({"spec": {"nodeName": "n", "terminationGracePeriodSeconds": 30}}, 0, 0),
        ({"spec": {"nodeName": "n", "terminationGracePeriodSeconds": -1}}, None, 1),
        ({"spec": {"terminationGracePeriodSeconds": 30}}, None, 0),
        ({"spec": {"nodeName": "n"}, "status": {"phase": "Succeeded"}}, None, 0),
    ],
)
def test_the_grace_period_of_a_pod(pod: dict[str, Any], asked: int | None, expected: int) -> None:
    info = kind("v1", "Pod")
    assert info.graceful and info.grace_period_seconds(pod, asked) == expected


def test_only_pods_are_deleted_gracefully() -> None:
    assert [info.kind for info in REGISTRY.all() if info.graceful] == ["Pod"]


def test_a_namespace_begins_active_with_its_finalizer_and_keeps_it() -> None:
    info = kind("v1", "Namespace")
    obj: dict[str, Any] = {"metadata": {"name": "n"}}
    info.prepare_for_create(obj)
    assert obj["spec"] == {"finalizers": ["kubernetes"]} and obj["status"] == {"phase": "Active"}
    new: dict[str, Any] = {"metadata": {"name": "n", "labels": {}}, "spec": {"finalizers": []}}
    info.prepare_for_update(new, obj)
    assert new["spec"]["finalizers"] == ["kubernetes"] and new["status"] == {"phase": "Active"}
    assert new["metadata"]["labels"] == {"kubernetes.io/metadata.name": "n"}


def test_a_node_keeps_the_status_it_came_with() -> None:
    obj = {"metadata": {"name": "n"}, "status": {"capacity": {"cpu": "2"}}}
    kind("v1", "Node").prepare_for_create(obj)
    assert obj["status"] == {"capacity": {"cpu": "2"}}


ALLOCATED = {
    "type": "NodePort",
    "clusterIP": "10.96.0.7",
    "clusterIPs": ["10.96.0.7"],
    "ipFamilies": ["IPv4"],
    "ipFamilyPolicy": "SingleStack",
    "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}],
}


def updated_service(spec: dict[str, Any]) -> dict[str, Any]:
    new = {"metadata": {"name": "s"}, "spec": copy.deepcopy(spec)}
    kind("v1", "Service").prepare_for_update(new, {"metadata": {"name": "s"}, "spec": copy.deepcopy(ALLOCATED)})
    result: dict[str, Any] = new["spec"]
    return result


def test_an_update_of_a_service_keeps_what_was_allocated() -> None:
    assert updated_service({"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP"}]}) == ALLOCATED


def test_a_service_that_becomes_internal_loses_its_node_ports() -> None:
    spec = updated_service({**ALLOCATED, "type": "ClusterIP"})
    assert spec["ports"] == [{"port": 80, "protocol": "TCP"}] and spec["clusterIP"] == "10.96.0.7"


def test_a_service_that_becomes_a_name_loses_its_address() -> None:
    spec = updated_service({**ALLOCATED, "type": "ExternalName", "externalName": "example.com"})
    assert not {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"} & spec.keys()


def test_field_selectors_find_their_fields() -> None:
    pods = kind("v1", "Pod").selectable_fields
    pod = {
        "spec": {"nodeName": "n1", "restartPolicy": "Never"},
        "status": {"phase": "Running", "podIPs": [{"ip": "1.1.1.1"}]},
    }
    found = {name: read(pod) for name, read in pods.items()}
    assert found == {
        "spec.nodeName": "n1",
        "spec.restartPolicy": "Never",
        "spec.schedulerName": "",
        "spec.serviceAccountName": "",
        "spec.hostNetwork": "false",
        "status.phase": "Running",
        "status.podIP": "1.1.1.1",
        "status.nominatedNodeName": "",
    }
    events = kind("v1", "Event").selectable_fields
    event = {"involvedObject": {"kind": "Pod", "name": "p"}, "reason": "R", "source": {"component": "kubelet"}}
    assert (events["involvedObject.name"](event), events["source"](event), events["reason"](event)) == (
        "p",
        "kubelet",
        "R",
    )
    assert kind("v1", "Secret").selectable_fields["type"]({"type": "Opaque"}) == "Opaque"
    assert kind("v1", "Node").selectable_fields["spec.unschedulable"]({}) == "false"
    assert kind("apps/v1", "ReplicaSet").selectable_fields["status.replicas"]({"status": {"replicas": 2}}) == "2"
