"""The Python client libraries, unmodified: kubernetes with its dynamic client, lightkube and kr8s."""

from __future__ import annotations

import kr8s
import kubernetes
import kubernetes_validate
import lightkube
import pytest
from kr8s.objects import ConfigMap as Kr8sConfigMap
from kr8s.objects import Deployment as Kr8sDeployment
from kubernetes.dynamic import DynamicClient
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap, Node, Pod

from tests.cli.running import RunningCluster


def config_map(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "1"}}


@pytest.fixture(scope="module")
def dynamic(cluster: RunningCluster) -> DynamicClient:
    return DynamicClient(kubernetes.config.new_client_from_config(str(cluster.kubeconfig)))


def test_the_dynamic_client_creates_watches_patches_and_deletes(dynamic: DynamicClient) -> None:
    maps = dynamic.resources.get(api_version="v1", kind="ConfigMap")
    created = maps.create(body=config_map("dynamic"), namespace="default")
    seen = []
    patch = {"data": {"k": "2"}}
    maps.patch(name="dynamic", namespace="default", body=patch, content_type="application/merge-patch+json")
    maps.delete(name="dynamic", namespace="default")
    since = created.metadata.resourceVersion
    for event in maps.watch(namespace="default", resource_version=since, timeout=20):
        if event["object"].metadata.name == "dynamic":
            seen.append((event["type"], event["object"].data["k"]))
            if event["type"] == "DELETED":
                break
    assert seen == [("MODIFIED", "2"), ("DELETED", "2")]


def test_the_dynamic_client_applies_with_its_field_manager(dynamic: DynamicClient) -> None:
    deployments = dynamic.resources.get(api_version="apps/v1", kind="Deployment")
    labels = {"app": "applied"}
    container = {"name": "c", "image": "example.com/web:1"}
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "applied"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    first = deployments.server_side_apply(body=body, name="applied", namespace="default", field_manager="test")
    again = deployments.server_side_apply(body=body, name="applied", namespace="default", field_manager="test")
    managers = {entry.manager for entry in first.metadata.managedFields}
    assert "test" in managers and again.spec.replicas == 1
    deployments.delete(name="applied", namespace="default")


def test_lightkube_lists_creates_and_deletes(cluster: RunningCluster) -> None:
    client = lightkube.Client(lightkube.KubeConfig.from_file(str(cluster.kubeconfig)))
    assert {node.metadata.name for node in client.list(Node)} == {"fake-node-0", "fake-node-1"}
    client.create(ConfigMap(metadata=ObjectMeta(name="lightkube", namespace="default"), data={"k": "1"}))
    found = client.get(ConfigMap, "lightkube")
    found.data = {"k": "2"}
    assert client.replace(found).data == {"k": "2"}
    client.delete(ConfigMap, "lightkube")
    with pytest.raises(lightkube.ApiError, match='configmaps "lightkube" not found'):
        client.get(ConfigMap, "lightkube")


def test_kr8s_waits_scales_and_deletes(cluster: RunningCluster) -> None:
    api = kr8s.api(kubeconfig=str(cluster.kubeconfig))
    labels = {"app": "kr8s"}
    deployment = Kr8sDeployment(
        {
            "metadata": {"name": "kr8s", "namespace": "default"},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "c", "image": "example.com/web:1"}]},
                },
            },
        },
        api=api,
    )
    deployment.create()
    deployment.wait("condition=Available", timeout=30)
    deployment.scale(2)
    assert deployment.replicas == 2
    deployment.delete()
    kept = Kr8sConfigMap(config_map("kr8s"), api=api)
    kept.create()
    kept.patch({"data": {"k": "2"}})
    assert kept.data["k"] == "2"
    kept.delete()


def test_every_object_the_server_returns_is_valid_kubernetes(cluster: RunningCluster) -> None:
    objects = [
        item
        for words in ("namespaces", "nodes", "serviceaccounts", "services", "configmaps", "leases", "events")
        for item in cluster.get(words, "-A")["items"]
    ]
    assert len(objects) > 10
    for item in objects:
        kubernetes_validate.validate(item, "1.36", strict=True)


def test_lightkube_reads_pods_of_every_namespace(cluster: RunningCluster) -> None:
    client = lightkube.Client(lightkube.KubeConfig.from_file(str(cluster.kubeconfig)))
    assert isinstance([pod.metadata.name for pod in client.list(Pod, namespace="*")], list)
