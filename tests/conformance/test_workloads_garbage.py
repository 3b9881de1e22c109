"""Garbage collection: who goes with whom, in which order, and who stays."""

from __future__ import annotations

import time

from tests.conformance.api import Api, Object, eventually
from tests.conformance.rows import row
from tests.conformance.workloads import SECONDS, apps, controller, owners, path, pods, ready_pods, wait, workload

QUIET_SECONDS = 3.0  # how long what must stay is looked at


def options(policy: str) -> Object:
    return {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy}


def reference(obj: Object, kind: str, **more: bool) -> Object:
    meta = obj["metadata"]
    return {"apiVersion": "v1", "kind": kind, "name": meta["name"], "uid": meta["uid"], **more}


@row(58, "Garbage Collector, delete deployment,  propagation policy background")
def test_in_the_background_a_deployments_dependents_follow_it(api: Api, namespace: str) -> None:
    api.create(apps(namespace, "deployments"), workload("web", 2))
    ready_pods(api, namespace, "web", 2)
    api.delete(apps(namespace, "deployments", "web"), options("Background"))
    eventually(lambda: not api.items(apps(namespace, "replicasets")), "the ReplicaSet is gone", SECONDS)
    ready_pods(api, namespace, "web", 0)


@row(59, "Garbage Collector, delete replication controller, propagation policy background")
def test_in_the_background_a_controller_goes_at_once_and_its_pods_follow(api: Api, namespace: str) -> None:
    api.create(path(namespace, "replicationcontrollers"), controller("web", 2))
    ready_pods(api, namespace, "web", 2)
    one = path(namespace, "replicationcontrollers", "web")
    api.delete(one, options("Background"))
    api.refused(404, "GET", one)
    ready_pods(api, namespace, "web", 0)


@row(60, "Garbage Collector, delete replication controller, after owned pods")
def test_in_the_foreground_a_controller_waits_for_its_pods(api: Api, namespace: str) -> None:
    one = path(namespace, "replicationcontrollers", "web")
    api.create(path(namespace, "replicationcontrollers"), controller("web", 10))
    held = ready_pods(api, namespace, "web", 10)[0]["metadata"]["name"]
    api.patch(path(namespace, "pods", held), {"metadata": {"finalizers": ["example.com/hold"]}})
    api.delete(one, options("Foreground"))
    eventually(lambda: len(pods(api, namespace, "app=web")) == 1, "all pods but the held one are gone", SECONDS)
    waiting = api.get(one)["metadata"]
    assert waiting["deletionTimestamp"] and "foregroundDeletion" in waiting["finalizers"]
    api.patch(path(namespace, "pods", held), {"metadata": {"finalizers": None}})
    api.gone(one, SECONDS)
    assert not pods(api, namespace, "app=web")


@row(61, "Garbage Collector, dependency cycle")
def test_a_ring_of_owners_does_not_block_its_deletion(api: Api, namespace: str) -> None:
    spec = {"containers": [{"name": "c", "image": "i"}]}
    made = [
        api.create(path(namespace, "pods"), {"metadata": {"name": f"pod{n}", "labels": {"app": "ring"}}, "spec": spec})
        for n in range(3)
    ]
    for number, obj in enumerate(made):
        owner = reference(made[number - 1], "Pod", controller=True, blockOwnerDeletion=True)
        patch = {"metadata": {"ownerReferences": [owner]}}
        api.patch(path(namespace, "pods", obj["metadata"]["name"]), patch, "strategic")
    api.delete(path(namespace, "pods", "pod0"), options("Foreground"))
    ready_pods(api, namespace, "ring", 0)


@row(62, "Garbage Collector, multiple owners")
def test_an_object_with_another_living_owner_stays(api: Api, namespace: str) -> None:
    collection = path(namespace, "replicationcontrollers")
    api.create(collection, controller("goes", 10))
    stays = api.create(collection, controller("stays", 0))
    found = ready_pods(api, namespace, "goes", 10)
    shared = {pod["metadata"]["name"] for pod in found[:5]}
    for name in shared:
        patch = {"metadata": {"ownerReferences": [reference(stays, "ReplicationController")]}}
        api.patch(path(namespace, "pods", name), patch, "strategic")
    api.delete(f"{collection}/goes", options("Foreground"))
    api.gone(f"{collection}/goes", SECONDS)
    left = pods(api, namespace, "app=goes")
    assert {pod["metadata"]["name"] for pod in left} == shared
    assert all("deletionTimestamp" not in pod["metadata"] for pod in left)
    assert all([one["name"] for one in owners(pod)] == ["stays"] for pod in left)


@row(63, "Garbage Collector, delete deployment, propagation policy orphan")
def test_an_orphaned_replicaset_stays_without_its_owner(api: Api, namespace: str) -> None:
    api.create(apps(namespace, "deployments"), workload("web", 1))
    ready_pods(api, namespace, "web", 1)
    (replica_set,) = api.items(apps(namespace, "replicasets"))
    api.delete(apps(namespace, "deployments", "web"), options("Orphan"))
    api.gone(apps(namespace, "deployments", "web"), SECONDS)
    one = apps(namespace, "replicasets", replica_set["metadata"]["name"])
    wait(api, one, lambda obj: not owners(obj), "has no owner")
    time.sleep(QUIET_SECONDS)
    assert not owners(api.get(one)) and len(pods(api, namespace, "app=web")) == 1


@row(64, "Garbage Collector, delete replication controller, propagation policy orphan")
def test_orphaned_pods_stay_without_their_owner(api: Api, namespace: str) -> None:
    api.create(path(namespace, "replicationcontrollers"), controller("web", 10))
    ready_pods(api, namespace, "web", 10)
    one = path(namespace, "replicationcontrollers", "web")
    api.delete(one, options("Orphan"))
    api.gone(one, SECONDS)
    time.sleep(QUIET_SECONDS)
    left = pods(api, namespace, "app=web")
    assert len(left) == 10 and not any(owners(pod) for pod in left)
