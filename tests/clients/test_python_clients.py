"""The Python client libraries, unmodified: kubernetes with its dynamic client, lightkube and kr8s.

Each creates, watches, patches and deletes a built-in object and a custom one; the custom one has status and scale.
"""

from __future__ import annotations

import kr8s
import kubernetes
import lightkube
import pytest
from kr8s.objects import ConfigMap as Kr8sConfigMap
from kr8s.objects import Deployment as Kr8sDeployment
from kr8s.objects import new_class
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import NotFoundError, UnprocessibleEntityError
from lightkube import generic_resource
from lightkube.models.autoscaling_v1 import ScaleSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap, Node, Pod
from lightkube.types import PatchType

from tests.cli.running import RunningCluster
from tests.clients import sails

MERGE = "application/merge-patch+json"


def config_map(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "1"}}


def deployment(name: str) -> dict[str, object]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "example.com/web:1"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


@pytest.fixture(scope="module")
def with_sails(cluster: RunningCluster) -> RunningCluster:
    sails.install(cluster)
    return cluster


# -- kubernetes --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dynamic(with_sails: RunningCluster) -> DynamicClient:
    return DynamicClient(kubernetes.config.new_client_from_config(str(with_sails.kubeconfig)))


def test_the_dynamic_client_creates_watches_patches_and_deletes(dynamic: DynamicClient) -> None:
    maps = dynamic.resources.get(api_version="v1", kind="ConfigMap")
    created = maps.create(body=config_map("dynamic"), namespace="default")
    seen = []
    patch = {"data": {"k": "2"}}
    maps.patch(name="dynamic", namespace="default", body=patch, content_type=MERGE)
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
    where = {"name": "applied", "namespace": "default", "field_manager": "test"}
    first = deployments.server_side_apply(body=deployment("applied"), **where)
    again = deployments.server_side_apply(body=deployment("applied"), **where)
    managers = {entry.manager for entry in first.metadata.managedFields}
    assert "test" in managers and again.spec.replicas == 1
    deployments.delete(name="applied", namespace="default")


def test_the_dynamic_client_handles_custom_objects(dynamic: DynamicClient) -> None:
    kind = dynamic.resources.get(api_version=sails.API_VERSION, kind=sails.KIND)
    where = {"name": "dynamic", "namespace": "default"}
    created = kind.create(body=sails.sail("dynamic"), namespace="default")
    assert created.spec.replicas == 1  # by default
    kind.patch(body={"spec": {"cloth": "hemp"}}, content_type=MERGE, **where)
    kind.status.patch(body={**sails.READY, "spec": {"cloth": "lost"}}, content_type=MERGE, **where)
    assert kind.scale.patch(body={"spec": {"replicas": 3}}, content_type=MERGE, **where).status.replicas == 1
    applied = kind.server_side_apply(
        body=sails.sail("dynamic", "wool"), field_manager="test", force_conflicts=True, **where
    )
    assert (applied.spec.cloth, applied.spec.replicas) == ("wool", 3)
    with pytest.raises(UnprocessibleEntityError, match="should be at least 3 chars long"):
        kind.patch(body={"spec": {"cloth": "x"}}, content_type=MERGE, **where)
    kind.delete(**where)
    seen = []
    for event in kind.watch(namespace="default", resource_version=created.metadata.resourceVersion, timeout=20):
        seen.append((event["type"], event["object"].spec.cloth, event["object"].spec.replicas))
        if event["type"] == "DELETED":
            break
    assert seen == [
        ("MODIFIED", "hemp", 1),
        ("MODIFIED", "hemp", 1),  # status alone
        ("MODIFIED", "hemp", 3),
        ("MODIFIED", "wool", 3),
        ("DELETED", "wool", 3),
    ]
    with pytest.raises(NotFoundError):
        kind.get(**where)


# -- lightkube ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def light(with_sails: RunningCluster) -> lightkube.Client:
    return lightkube.Client(lightkube.KubeConfig.from_file(str(with_sails.kubeconfig)), field_manager="lightkube")


