"""Pods through their whole life as clients see it: watch, update, status, deadline, exec and logs over WebSockets."""

from __future__ import annotations

import pytest

from tests.conformance.api import Object
from tests.conformance.node import exec as execution
from tests.conformance.node.case import Case, condition
from tests.conformance.node.manifests import container, pod, shell
from tests.conformance.rows import row


@row(256, "Pods, assigned hostip")
def test_a_pod_gets_a_host_address(case: Case) -> None:
    found = case.run(pod("hosted", container(case.images.agnhost)))
    addresses = case.api.get(f"/api/v1/nodes/{case.node}")["status"]["addresses"]
    assert found["status"]["hostIP"] in [one["address"] for one in addresses if one["type"] == "InternalIP"]
    assert found["status"]["hostIPs"][0]["ip"] == found["status"]["hostIP"]


@row(252, "Pods, lifecycle")
def test_a_pod_is_submitted_and_removed(case: Case) -> None:
    path = case.path("pods")
    selector = f"time={case.unique}"
    before = case.api.get(path, labelSelector=selector)
    assert before["items"] == []
    version = before["metadata"]["resourceVersion"]
    made = pod("short", container(case.images.agnhost), labels={"time": case.unique}, terminationGracePeriodSeconds=30)
    with case.api.watch(path, labelSelector=selector, resourceVersion=version) as watch:
        name = case.create(made)
        assert [item["metadata"]["name"] for item in case.api.items(path, selector)] == [name]
        watch.must_be("ADDED", name)
        case.running(name)
        case.delete(name, gracePeriodSeconds=30)
        deleted = watch.wait("DELETED", name, lambda found: True)
        assert deleted["metadata"]["deletionTimestamp"]
        assert "deletionGracePeriodSeconds" in deleted["metadata"]
    assert case.api.items(path, selector) == []


@row(253, "Pods, update")
def test_a_running_pod_is_updated(case: Case) -> None:
    name = case.create(pod("updated", container(case.images.agnhost), labels={"time": "before"}))
    case.running(name)
    case.api.update(case.path("pods", name), lambda found: found["metadata"]["labels"].update(time=case.unique))
    found = case.api.items(case.path("pods"), f"time={case.unique}")
    assert [item["metadata"]["name"] for item in found] == [name]


@row(251, "Pods, ActiveDeadlineSeconds")
def test_the_active_deadline_can_be_updated(case: Case) -> None:
    name = case.create(pod("timed", container(case.images.agnhost)))
    case.running(name)
    case.api.update(case.path("pods", name), lambda found: found["spec"].update(activeDeadlineSeconds=5))
    found = case.ended(name)
    assert (found["status"]["phase"], found["status"]["reason"]) == ("Failed", "DeadlineExceeded")


@row(255, "Pods, delete a collection")
def test_a_collection_of_pods_is_deleted(case: Case) -> None:
    names = [
        case.create(pod(f"pod-{number}", container(case.images.agnhost), labels={"type": "Testing"}))
        for number in range(3)
    ]
    for name in names:
        case.running(name)
    case.api.delete(case.path("pods"), labelSelector="type=Testing")
    for name in names:
        case.gone(name)
    assert case.api.items(case.path("pods"), "type=Testing") == []


@row(257, "Pods, patching status")
def test_a_status_is_patched(case: Case) -> None:
    name = case.create(pod("patched", container(case.images.agnhost)))
    case.running(name)
    status = {"message": "Patched by e2e test", "reason": "E2E"}
    found = case.api.patch(f"{case.path('pods', name)}/status", {"status": status}, "strategic")
    assert (found["status"]["message"], found["status"]["reason"]) == ("Patched by e2e test", "E2E")


@row(258, "Pods, completes the lifecycle of a Pod and the PodStatus")
def test_the_lifecycle_of_a_pod_and_its_status(case: Case) -> None:
    path = case.path("pods")
    labels = {"test-pod-static": "true", "conformance": case.unique}
    selector = "test-pod-static=true"
    version = case.api.get(path)["metadata"]["resourceVersion"]
    with case.api.watch(path, labelSelector=selector, resourceVersion=version) as watch:
        name = case.create(pod("pod-test", container(case.images.agnhost), labels=labels))
        watch.must_be("ADDED", name)
        watch.wait("MODIFIED", name, lambda found: condition(found, "Ready") == "True")
        patch = {
            "metadata": {"labels": {"test-pod": "patched"}},
            "spec": {"containers": [{"name": "main", "image": case.images.non_root}]},
        }
        case.api.patch(case.path("pods", name), patch, "strategic")
        watch.wait("MODIFIED", name, lambda found: found["metadata"]["labels"].get("test-pod") == "patched")
        found = case.pod(name)
        assert found["spec"]["containers"][0]["image"] == case.images.non_root

        def not_ready(found: Object) -> None:
            for one in found["status"]["conditions"]:
                if one["type"] == "Ready":
                    one["status"] = "False"

        status = f"{case.path('pods', name)}/status"
        assert case.api.get(status)["metadata"]["name"] == name
        written = case.api.update(status, not_ready)
        assert condition(written, "Ready") == "False"
        watch.wait("MODIFIED", name, lambda found: condition(found, "Ready") == "False")
        case.api.delete(path, labelSelector=selector)
        watch.wait("DELETED", name)


