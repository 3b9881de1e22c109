"""Deployments: how one set of pods becomes another."""

from __future__ import annotations

import threading

from tests.conformance.api import Api, Object, eventually
from tests.conformance.rows import row
from tests.conformance.workloads import (
    IMAGE,
    OTHER_IMAGE,
    SECONDS,
    UNREADY,
    apps,
    check_scale,
    check_status_conditions,
    is_controlled_by,
    path,
    pods,
    ready_pods,
    template,
    wait,
    workload,
)

REVISION = "deployment.kubernetes.io/revision"


def rolled_out(api: Api, namespace: str, replicas: int, name: str = "web") -> Object:
    def holds(obj: Object) -> bool:
        status = obj["status"]
        seen = status.get("observedGeneration") == obj["metadata"]["generation"]
        return seen and all(
            status.get(field) == replicas for field in ("replicas", "updatedReplicas", "availableReplicas")
        )

    return wait(api, apps(namespace, "deployments", name), holds, f"{replicas} new and available replicas")


def sizes(api: Api, namespace: str) -> dict[str, int]:
    """Image -> replicas wanted of its ReplicaSet."""
    found = api.items(apps(namespace, "replicasets"))
    return {obj["spec"]["template"]["spec"]["containers"][0]["image"]: obj["spec"]["replicas"] for obj in found}


def set_image(api: Api, namespace: str, image: str, name: str = "web") -> Object:
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}
    return api.patch(apps(namespace, "deployments", name), patch, "strategic")


@row(115, "Deployment, completes the scaling of a Deployment subresource")
def test_the_scale_of_a_deployment(api: Api, namespace: str) -> None:
    api.create(apps(namespace, "deployments"), workload("web", 1))
    check_scale(api, apps(namespace, "deployments", "web"))


@row(116, "Deployment Recreate")
def test_recreate_never_runs_old_and_new_together(api: Api, namespace: str) -> None:
    api.create(apps(namespace, "deployments"), workload("web", 2, strategy={"type": "Recreate"}))
    ready_pods(api, namespace, "web", 2, IMAGE)
    alive: dict[str, str] = {}
    mixed: list[dict[str, str]] = []
    complete = threading.Event()
    version = api.get(path(namespace, "pods"))["metadata"]["resourceVersion"]
    for pod in pods(api, namespace, "app=web"):
        alive[pod["metadata"]["name"]] = IMAGE
    with api.watch(path(namespace, "pods"), labelSelector="app=web", resourceVersion=version) as watch:
        set_image(api, namespace, OTHER_IMAGE)
        while not complete.is_set():
            kind, pod = watch.next()
            name = pod["metadata"]["name"]
            if kind == "DELETED" or pod["status"].get("phase") in ("Succeeded", "Failed"):
                alive.pop(name, None)
            else:
                alive[name] = pod["spec"]["containers"][0]["image"]
            if len(set(alive.values())) > 1:
                mixed.append(dict(alive))
            ready = any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
            if set(alive.values()) == {OTHER_IMAGE} and len(alive) == 2 and ready:
                complete.set()
    assert not mixed
    rolled_out(api, namespace, 2)


@row(117, "Deployment RollingUpdate")
def test_a_rolling_update_adopts_a_replicaset_and_goes_on_from_it(api: Api, namespace: str) -> None:
    old = workload("web", 1)
    old["metadata"]["name"] = "earlier"
    old["metadata"]["annotations"] = {REVISION: "3546342"}
    old["spec"]["template"]["spec"]["containers"][0]["image"] = OTHER_IMAGE
    api.create(apps(namespace, "replicasets"), old)
    ready_pods(api, namespace, "web", 1)
    made = api.create(apps(namespace, "deployments"), workload("web", 1))
    rolled_out(api, namespace, 1)
    wait(api, apps(namespace, "replicasets", "earlier"), lambda obj: obj["spec"]["replicas"] == 0, "is scaled to 0")
    assert is_controlled_by(api.get(apps(namespace, "replicasets", "earlier")), made)
    ready_pods(api, namespace, "web", 1, IMAGE)
    revisions = [obj["metadata"]["annotations"][REVISION] for obj in api.items(apps(namespace, "replicasets"))]
    assert sorted(revisions) == ["3546342", "3546343"]


