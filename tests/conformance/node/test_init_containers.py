"""Init containers: one after the other before the others, and what their failure does."""

from __future__ import annotations

import pytest

from tests.conformance.api import Object
from tests.conformance.node.case import Case, condition, is_running
from tests.conformance.node.manifests import container, once, pod, shell
from tests.conformance.rows import row


def init(case: Case, name: str, command: str = "/bin/true") -> Object:
    return container(case.images.busybox, command=[command], name=name)


def check_initialized(found: Object) -> None:
    assert condition(found, "Initialized") == "True"
    for status in found["status"]["initContainerStatuses"]:
        assert status["ready"]
        assert status["state"]["terminated"]["exitCode"] == 0
    ends = [status["state"]["terminated"] for status in found["status"]["initContainerStatuses"]]
    assert ends[0]["finishedAt"] <= ends[1]["startedAt"]


@row(235, "init-container-starts-app-restartnever-pod")
def test_init_containers_run_on_a_pod_that_is_never_restarted(case: Case) -> None:
    made = once("started", container(case.images.busybox, command=["/bin/true"], name="run1"))
    made["spec"]["initContainers"] = [init(case, "init1"), init(case, "init2")]
    found = case.succeeded(case.create(made))
    check_initialized(found)


@row(234, "init-container-starts-app-restartalways-pod")
def test_init_containers_run_on_a_pod_that_is_always_restarted(case: Case) -> None:
    limits = {"limits": {"cpu": "100m", "memory": "50Mi"}}
    made = pod("started", container(case.images.agnhost, name="run1", resources=limits))
    made["spec"]["initContainers"] = [init(case, "init1"), init(case, "init2")]
    found = case.run(made)
    assert found["status"]["phase"] == "Running"
    check_initialized(found)


@pytest.mark.slow
@row(237, "init-container-fails-stops-app-restartalways-pod")
def test_a_failing_init_container_is_restarted_and_stops_the_others(case: Case) -> None:
    made = pod("stopped", container(case.images.agnhost, name="run1"))
    made["spec"]["initContainers"] = [init(case, "init1", "/bin/false"), init(case, "init2")]
    name = case.create(made)

    def has_restarted(found: Object) -> bool:
        statuses = found["status"].get("initContainerStatuses", [])
        assert not is_running(found)
        if len(statuses) > 1:
            assert "waiting" in statuses[1]["state"]
            assert statuses[1]["state"]["waiting"]["reason"] == "PodInitializing"
        return bool(statuses) and statuses[0]["restartCount"] >= 3

    found = case.wait(name, has_restarted, "has restarted its init container", seconds=120)
    assert found["status"]["phase"] == "Pending"
    assert condition(found, "Initialized") == "False"
    reasons = [c.get("message") for c in found["status"]["conditions"] if c["type"] == "Initialized"]
    assert reasons == ["containers with incomplete status: [init1 init2]"]


@row(236, "init-container-fails-stops-app-restartnever-pod")
def test_a_failing_init_container_fails_a_pod_that_is_never_restarted(case: Case) -> None:
    made = once("failed", shell(case.images.busybox, "true", name="run1"))
    made["spec"]["initContainers"] = [init(case, "init1"), init(case, "init2", "/bin/false")]
    found = case.ended(case.create(made))
    assert found["status"]["phase"] == "Failed"
    first, second = found["status"]["initContainerStatuses"]
    assert first["state"]["terminated"]["exitCode"] == 0
    assert second["state"]["terminated"]["exitCode"] != 0
    assert condition(found, "Initialized") == "False"
    (app,) = found["status"]["containerStatuses"]
    assert app["state"]["waiting"]["reason"] == "PodInitializing"
    assert app["restartCount"] == 0
