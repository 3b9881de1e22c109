"""ReplicaSets and ReplicationControllers."""

from __future__ import annotations

from tests.conformance.api import Api, Object, eventually
from tests.conformance.rows import row
from tests.conformance.test_quota import make_quota
from tests.conformance.workloads import (
    OTHER_IMAGE,
    SECONDS,
    apps,
    check_collection,
    check_scale,
    check_status_conditions,
    condition,
    controller,
    is_controlled_by,
    owners,
    path,
    pods,
    ready_pods,
    template,
    wait,
    workload,
)


@row(142, "ReplicaSet, is created, Replaced and Patched")
def test_a_replicaset_is_replaced_and_patched(api: Api, namespace: str) -> None:
    one = apps(namespace, "replicasets", "web")
    api.create(apps(namespace, "replicasets"), workload("web", 1))
    ready_pods(api, namespace, "web", 1)
    api.update(one, lambda obj: obj["spec"].update(replicas=2))
    ready_pods(api, namespace, "web", 2)
    with api.watch(apps(namespace, "replicasets"), fieldSelector="metadata.name=web") as watch:
        containers = [{"name": "c", "image": OTHER_IMAGE}]
        patch = {"metadata": {"labels": {"patched": "yes"}}, "spec": {"replicas": 3}}
        patch["spec"]["template"] = {"spec": {"terminationGracePeriodSeconds": 0, "containers": containers}}
        api.patch(one, patch, "strategic")

        def holds(obj: Object) -> bool:
            image = obj["spec"]["template"]["spec"]["containers"][0]["image"]
            return image == OTHER_IMAGE and obj["status"].get("readyReplicas") == 3

        assert watch.wait("MODIFIED", "web", holds)["metadata"]["labels"]["patched"] == "yes"


@row(143, "ReplicaSet, completes the scaling of a ReplicaSet subresource")
def test_the_scale_of_a_replicaset(api: Api, namespace: str) -> None:
    api.create(apps(namespace, "replicasets"), workload("web", 1))
    check_scale(api, apps(namespace, "replicasets", "web"))


def check_adoption(api: Api, namespace: str, collection: str, obj: Object, *, release: bool) -> None:
    """A pod with the right label gets an owner; with another label it loses it."""
    shape = template("web")
    pod = {"metadata": {"name": "orphan", **shape["metadata"]}, "spec": shape["spec"]}
    api.create(path(namespace, "pods"), pod)
    made = api.create(collection, obj)
    one = path(namespace, "pods", "orphan")
    wait(api, one, lambda found: is_controlled_by(found, made), "is adopted")
    if release:
        api.patch(one, {"metadata": {"labels": {"app": "released"}}})
        wait(api, one, lambda found: not owners(found), "is released")


@row(144, "Replica Set, adopt matching pods and release non matching pods")
def test_a_replicaset_adopts_and_releases(api: Api, namespace: str) -> None:
    check_adoption(api, namespace, apps(namespace, "replicasets"), workload("web", 1), release=True)


@row(145, "ReplicaSet, list and delete a collection of ReplicaSets")
def test_replicasets_are_listed_and_deleted_as_a_collection(api: Api, namespace: str, unique: str) -> None:
    api.create(apps(namespace, "replicasets"), workload("web", 3, labels={"conformance-test": unique}))
    ready_pods(api, namespace, "web", 3)
    check_collection(api, "replicasets", namespace, f"conformance-test={unique}")


@row(147, "ReplicaSet, status sub-resource")
def test_the_status_of_a_replicaset(api: Api, namespace: str) -> None:
    api.create(apps(namespace, "replicasets"), workload("web", 1))
    ready_pods(api, namespace, "web", 1)
    check_status_conditions(api, apps(namespace, "replicasets", "web"))


@row(148, "Replication Controller, adopt matching pods")
def test_a_controller_adopts(api: Api, namespace: str) -> None:
    check_adoption(api, namespace, path(namespace, "replicationcontrollers"), controller("web", 1), release=False)


