"""StatefulSets: identities in order, and updates one by one."""

from __future__ import annotations

from typing import Any

from tests.conformance.api import Api, Object, eventually
from tests.conformance.rows import row
from tests.conformance.workloads import (
    IMAGE,
    OTHER_IMAGE,
    SECONDS,
    apps,
    check_collection,
    check_scale,
    check_status_conditions,
    path,
    pods,
    ready_pods,
    wait,
    workload,
)

UNREADY = "tiphys.dev/simulated-ready"


def make(api: Api, namespace: str, replicas: int, *, labels: dict[str, str] | None = None, **spec: Any) -> str:
    """Create it and wait until its pods are ready; its path."""
    spec = {"serviceName": "db", **spec}
    api.create(apps(namespace, "statefulsets"), workload("db", replicas, labels=labels, **spec))
    ready_pods(api, namespace, "db", replicas)
    return apps(namespace, "statefulsets", "db")


def images(api: Api, namespace: str) -> dict[str, str]:
    found = pods(api, namespace, "app=db")
    return {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in found}


def set_ready(api: Api, namespace: str, ready: bool, *names: str) -> None:
    """What moving the file away that a readiness probe reads would do."""
    for name in names:
        one = mark_ready(api, namespace, ready, name)
        wait(api, one, lambda pod: _is_ready(pod) is ready, f"ready: {ready}")


def mark_ready(api: Api, namespace: str, ready: bool, name: str) -> str:
    one = path(namespace, "pods", name)
    api.patch(one, {"metadata": {"annotations": {UNREADY: None if ready else "false"}}})
    return one


def _is_ready(pod: Object) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"]["conditions"])


def set_image(api: Api, one: str, image: str, **strategy: Any) -> None:
    spec: Object = {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}
    if strategy:
        spec["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": strategy}
    api.patch(one, {"spec": spec}, "strategic")


def updated(api: Api, one: str, replicas: int) -> Object:
    def holds(obj: Object) -> bool:
        status = obj["status"]
        seen = status.get("observedGeneration") == obj["metadata"]["generation"]
        same = status.get("currentRevision") == status.get("updateRevision")
        return bool(seen and same and status.get("readyReplicas") == replicas)

    return wait(api, one, holds, "is updated")


@row(154, "StatefulSet, Burst Scaling")
def test_in_parallel_pods_come_and_go_whether_others_are_ready_or_not(api: Api, namespace: str) -> None:
    one = make(api, namespace, 1, podManagementPolicy="Parallel")
    set_ready(api, namespace, False, "db-0")
    api.patch(f"{one}/scale", {"spec": {"replicas": 3}})
    eventually(lambda: len(images(api, namespace)) == 3, "three pods", SECONDS)
    set_ready(api, namespace, True, "db-0")
    ready_pods(api, namespace, "db", 3)
    set_ready(api, namespace, False, "db-0", "db-1", "db-2")
    api.patch(f"{one}/scale", {"spec": {"replicas": 0}})
    ready_pods(api, namespace, "db", 0)


@row(155, "StatefulSet, Scaling")
def test_pods_come_in_order_go_in_reverse_and_wait_for_an_unready_one(api: Api, namespace: str) -> None:
    with api.watch(path(namespace, "pods"), labelSelector="app=db") as watch:
        one = make(api, namespace, 1)
        set_ready(api, namespace, False, "db-0")
        api.patch(f"{one}/scale", {"spec": {"replicas": 3}})
        wait(api, one, lambda obj: obj["status"].get("observedGeneration") == obj["metadata"]["generation"], "is seen")
        assert list(images(api, namespace)) == ["db-0"]
        set_ready(api, namespace, True, "db-0")
        ready_pods(api, namespace, "db", 3)
        set_ready(api, namespace, False, "db-0", "db-1", "db-2")
        api.patch(f"{one}/scale", {"spec": {"replicas": 0}})
        wait(api, one, lambda obj: obj["status"].get("observedGeneration") == obj["metadata"]["generation"], "is seen")
        assert len(images(api, namespace)) == 3
        for name in ("db-2", "db-1", "db-0"):  # each goes as soon as it is ready
            mark_ready(api, namespace, True, name)
        ready_pods(api, namespace, "db", 0)
        added, deleted = [], []
        while len(deleted) < 3:
            kind, pod = watch.next()
            if kind == "ADDED":
                added.append(pod["metadata"]["name"])
            elif kind == "DELETED":
                deleted.append(pod["metadata"]["name"])
    assert added == ["db-0", "db-1", "db-2"] and deleted == ["db-2", "db-1", "db-0"]


