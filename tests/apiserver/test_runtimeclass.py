"""The RuntimeClass plugin: the overhead and the places of a class become the pod's, and nothing else does."""

from typing import Any

import pytest

from tests.apiserver.cluster import Answer, Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLASSES = "/apis/node.k8s.io/v1/runtimeclasses"
PODS = "/api/v1/namespaces/default/pods"
FIXED = {"cpu": "10m", "memory": "1Mi"}


async def runtime_class(cluster: Cluster, name: str, **fields: Any) -> None:
    await cluster.must("POST", CLASSES, {"metadata": {"name": name}, "handler": "example", **fields})


async def create(cluster: Cluster, name: str, **spec: Any) -> Answer:
    body = {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "app:1"}], **spec}}
    return await cluster.request("POST", PODS, body)


async def test_a_class_gives_overhead_node_selector_and_tolerations(cluster: Cluster) -> None:
    toleration = {"key": "sandboxed", "operator": "Exists", "effect": "NoSchedule"}
    scheduling = {"nodeSelector": {"sandbox": "yes"}, "tolerations": [toleration]}
    await runtime_class(cluster, "whole", overhead={"podFixed": FIXED}, scheduling=scheduling)
    answer = await create(cluster, "whole", runtimeClassName="whole", nodeSelector={"disk": "ssd"})
    spec = answer.json["spec"]
    assert answer.status == 201
    assert spec["overhead"] == FIXED
    assert spec["nodeSelector"] == {"disk": "ssd", "sandbox": "yes"}
    assert toleration in spec["tolerations"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"runtimeClassName": "absent"}, 'pod rejected: RuntimeClass "absent" not found'),
        ({"overhead": FIXED}, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"),
        (
            {"runtimeClassName": "given", "overhead": {"cpu": "20m"}},
            "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
        ),
        (
            {"runtimeClassName": "given", "nodeSelector": {"sandbox": "no"}},
            "pod rejected: conflict: runtimeClass.scheduling.nodeSelector[sandbox] = yes; "
            "pod.spec.nodeSelector[sandbox] = no",
        ),
    ],
)
async def test_a_pod_that_does_not_fit_its_class_is_refused(
    cluster: Cluster, spec: dict[str, Any], message: str
) -> None:
    if (await cluster.request("GET", f"{CLASSES}/given")).status == 404:
        selector = {"nodeSelector": {"sandbox": "yes"}}
        await runtime_class(cluster, "given", overhead={"podFixed": FIXED}, scheduling=selector)
    answer = await create(cluster, "refused", **spec)
    assert (answer.status, answer.json["message"]) == (403, f'pods "refused" is forbidden: {message}')
