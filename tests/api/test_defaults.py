"""Defaults: recorded answers of a real server, and tables for the conditions between fields."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tiphys.api.core.pod_defaults import pull_policy
from tiphys.api.core.pod_qos import qos_class
from tiphys.api.decode import decode
from tiphys.api.defaults import apply_defaults
from tiphys.api.kinds import KindInfo, builtin_registry

GOLDEN = Path(__file__).parent.parent / "data" / "golden_defaults.jsonl"
REGISTRY = builtin_registry()


def golden() -> list[dict[str, Any]]:
    return [json.loads(line) for line in GOLDEN.read_text().splitlines()]


def info_for(path: str) -> KindInfo | None:
    parts = path.strip("/").split("/")
    group, version = ("", parts[1]) if parts[0] == "api" else (parts[1], parts[2])
    return REGISTRY.get(group, version, parts[-1])


CASES = [case for case in golden() if case["code"] == 201 and info_for(case["path"]) is not None]


def without_what_others_add(obj: dict[str, Any]) -> dict[str, Any]:
    """Takes away what the server's metadata, admission plugins and allocators add."""
    obj = copy.deepcopy(obj)
    metadata = obj.setdefault("metadata", {})
    for name in ("uid", "creationTimestamp", "managedFields", "namespace", "name"):
        metadata.pop(name, None)
    spec = obj.get("spec", {})
    if obj.get("kind") == "Pod":
        for name in ("tolerations", "priority", "preemptionPolicy", "serviceAccount", "serviceAccountName"):
            spec.pop(name, None)
        spec["volumes"] = [v for v in spec.get("volumes", []) if not v["name"].startswith("kube-api-access-")]
        for container in [*spec.get("containers", []), *spec.get("initContainers", [])]:
            mounts = container.pop("volumeMounts", [])
            assert all(mount["name"].startswith("kube-api-access-") for mount in mounts)
        if not spec["volumes"]:
            del spec["volumes"]
    if obj.get("kind") == "Service":
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            spec.pop(name, None)
    if obj.get("kind") == "Node":
        spec.pop("taints", None)
    if obj.get("kind") == "PersistentVolumeClaim":
        metadata.pop("finalizers", None)
    if obj.get("kind") == "Job":
        for made_from_the_uid in (spec.pop("selector", None), metadata, spec["template"].pop("metadata", None)):
            (made_from_the_uid or {}).pop("labels", None)
    return obj


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_a_new_object_becomes_what_a_real_server_made_of_it(case: dict[str, Any]) -> None:
    info = info_for(case["path"])
    assert info is not None
    obj = decode(copy.deepcopy(case["input"]), info.schema).value
    apply_defaults(obj, info.schema)
    info.prepare_for_create(obj)
    assert without_what_others_add(obj) == without_what_others_add(case["output"])


