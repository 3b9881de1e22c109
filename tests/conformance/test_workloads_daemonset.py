"""DaemonSets: one pod on every node that fits, and a history."""

from __future__ import annotations

import copy
from typing import Any

from tests.conformance.api import Api, Object, eventually
from tests.conformance.cluster import NODES
from tests.conformance.rows import row
from tests.conformance.workloads import (
    IMAGE,
    OTHER_IMAGE,
    SECONDS,
    apps,
    check_collection,
    check_status_conditions,
    is_controlled_by,
    path,
    pods,
    ready_pods,
    template,
    wait,
)


def daemon_set(labels: dict[str, str] | None = None, **spec: Any) -> Object:
    made = {"selector": {"matchLabels": {"app": "agent"}}, "template": template("agent"), **spec}
    return {"metadata": {"name": "agent", "labels": labels or {"app": "agent"}}, "spec": made}


def on_every_node(api: Api, namespace: str, image: str = "") -> list[Object]:
    found = ready_pods(api, namespace, "agent", len(NODES), image)
    assert {pod["spec"]["nodeName"] for pod in found} == set(NODES)
    return found


def make(api: Api, namespace: str, **more: Any) -> Object:
    made = api.create(apps(namespace, "daemonsets"), daemon_set(**more))
    on_every_node(api, namespace)
    return made


@row(102, "ControllerRevision, resource lifecycle")
def test_the_revisions_of_a_daemonset(api: Api, namespace: str, unique: str) -> None:
    labels = {"daemonset-name": unique}
    made = daemon_set()
    made["spec"]["template"]["metadata"]["labels"].update(labels)
    made["spec"]["selector"] = {"matchLabels": labels}
    owner = api.create(apps(namespace, "daemonsets"), made)
    on_every_node(api, namespace)
    collection, label = apps(namespace, "controllerrevisions"), f"daemonset-name={unique}"
    (first,) = eventually(lambda: api.items(collection, label) or None, "a ControllerRevision")
    assert is_controlled_by(first, owner) and len(api.items(apps("", "controllerrevisions"), label)) == 1
    one = f"{collection}/{first['metadata']['name']}"
    api.patch(one, {"metadata": {"labels": {first["metadata"]["name"]: "patched"}}})
    second = copy.deepcopy(first)
    second["metadata"] = {
        "name": f"second-{unique}",
        "labels": labels,
        "ownerReferences": first["metadata"]["ownerReferences"],
    }
    second["revision"] = first["revision"] + 1
    api.create(collection, second)
    assert len(api.items(collection, label)) == 2
    api.delete(one)
    wait_one = lambda: len(api.items(collection, label)) == 1  # noqa: E731
    eventually(wait_one, "one revision", SECONDS)
    (left,) = api.items(collection, label)
    name = left["metadata"]["name"]
    api.update(f"{collection}/{name}", lambda obj: obj["metadata"]["labels"].update({name: "updated"}))
    patch = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}}}
    api.patch(apps(namespace, "daemonsets", "agent"), patch)

    def newest() -> bool:
        return max(obj["revision"] for obj in api.items(collection, label)) == 3

    eventually(newest, "revision 3", SECONDS)
    api.delete(collection, labelSelector=f"{name}=updated")
    eventually(wait_one, "one revision", SECONDS)
    assert [obj["revision"] for obj in api.items(collection, label)] == [3]


@row(108, "DaemonSet, list and delete a collection of DaemonSets")
def test_daemonsets_are_listed_and_deleted_as_a_collection(api: Api, namespace: str, unique: str) -> None:
    make(api, namespace, labels={"conformance-test": unique})
    check_collection(api, "daemonsets", namespace, f"conformance-test={unique}")


@row(109, "DaemonSet-FailedPodCreation")
def test_a_failed_daemon_pod_is_replaced(api: Api, namespace: str) -> None:
    make(api, namespace)
    pod = pods(api, namespace, "app=agent")[0]
    one = path(namespace, "pods", pod["metadata"]["name"])
    api.patch(f"{one}/status", {"status": {"phase": "Failed"}})
    api.gone(one, SECONDS)
    on_every_node(api, namespace)


@row(111, "DaemonSet-NodeSelection")
def test_daemon_pods_follow_the_labels_of_nodes(api: Api, namespace: str, unique: str) -> None:
    label, node = f"conformance-{unique}", path("", "nodes", NODES[0])
    shape = template("agent", nodeSelector={label: "blue"})
    api.create(apps(namespace, "daemonsets"), daemon_set(template=shape))
    wait(api, apps(namespace, "daemonsets", "agent"), lambda obj: obj["status"].get("observedGeneration"), "is seen")
    assert not pods(api, namespace, "app=agent")
    try:
        api.patch(node, {"metadata": {"labels": {label: "blue"}}})
        (pod,) = ready_pods(api, namespace, "agent", 1)
        assert pod["spec"]["nodeName"] == NODES[0]
        api.patch(node, {"metadata": {"labels": {label: "green"}}})
        ready_pods(api, namespace, "agent", 0)
        selector = {
            "template": {"spec": {"nodeSelector": {label: "green"}}},
            "updateStrategy": {"type": "RollingUpdate"},
        }
        api.patch(apps(namespace, "daemonsets", "agent"), {"spec": selector})
        ready_pods(api, namespace, "agent", 1)
    finally:
        api.patch(node, {"metadata": {"labels": {label: None}}})


@row(112, "DaemonSet-Creation")
def test_every_node_has_one_daemon_pod_and_gets_it_back(api: Api, namespace: str) -> None:
    make(api, namespace)
    gone = pods(api, namespace, "app=agent")[0]["metadata"]
    api.delete(path(namespace, "pods", gone["name"]))

    def replaced() -> bool:
        return gone["uid"] not in {pod["metadata"]["uid"] for pod in pods(api, namespace, "app=agent")}

    eventually(replaced, "another pod", SECONDS)
    on_every_node(api, namespace)


@row(113, "DaemonSet-RollingUpdate")
def test_a_rolling_update_reaches_every_node(api: Api, namespace: str) -> None:
    make(api, namespace, updateStrategy={"type": "RollingUpdate"})
    hashes = {pod["metadata"]["labels"]["controller-revision-hash"] for pod in on_every_node(api, namespace, IMAGE)}
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": OTHER_IMAGE}]}}}}
    with api.watch(apps(namespace, "daemonsets"), fieldSelector="metadata.name=agent") as watch:
        api.patch(apps(namespace, "daemonsets", "agent"), patch, "strategic")
        worst = 0
        while True:
            status = watch.next()[1]["status"]
            worst = max(worst, status.get("numberUnavailable", 0))
            if status.get("updatedNumberScheduled") == status.get("numberAvailable") == len(NODES):
                break
    assert worst <= 1
    found = on_every_node(api, namespace, OTHER_IMAGE)
    assert not hashes & {pod["metadata"]["labels"]["controller-revision-hash"] for pod in found}


@row(114, "DaemonSet, status sub-resource")
def test_the_status_of_a_daemonset(api: Api, namespace: str) -> None:
    make(api, namespace)
    check_status_conditions(api, apps(namespace, "daemonsets", "agent"))