@row(157, "StatefulSet resource Replica scaling")
def test_the_scale_of_a_statefulset(api: Api, namespace: str) -> None:
    check_scale(api, make(api, namespace, 1))


@row(158, "StatefulSet, list, patch and delete a collection of StatefulSets")
def test_statefulsets_are_listed_patched_and_deleted_as_a_collection(api: Api, namespace: str, unique: str) -> None:
    one = make(api, namespace, 1, labels={"conformance-test": unique})
    container = {"name": "c", "image": OTHER_IMAGE}
    patch = {
        "metadata": {"labels": {"patched": "yes"}},
        "spec": {"replicas": 2, "template": {"spec": {"containers": [container]}}},
    }
    assert api.patch(one, patch, "strategic")["metadata"]["labels"]["patched"] == "yes"
    ready_pods(api, namespace, "db", 2, OTHER_IMAGE)
    check_collection(api, "statefulsets", namespace, f"conformance-test={unique}")


@row(159, "StatefulSet, Rolling Update with Partition")
def test_a_partition_keeps_the_lower_ordinals_at_their_revision(api: Api, namespace: str) -> None:
    one = make(api, namespace, 3)
    set_image(api, one, OTHER_IMAGE, partition=3)
    wait(api, one, lambda obj: obj["status"]["updateRevision"] != obj["status"]["currentRevision"], "a new revision")
    assert set(images(api, namespace).values()) == {IMAGE}
    api.patch(one, {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 2}}}})
    canary = {"db-0": IMAGE, "db-1": IMAGE, "db-2": OTHER_IMAGE}
    eventually(lambda: images(api, namespace) == canary, "one canary", SECONDS)
    before = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in ready_pods(api, namespace, "db", 3)}
    for name in ("db-0", "db-2"):
        api.delete(path(namespace, "pods", name))
        wait(
            api, path(namespace, "pods", name), lambda pod, name=name: pod["metadata"]["uid"] != before[name], "is new"
        )
    ready_pods(api, namespace, "db", 3)
    assert images(api, namespace) == canary
    for partition in (1, 0):
        api.patch(one, {"spec": {"updateStrategy": {"rollingUpdate": {"partition": partition}}}})
        wanted = {f"db-{n}": OTHER_IMAGE if n >= partition else IMAGE for n in range(3)}
        eventually(lambda wanted=wanted: images(api, namespace) == wanted, f"partition {partition}", SECONDS)
    updated(api, one, 3)


@row(160, "StatefulSet, Rolling Update")
def test_an_update_goes_from_the_last_to_the_first_and_back(api: Api, namespace: str) -> None:
    one = make(api, namespace, 3)
    first = updated(api, one, 3)["status"]["currentRevision"]
    with api.watch(path(namespace, "pods"), labelSelector="app=db") as watch:
        set_image(api, one, OTHER_IMAGE)
        second = wait(api, one, lambda obj: obj["status"]["updateRevision"] != first, "a new revision")["status"]
        assert second["currentRevision"] == first
        updated(api, one, 3)
        order: list[str] = []
        while len(order) < 3:
            kind, pod = watch.next()
            if kind == "ADDED" and pod["spec"]["containers"][0]["image"] == OTHER_IMAGE:
                order.append(pod["metadata"]["name"])
    assert order == ["db-2", "db-1", "db-0"]
    ready_pods(api, namespace, "db", 3, OTHER_IMAGE)
    set_image(api, one, IMAGE)
    back = wait(api, one, lambda obj: obj["status"]["updateRevision"] == first, "the old revision is used again")
    assert back["status"]["updateRevision"] == first
    ready_pods(api, namespace, "db", 3, IMAGE)
    updated(api, one, 3)


@row(161, "StatefulSet, status sub-resource")
def test_the_status_of_a_statefulset(api: Api, namespace: str) -> None:
    check_status_conditions(api, make(api, namespace, 1))