@row(118, "Deployment RevisionHistoryLimit")
def test_without_a_history_an_old_replicaset_is_deleted(api: Api, namespace: str) -> None:
    old = workload("web", 1)
    old["metadata"]["name"] = "earlier"
    old["spec"]["template"]["spec"]["containers"][0]["image"] = OTHER_IMAGE
    api.create(apps(namespace, "replicasets"), old)
    ready_pods(api, namespace, "web", 1)
    api.create(apps(namespace, "deployments"), workload("web", 1, revisionHistoryLimit=0))
    rolled_out(api, namespace, 1)
    api.gone(apps(namespace, "replicasets", "earlier"), SECONDS)


@row(119, "Deployment Proportional Scaling")
def test_replicasets_grow_in_proportion_in_the_middle_of_a_rollout(api: Api, namespace: str) -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
    api.create(apps(namespace, "deployments"), workload("web", 10, strategy=rolling))
    rolled_out(api, namespace, 10)
    bad = template("web", OTHER_IMAGE, UNREADY)
    api.patch(apps(namespace, "deployments", "web"), {"spec": {"template": bad}}, "strategic")
    eventually(lambda: sizes(api, namespace) == {IMAGE: 8, OTHER_IMAGE: 5}, "the rollout is stuck", SECONDS)
    eventually(lambda: len(pods(api, namespace, "app=web")) == 13, "13 pods", SECONDS)
    api.patch(apps(namespace, "deployments", "web"), {"spec": {"replicas": 30}})
    eventually(lambda: sizes(api, namespace) == {IMAGE: 20, OTHER_IMAGE: 13}, "20 and 13", SECONDS)


@row(120, "Deployment Rollover")
def test_only_the_newest_template_gets_pods_when_rollouts_overlap(api: Api, namespace: str) -> None:
    old = workload("web", 1)
    old["metadata"]["name"] = "earlier"
    api.create(apps(namespace, "replicasets"), old)
    ready_pods(api, namespace, "web", 1)
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    middle = workload("web", 1, strategy=rolling, minReadySeconds=10)
    middle["spec"]["template"] = template("web", OTHER_IMAGE, UNREADY)
    api.create(apps(namespace, "deployments"), middle)
    eventually(lambda: sizes(api, namespace) == {IMAGE: 1, OTHER_IMAGE: 1}, "a rollout under way", SECONDS)
    last = "registry.example.com/web:3"
    newest = {"minReadySeconds": 0, "template": {**template("web", last), "$patch": "replace"}}
    api.patch(apps(namespace, "deployments", "web"), {"spec": newest}, "strategic")
    rolled_out(api, namespace, 1)
    assert sizes(api, namespace) == {IMAGE: 0, OTHER_IMAGE: 0, last: 1}
    ready_pods(api, namespace, "web", 1, last)


@row(121, "Deployment, completes the lifecycle of a Deployment")
def test_the_lifecycle_of_a_deployment(api: Api, namespace: str, unique: str) -> None:
    collection, label = apps(namespace, "deployments"), f"conformance-test={unique}"
    one = f"{collection}/web"
    with api.watch(collection, labelSelector=label) as watch:
        api.create(collection, workload("web", 2, labels={"conformance-test": unique}))
        watch.wait("ADDED", "web")
        watch.wait("MODIFIED", "web", lambda obj: obj["status"].get("readyReplicas") == 2)
        patch = {
            "metadata": {"labels": {"patched": "yes"}},
            "spec": {"replicas": 1, "template": template("web", OTHER_IMAGE)},
        }
        api.patch(one, patch, "strategic")
        watch.wait("MODIFIED", "web", lambda obj: obj["metadata"]["labels"].get("patched"))
        rolled_out(api, namespace, 1)
        assert [obj["metadata"]["name"] for obj in api.items(apps("", "deployments"), label)] == ["web"]

        def change(obj: Object) -> None:
            obj["metadata"]["labels"]["updated"] = "yes"
            obj["spec"]["replicas"] = 2

        api.update(one, change)
        watch.wait("MODIFIED", "web", lambda obj: obj["metadata"]["labels"].get("updated"))
        rolled_out(api, namespace, 2)
        api.patch(f"{one}/status", {"status": {"readyReplicas": 0, "availableReplicas": 0}})
        rolled_out(api, namespace, 2)
        api.patch(f"{one}/scale", {"spec": {"replicas": 3}})
        rolled_out(api, namespace, 3)
        api.delete(collection, labelSelector=label)
        watch.wait("DELETED", "web")


@row(122, "Deployment, status sub-resource")
def test_the_status_of_a_deployment(api: Api, namespace: str) -> None:
    api.create(apps(namespace, "deployments"), workload("web", 1))
    rolled_out(api, namespace, 1)
    check_status_conditions(api, apps(namespace, "deployments", "web"))