def test_lightkube_lists_creates_watches_patches_and_deletes(light: lightkube.Client) -> None:
    assert {node.metadata.name for node in light.list(Node)} == {"fake-node-0", "fake-node-1"}
    assert isinstance([pod.metadata.name for pod in light.list(Pod, namespace="*")], list)
    created = light.create(ConfigMap(metadata=ObjectMeta(name="lightkube", namespace="default"), data={"k": "1"}))
    found = light.get(ConfigMap, "lightkube")
    found.data = {"k": "2"}
    assert light.replace(found).data == {"k": "2"}
    assert light.patch(ConfigMap, "lightkube", {"data": {"k": "3"}}).data == {"k": "3"}
    light.delete(ConfigMap, "lightkube")
    seen = []
    fields = {"metadata.name": "lightkube"}
    since = created.metadata.resourceVersion
    for event, item in light.watch(ConfigMap, fields=fields, resource_version=since, server_timeout=20):
        seen.append((event, item.data["k"]))
        if event == "DELETED":
            break
    assert seen == [("MODIFIED", "2"), ("MODIFIED", "3"), ("DELETED", "3")]
    with pytest.raises(lightkube.ApiError, match='configmaps "lightkube" not found'):
        light.get(ConfigMap, "lightkube")


def test_lightkube_handles_custom_objects(light: lightkube.Client) -> None:
    generic_resource.load_in_cluster_generic_resources(light)
    kind = generic_resource.get_generic_resource(sails.API_VERSION, sails.KIND)
    assert kind is not None
    created = light.create(kind(**sails.sail("light")))
    assert created.spec["replicas"] == 1
    light.patch(kind, "light", {"spec": {"cloth": "hemp"}}, patch_type=PatchType.MERGE)
    status = light.patch(kind.Status, "light", sails.READY, patch_type=PatchType.MERGE)
    assert (status.spec["cloth"], status.status["conditions"][0]["type"]) == ("hemp", "Ready")
    scale = light.get(kind.Scale, "light")
    scale.spec = ScaleSpec(replicas=4)
    assert light.replace(scale).spec.replicas == 4
    light.apply(kind(**sails.sail("light", "wool")), force=True)
    light.wait(kind, "light", for_conditions=["Ready"])
    light.delete(kind, "light")
    seen = []
    for event, item in light.watch(kind, resource_version=created.metadata.resourceVersion, server_timeout=20):
        seen.append((event, item.spec["cloth"], item.spec["replicas"]))
        if event == "DELETED":
            break
    assert seen == [
        ("MODIFIED", "hemp", 1),
        ("MODIFIED", "hemp", 1),
        ("MODIFIED", "hemp", 4),
        ("MODIFIED", "wool", 4),
        ("DELETED", "wool", 4),
    ]


# -- kr8s --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kr8s_api(with_sails: RunningCluster) -> kr8s.Api:
    return kr8s.api(kubeconfig=str(with_sails.kubeconfig))


def test_kr8s_waits_scales_and_deletes(kr8s_api: kr8s.Api) -> None:
    made = Kr8sDeployment(deployment("kr8s"), api=kr8s_api)
    made.create()
    made.wait("condition=Available", timeout=30)
    made.scale(2)
    assert made.replicas == 2
    made.delete()


def test_kr8s_creates_watches_patches_and_deletes(kr8s_api: kr8s.Api) -> None:
    kept = Kr8sConfigMap(config_map("kr8s"), api=kr8s_api)
    kept.create()
    kept.patch({"data": {"k": "2"}})
    assert kept.data["k"] == "2"
    seen = []
    for event, item in kr8s_api.watch("configmaps", namespace="default"):
        if item.name == "kr8s":
            seen.append((event, item.data["k"]))
            if event == "DELETED":
                break
            kept.delete()  # while it is watched
    assert seen == [("ADDED", "2"), ("DELETED", "2")]
    assert not kept.exists()


def test_kr8s_handles_custom_objects(kr8s_api: kr8s.Api) -> None:
    kind = new_class(sails.KIND, sails.API_VERSION, scalable=True, scalable_spec="replicas")
    made = kind(sails.sail("kr8s"), api=kr8s_api)
    made.create()
    assert made.spec.replicas == 1
    made.patch({"spec": {"cloth": "hemp"}})
    made.patch({**sails.READY, "spec": {"cloth": "lost"}}, subresource="status")
    made.wait("condition=Ready", timeout=20)
    made.scale(2)
    assert (made.replicas, made.spec.cloth) == (2, "hemp")
    seen = []
    for event, item in kr8s_api.watch(sails.NAME, namespace="default"):
        seen.append((event, item.spec.cloth, item.spec.replicas))
        if event == "DELETED":
            break
        made.delete()
    assert seen == [("ADDED", "hemp", 2), ("DELETED", "hemp", 2)]
    assert [item.name for item in kr8s_api.get(sails.NAME, namespace="default")] == []
