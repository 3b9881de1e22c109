"""pods/ephemeralcontainers and pods/resize: what may change on a pod that runs, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apiserver.cluster import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

PODS = "/api/v1/namespaces/default/pods"
STRATEGIC = "application/strategic-merge-patch+json"
SMALL = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "128Mi"}}


async def make(cluster: Cluster, name: str, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "c", "image": "app:1", "resources": SMALL}]
    body = {"metadata": {"name": name, "labels": {"a": "b"}}, "spec": {"containers": containers, **spec}}
    made: dict[str, Any] = await cluster.must("POST", PODS, body)
    return made


def ephemeral(name: str, **more: Any) -> dict[str, Any]:
    return {"spec": {"ephemeralContainers": [{"name": name, "image": "busybox", **more}]}}


async def patch(cluster: Cluster, path: str, body: Any) -> Any:
    return await cluster.request("PATCH", f"{PODS}/{path}", body, content_type=STRATEGIC)


async def test_ephemeral_containers_are_added_one_after_the_other(cluster: Cluster) -> None:
    await make(cluster, "looked-into")
    first = await patch(cluster, "looked-into/ephemeralcontainers", ephemeral("debug", targetContainerName="c"))
    assert first.status == 200
    assert [c["name"] for c in first.json["spec"]["ephemeralContainers"]] == ["debug"]
    assert first.json["spec"]["ephemeralContainers"][0]["terminationMessagePath"] == "/dev/termination-log"
    assert first.json["metadata"]["generation"] == 2
    second = first.json
    second["spec"]["ephemeralContainers"].append({"name": "more", "image": "busybox"})
    second["metadata"]["labels"] = {"not": "through here"}
    done = await cluster.must("PUT", f"{PODS}/looked-into/ephemeralcontainers", second)
    assert [c["name"] for c in done["spec"]["ephemeralContainers"]] == ["debug", "more"]
    assert done["metadata"]["labels"] == {"a": "b"} and done["metadata"]["generation"] == 3
    assert any(entry.get("subresource") == "ephemeralcontainers" for entry in done["metadata"]["managedFields"])
    assert done["spec"] == (await cluster.must("GET", f"{PODS}/looked-into/ephemeralcontainers"))["spec"]


@pytest.mark.parametrize(
    ("body", "field", "text"),
    [
        (ephemeral("c"), "spec.ephemeralContainers[0].name", 'Duplicate value: "c"'),
        (ephemeral("x", targetContainerName="no"), "spec.ephemeralContainers[0].targetContainerName", "Not found"),
        (ephemeral("x", ports=[{"containerPort": 1}]), "spec.ephemeralContainers[0].ports", "Ephemeral Container"),
        (ephemeral("x", lifecycle={"preStop": {"sleep": {"seconds": 1}}}), "spec.ephemeralContainers[0].lifecycle", ""),
        (ephemeral("x", resources=SMALL), "spec.ephemeralContainers[0].resources", ""),
        (ephemeral("there", image="other"), "spec.ephemeralContainers", '"there" may not be changed'),
        ({"spec": {"ephemeralContainers": [{"name": "there", "$patch": "delete"}]}}, "", "may not be removed"),
    ],
)
async def test_an_ephemeral_container_that_does_not_fit_is_refused(
    cluster: Cluster, body: Any, field: str, text: str
) -> None:
    if (await cluster.request("GET", f"{PODS}/firm")).status == 404:
        await make(cluster, "firm")
        assert (await patch(cluster, "firm/ephemeralcontainers", ephemeral("there"))).status == 200
    answer = await patch(cluster, "firm/ephemeralcontainers", body)
    assert answer.status == 422, answer.body
    causes = answer.json["details"]["causes"]
    assert any(field in cause["field"] and text in cause["message"] for cause in causes), causes


async def test_ephemeral_containers_come_neither_with_create_nor_with_update(cluster: Cluster) -> None:
    made = await make(cluster, "plain")
    body = {"metadata": {"name": "early"}, "spec": {**made["spec"], **ephemeral("debug")["spec"]}}
    assert (await cluster.request("POST", PODS, body)).status == 422
    assert (await patch(cluster, "plain", ephemeral("debug"))).status == 422


def resources(**more: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "c", "resources": more}]}}


async def test_cpu_and_memory_are_resized(cluster: Cluster) -> None:
    made = await make(cluster, "grows")
    done = await patch(cluster, "grows/resize", resources(requests={"cpu": "150m"}, limits={"memory": "256Mi"}))
    assert done.status == 200, done.body
    wanted = {"requests": {"cpu": "150m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "256Mi"}}
    assert done.json["spec"]["containers"][0]["resources"] == wanted
    assert done.json["metadata"]["generation"] == made["metadata"]["generation"] + 1
    again = {**done.json, "spec": {**done.json["spec"], "activeDeadlineSeconds": 5}}
    put = await cluster.must("PUT", f"{PODS}/grows/resize", again)
    assert "activeDeadlineSeconds" not in put["spec"]  # only resources get through
    code, _, error = await cluster.kubectl(
        *("patch", "pod", "grows", "--subresource=resize", "-p"),
        '{"spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"120m"}}}]}}',
    )
    assert code == 0, error


@pytest.mark.parametrize(
    ("body", "field", "text"),
    [
        (resources(requests={"cpu": "200m", "memory": "128Mi"}), "spec", "Pod QOS Class may not change as a result of"),
        (resources(limits={"cpu": None}), "spec.containers[0].resources.limits", "resource limits cannot be removed"),
        (resources(limits={"ephemeral-storage": "1Gi"}), "spec", "only cpu and memory resources are mutable"),
        (
            resources(requests={"cpu": "3"}),
            "spec.containers[0].resources.requests",
            "must be less than or equal",
        ),
        (
            {
                "spec": {
                    "containers": [
                        {"name": "c", "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}]}
                    ]
                }
            },
            "spec",
            "only cpu and memory resources are mutable",
        ),
        (
            {"spec": {"containers": [{"name": "more", "image": "x"}]}},
            "spec",
            "containers may not be renamed or reordered on resize",
        ),
    ],
)
async def test_a_resize_that_does_more_is_refused(cluster: Cluster, body: Any, field: str, text: str) -> None:
    if (await cluster.request("GET", f"{PODS}/fixed")).status == 404:
        await make(cluster, "fixed")
    answer = await patch(cluster, "fixed/resize", body)
    assert answer.status == 422, answer.body
    causes = answer.json["details"]["causes"]
    assert any(cause["field"] == field and text in cause["message"] for cause in causes), causes


async def test_a_request_stays(cluster: Cluster) -> None:
    asked = {"requests": {"cpu": "1", "memory": "1Mi"}}
    await make(cluster, "asking", containers=[{"name": "c", "image": "x", "resources": asked}])
    answer = await patch(cluster, "asking/resize", resources(requests={"memory": None}))
    assert answer.status == 422 and "resource requests cannot be removed" in answer.json["message"]


async def test_resources_change_through_resize_only(cluster: Cluster) -> None:
    await make(cluster, "direct")
    assert (await patch(cluster, "direct", resources(requests={"cpu": "150m"}))).status == 422
    assert (await patch(cluster, "direct/resize", resources(requests={"cpu": "150m"}))).status == 200


async def test_an_init_container_that_ends_is_not_resized_but_a_sidecar_is(cluster: Cluster) -> None:
    init = [
        {"name": "once", "image": "x", "resources": SMALL},
        {"name": "beside", "image": "x", "resources": SMALL, "restartPolicy": "Always"},
    ]
    await make(cluster, "with-init", initContainers=init)
    for name, status in (("once", 422), ("beside", 200)):
        body = {"spec": {"initContainers": [{"name": name, "resources": {"requests": {"cpu": "150m"}}}]}}
        assert (await patch(cluster, "with-init/resize", body)).status == status, name