def test_the_recorded_cases_cover_the_kinds_of_a_first_application() -> None:
    assert {case["output"]["kind"] for case in CASES} >= {
        "Pod",
        "Deployment",
        "ReplicaSet",
        "Service",
        "Secret",
        "ServiceAccount",
        "Namespace",
        "Node",
        "Event",
        "Lease",
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_a_second_walk_changes_nothing(case: dict[str, Any]) -> None:
    info = info_for(case["path"])
    assert info is not None
    obj = decode(copy.deepcopy(case["input"]), info.schema).value
    apply_defaults(obj, info.schema)
    once = copy.deepcopy(obj)
    apply_defaults(obj, info.schema)
    assert obj == once


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("localhost:5000/app", "Always"),
        ("localhost:5000/app:v1", "IfNotPresent"),
        ("localhost:5000/team/app:latest", "Always"),
        ("app@sha256:" + "a" * 64, "IfNotPresent"),
        ("app:latest@sha256:" + "a" * 64, "Always"),
        ("Not An Image", "IfNotPresent"),
        ("", "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_from_the_tag(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


def defaulted(kind: str, spec: dict[str, Any], api_version: str = "v1", **more: Any) -> dict[str, Any]:
    info = REGISTRY.by_api_version(api_version, kind)
    assert info is not None
    obj = decode(
        {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, "spec": spec, **more}, info.schema
    )
    apply_defaults(obj.value, info.schema)
    result: dict[str, Any] = obj.value["spec"]
    return result


def container(**more: Any) -> dict[str, Any]:
    return {"name": "c", "image": "app:1", **more}


def test_requests_follow_limits_in_pods_but_not_in_templates() -> None:
    limited = container(resources={"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}})
    pod = defaulted("Pod", {"containers": [limited]})
    assert pod["containers"][0]["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [limited]}}
    deployment = defaulted("Deployment", {"template": template}, "apps/v1")
    assert deployment["template"]["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "500m"}


def test_host_ports_follow_container_ports_in_host_network_pods_only() -> None:
    ports = [{"containerPort": 80}, {"containerPort": 81, "hostPort": 8081}]
    host = defaulted("Pod", {"hostNetwork": True, "containers": [container(ports=ports)]})
    assert [port["hostPort"] for port in host["containers"][0]["ports"]] == [80, 8081]
    own = defaulted("Pod", {"containers": [container(ports=ports)]})
    assert "hostPort" not in own["containers"][0]["ports"][0]


def test_a_probe_gets_its_thresholds_and_its_action_its_scheme() -> None:
    probe = {"httpGet": {"port": 80}, "initialDelaySeconds": 3, "periodSeconds": 2}
    grpc = {"grpc": {"port": 9000}}
    pod = defaulted("Pod", {"containers": [container(livenessProbe=probe, readinessProbe=grpc)]})
    assert pod["containers"][0]["livenessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "initialDelaySeconds": 3,
        "timeoutSeconds": 1,
        "periodSeconds": 2,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert pod["containers"][0]["readinessProbe"]["grpc"] == {"port": 9000, "service": ""}


def test_environment_references_are_completed() -> None:
    env = [
        {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "B", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k", "optional": False}}},
    ]
    pod = defaulted("Pod", {"containers": [container(env=env)]})
    sources = [item["valueFrom"] for item in pod["containers"][0]["env"]]
    assert sources == [
        {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
        {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "0"}},
        {"configMapKeyRef": {"name": "m", "key": "k", "optional": False}},
    ]


def test_the_old_name_of_the_service_account_is_kept_in_step() -> None:
    for given in (
        {"serviceAccount": "a"},
        {"serviceAccountName": "a"},
        {"serviceAccountName": "a", "serviceAccount": "b"},
    ):
        pod = defaulted("Pod", {"containers": [container()], **given})
        assert (pod["serviceAccountName"], pod["serviceAccount"]) == ("a", "a")


def test_pod_level_requests_follow_from_containers_then_from_limits() -> None:
    resources = {"limits": {"cpu": "2", "memory": "1Gi"}}
    spec = {"resources": resources, "containers": [container(resources={"requests": {"cpu": "250m"}}) for _ in "ab"]}
    assert defaulted("Pod", spec)["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}


def test_service_types_decide_their_traffic_policies() -> None:
    ports = [{"port": 80, "name": "http"}]
    node_port = defaulted("Service", {"type": "NodePort", "ports": ports})
    assert (node_port["externalTrafficPolicy"], node_port["internalTrafficPolicy"]) == ("Cluster", "Cluster")
    balancer = defaulted("Service", {"type": "LoadBalancer", "ports": ports})
    assert balancer["allocateLoadBalancerNodePorts"] is True
    plain = defaulted("Service", {"ports": ports})
    assert "externalTrafficPolicy" not in plain and plain["ports"][0]["targetPort"] == 80
    outside = defaulted("Service", {"ports": ports, "externalIPs": ["192.0.2.1"]})
    assert outside["externalTrafficPolicy"] == "Cluster"


def test_deployment_strategies_are_completed_by_their_type() -> None:
    template = {"spec": {"containers": [container()]}}
    rolling = defaulted("Deployment", {"template": template, "strategy": {"rollingUpdate": {"maxSurge": 1}}}, "apps/v1")
    assert rolling["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": "25%"}}
    assert defaulted("Deployment", {"template": template, "replicas": 0}, "apps/v1")["replicas"] == 0


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([{}], "BestEffort"),
        ([{"requests": {"cpu": "1"}}], "Burstable"),
        ([{"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1000m", "memory": "1024Mi"}}], "Guaranteed"),
        ([{"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}, {}], "Burstable"),
        ([{"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "1Gi"}}], "Burstable"),
        ([{"requests": {"cpu": "0"}}], "BestEffort"),
        ([{"requests": {"example.com/gpu": "1"}}], "BestEffort"),
    ],
)
def test_the_quality_of_service_follows_from_requests_and_limits(resources: list[Any], expected: str) -> None:
    assert qos_class({"containers": [container(resources=item) for item in resources]}) == expected