@pytest.mark.parametrize("protocol", ["channel.k8s.io", "v4.channel.k8s.io", "v5.channel.k8s.io"])
@row(259, "Pods, remote command execution over websockets")
def test_a_command_runs_over_a_websocket(case: Case, protocol: str) -> None:
    name = case.create(pod("commanded", container(case.images.agnhost)))
    case.running(name)
    words = ("echo", "remote execution test")
    found = execution.run(case.api.url, case.api.context, case.path("pods", name), words, "main", protocol)
    assert found.out == "remote execution test\n"


@row(260, "Pods, logs from websockets")
def test_logs_come_over_a_websocket(case: Case) -> None:
    name = case.create(pod("logging", shell(case.images.busybox, "echo container is alive; sleep 10000")))
    case.running(name)
    case.logged(name, "container is alive")
    path = f"{case.path('pods', name)}/log"
    query = [("container", "main")]
    messages = execution.frames(execution.connect(case.api.url, path, query, case.api.context, "binary.k8s.io"))
    assert b"".join(messages) == b"container is alive\n"


def debugger(case: Case, name: str, script: str) -> Object:
    return shell(case.images.busybox, script, name, stdin=True, tty=True)


@row(232, "Ephemeral Container Creation")
def test_an_ephemeral_container_starts_in_a_running_pod(case: Case) -> None:
    name = case.create(pod("debugged", container(case.images.busybox, command=["/bin/sleep", "10000"])))
    case.running(name)
    added = {"spec": {"ephemeralContainers": [debugger(case, "debugger", "while true; do echo polo; sleep 2; done")]}}
    case.api.patch(f"{case.path('pods', name)}/ephemeralcontainers", added, "strategic")
    wait_for_ephemeral(case, name, "debugger")
    case.logged(name, "polo", "debugger")


@row(231, "Ephemeral Container, update ephemeral containers")
def test_ephemeral_containers_are_updated(case: Case) -> None:
    name = case.create(pod("debugged", container(case.images.busybox, command=["/bin/sleep", "10000"])))
    case.running(name)
    path = f"{case.path('pods', name)}/ephemeralcontainers"
    script = "while true; do echo polo; sleep 2; done"
    added = {"spec": {"ephemeralContainers": [debugger(case, "debugger", script)]}}
    case.api.patch(path, added, "strategic")
    wait_for_ephemeral(case, name, "debugger")
    assert len(case.api.get(path)["spec"]["ephemeralContainers"]) == 1
    second = debugger(case, "debugger2", script)
    case.api.update(path, lambda found: found["spec"]["ephemeralContainers"].append(second))
    wait_for_ephemeral(case, name, "debugger2")
    assert len(case.api.get(path)["spec"]["ephemeralContainers"]) == 2


def wait_for_ephemeral(case: Case, name: str, container_name: str) -> None:
    def runs(found: Object) -> bool:
        statuses = found["status"].get("ephemeralContainerStatuses", [])
        return any(one["name"] == container_name and "running" in one["state"] for one in statuses)

    case.wait(name, runs, f"runs {container_name}")


@row(233, "Image Volume")
def test_an_image_is_a_volume(case: Case) -> None:
    volumes = [{"name": "kitten", "image": {"reference": case.images.kitten, "pullPolicy": "Always"}}]
    mounts = [{"name": "kitten", "mountPath": "/kitten"}]
    name = case.create(pod("reader", shell(case.images.busybox, volumeMounts=mounts), volumes=volumes))
    case.running(name)
    assert "kitten.jpg" in case.exec(name, "cat", "/kitten/data.json")
    assert "Alpine Linux" in case.exec(name, "cat", "/kitten/etc/os-release")
    refused = case.try_exec(name, "touch", "/kitten/written")
    assert not refused.succeeded and "Read-only file system" in refused.err
