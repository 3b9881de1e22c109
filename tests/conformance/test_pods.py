"""Pods as the API sees them: what is refused at creation, and what stands in the status at once."""

from __future__ import annotations

import pytest

from tests.conformance.api import Api
from tests.conformance.rows import row


@row(285, "Sysctls, reject invalid sysctls")
def test_invalid_sysctls_are_rejected(api: Api, namespace: str) -> None:
    valid = ["kernel.shmmax", "net.ipv4.conf.eth0/1.forwarding", "safe-and-unsafe"]
    invalid = ["foo-", "bar..", "kernel.-", "Kernel.Shm_"]
    sysctls = [{"name": name, "value": "1"} for name in (*valid, *invalid)]
    pod = {
        "metadata": {"name": "sysctls"},
        "spec": {
            "securityContext": {"sysctls": sysctls},
            "restartPolicy": "Never",
            "containers": [{"name": "c", "image": "example:1"}],
        },
    }
    path = f"/api/v1/namespaces/{namespace}/pods"
    status = api.refused(422, "POST", path, pod)
    for name in invalid:
        assert f'Invalid value: "{name}"' in status["message"]
    for name in valid:
        assert f'"{name}"' not in status["message"]
    pod["spec"]["securityContext"]["sysctls"] = []  # type: ignore[index]
    api.create(path, pod)


@row(454, "Pods, QOS")
def test_the_qos_class_is_set_on_pods_with_matching_requests_and_limits(api: Api, namespace: str) -> None:
    resources = {"cpu": "100m", "memory": "100Mi"}
    container = {"name": "c", "image": "example:1", "resources": {"requests": resources, "limits": resources}}
    path = f"/api/v1/namespaces/{namespace}/pods"
    made = api.create(path, {"metadata": {"name": "example"}, "spec": {"containers": [container]}})
    assert made["status"]["qosClass"] == "Guaranteed"
    assert api.get(f"{path}/example")["status"]["qosClass"] == "Guaranteed"
    best_effort = {"name": "c", "image": "example:1"}
    made = api.create(path, {"metadata": {"name": "other"}, "spec": {"containers": [best_effort]}})
    assert made["status"]["qosClass"] == "BestEffort"


@pytest.mark.parametrize(
    "existed",
    [
        pytest.param(True, marks=row(271, "Pod with the deleted RuntimeClass is rejected."), id="271"),
        pytest.param(False, marks=row(272, "Pod with the non-existing RuntimeClass is rejected."), id="272"),
    ],
)
def test_a_pod_without_its_runtimeclass_is_rejected(api: Api, namespace: str, unique: str, existed: bool) -> None:
    classes, name = "/apis/node.k8s.io/v1/runtimeclasses", f"conformance-{unique}"
    spec = {"runtimeClassName": name, "containers": [{"name": "c", "image": "example:1"}]}
    pods = f"/api/v1/namespaces/{namespace}/pods"
    if existed:
        api.create(classes, {"metadata": {"name": name}, "handler": "example"})
        api.create(pods, {"metadata": {"name": "before"}, "spec": spec})
        api.delete(f"{classes}/{name}")
        api.gone(f"{classes}/{name}")
    status = api.refused(403, "POST", pods, {"metadata": {"name": "after"}, "spec": spec})
    assert f'RuntimeClass "{name}" not found' in status["message"]