@row(149, "Replication Controller, get and update ReplicationController scale")
def test_the_scale_of_a_controller(api: Api, namespace: str) -> None:
    one = path(namespace, "replicationcontrollers", "web")
    api.create(path(namespace, "replicationcontrollers"), controller("web", 1))
    scale = api.get(f"{one}/scale")
    assert scale["spec"]["replicas"] == 1
    del scale["metadata"]["resourceVersion"]  # the controller writes the status meanwhile
    api.replace(f"{one}/scale", {**scale, "spec": {"replicas": 2}})
    assert api.get(one)["spec"]["replicas"] == 2
    ready_pods(api, namespace, "web", 2)


@row(150, "Replication Controller, release pods")
def test_a_controller_releases_and_replaces(api: Api, namespace: str) -> None:
    api.create(path(namespace, "replicationcontrollers"), controller("web", 1))
    (pod,) = ready_pods(api, namespace, "web", 1)
    one = path(namespace, "pods", pod["metadata"]["name"])
    api.patch(one, {"metadata": {"labels": {"app": "released"}}})
    wait(api, one, lambda found: not owners(found), "is released")
    (other,) = ready_pods(api, namespace, "web", 1)
    assert other["metadata"]["uid"] != pod["metadata"]["uid"]


@row(152, "Replication Controller, check for issues like exceeding allocated quota")
def test_a_controller_says_that_a_quota_stops_it(api: Api, namespace: str) -> None:
    make_quota(api, namespace, hard={"pods": "2"})
    one = path(namespace, "replicationcontrollers", "web")
    api.create(path(namespace, "replicationcontrollers"), controller("web", 3))
    found = wait(api, one, lambda obj: condition(obj, "ReplicaFailure"), "says that it failed")
    assert condition(found, "ReplicaFailure")["reason"] == "FailedCreate"
    api.patch(one, {"spec": {"replicas": 2}})
    wait(api, one, lambda obj: not condition(obj, "ReplicaFailure"), "has recovered")


@row(153, "Replication Controller, lifecycle")
def test_the_lifecycle_of_a_controller(api: Api, namespace: str, unique: str) -> None:
    collection = path(namespace, "replicationcontrollers")
    one, label = f"{collection}/web", f"conformance-test={unique}"
    with api.watch(collection, labelSelector=label) as watch:
        api.create(collection, controller("web", 1, labels={"conformance-test": unique}))
        watch.wait("ADDED", "web")
        watch.wait("MODIFIED", "web", lambda obj: obj["status"].get("readyReplicas") == 1)
        api.patch(one, {"metadata": {"labels": {"patched": "yes"}}})
        watch.wait("MODIFIED", "web", lambda obj: obj["metadata"]["labels"].get("patched"))
        api.patch(f"{one}/status", {"status": {"readyReplicas": 0, "availableReplicas": 0}})
        watch.wait("MODIFIED", "web", lambda obj: obj["status"].get("readyReplicas", 0) == 0)
        watch.wait("MODIFIED", "web", lambda obj: obj["status"].get("readyReplicas", 0) == 1)
        api.patch(f"{one}/scale", {"spec": {"replicas": 2}})
        watch.wait("MODIFIED", "web", lambda obj: obj["status"].get("readyReplicas") == 2)

        def change(obj: Object) -> None:
            obj["metadata"].setdefault("annotations", {})["updated"] = "yes"

        api.update(one, change)
        watch.wait("MODIFIED", "web", lambda obj: obj["metadata"].get("annotations", {}).get("updated"))
        everywhere = api.items(path("", "replicationcontrollers"), label)
        assert [obj["metadata"]["name"] for obj in everywhere] == ["web"]
        api.delete(collection, labelSelector=label)
        watch.wait("DELETED", "web")
    eventually(lambda: not pods(api, namespace, "app=web"), "the pods are gone", SECONDS)
