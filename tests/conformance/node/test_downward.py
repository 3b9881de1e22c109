"""What a pod can learn about itself: fields and resources, as variables and as files."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.conformance.api import Object
from tests.conformance.node.case import Case
from tests.conformance.node.manifests import MODE_0400, container, field_env, mount, once, resource_env, shell
from tests.conformance.rows import row
from tiphys.api.quantity import value as whole

RESOURCES = {"requests": {"cpu": "250m", "memory": "32Mi"}, "limits": {"cpu": "1250m", "memory": "64Mi"}}


def environment(case: Case, env: list[Object], **fields: Any) -> dict[str, str]:
    """The variables of a container that has `env`."""
    log = case.output(once("reader", shell(case.images.busybox, "env", env=env, **fields)))
    return dict(line.split("=", 1) for line in log.splitlines() if "=" in line)


@row(230, "DownwardAPI, environment for name, namespace and ip")
def test_name_namespace_and_address_are_variables(case: Case) -> None:
    env = [
        field_env("POD_NAME", "metadata.name"),
        field_env("POD_NAMESPACE", "metadata.namespace"),
        field_env("POD_IP", "status.podIP"),
    ]
    found = environment(case, env)
    assert (found["POD_NAME"], found["POD_NAMESPACE"]) == ("reader", case.namespace)
    assert found["POD_IP"] == case.pod("reader")["status"]["podIP"]


@row(227, "DownwardAPI, environment for host ip")
def test_the_host_address_is_a_variable(case: Case) -> None:
    found = environment(case, [field_env("HOST_IP", "status.hostIP")])
    assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+", found["HOST_IP"])
    assert found["HOST_IP"] == case.pod("reader")["status"]["hostIP"]


@row(228, "DownwardAPI, environment for hostIPs")
def test_the_host_addresses_are_a_variable(case: Case) -> None:
    found = environment(case, [field_env("HOST_IPS", "status.hostIPs")])
    assert found["HOST_IPS"] == ",".join(one["ip"] for one in case.pod("reader")["status"]["hostIPs"])


@row(229, "DownwardAPI, environment for Pod UID")
def test_the_uid_is_a_variable(case: Case) -> None:
    found = environment(case, [field_env("POD_UID", "metadata.uid")])
    assert re.fullmatch(r"[a-z0-9]{8}(-[a-z0-9]{4}){3}-[a-z0-9]{12}", found["POD_UID"])
    assert found["POD_UID"] == case.pod("reader")["metadata"]["uid"]


@row(225, "DownwardAPI, environment for CPU and memory limits and requests")
def test_limits_and_requests_are_variables(case: Case) -> None:
    env = [
        resource_env("CPU_LIMIT", "limits.cpu"),
        resource_env("MEMORY_LIMIT", "limits.memory"),
        resource_env("CPU_REQUEST", "requests.cpu"),
        resource_env("MEMORY_REQUEST", "requests.memory"),
    ]
    found = environment(case, env, resources=RESOURCES)
    assert (found["CPU_LIMIT"], found["MEMORY_LIMIT"]) == ("2", "67108864")
    assert (found["CPU_REQUEST"], found["MEMORY_REQUEST"]) == ("1", "33554432")


@row(226, "DownwardAPI, environment for default CPU and memory limits and requests")
def test_default_limits_are_what_the_node_can_give(case: Case) -> None:
    found = environment(case, [resource_env("CPU_LIMIT", "limits.cpu"), resource_env("MEMORY_LIMIT", "limits.memory")])
    allocatable = case.api.get(f"/api/v1/nodes/{case.node}")["status"]["allocatable"]
    assert int(found["CPU_LIMIT"]) == whole(allocatable["cpu"])
    assert int(found["MEMORY_LIMIT"]) == whole(allocatable["memory"])


def volume(projected: bool, item: Object, default_mode: int | None = None) -> Object:
    one = {"items": [item]}
    mode = {} if default_mode is None else {"defaultMode": default_mode}
    if projected:
        return {"name": "podinfo", "projected": {"sources": [{"downwardAPI": one}], **mode}}
    return {"name": "podinfo", "downwardAPI": {**one, **mode}}


def read(case: Case, made: Object, path: str, resources: Object | None = None) -> str:
    main = container(
        case.images.agnhost,
        "mounttest",
        f"--file_content={path}",
        f"--file_mode={path}",
        resources=resources or {},
        volumeMounts=[mount("podinfo", "/etc/podinfo")],
    )
    return case.output(once("reader", main, volumes=[made]))


def resource(number: int, testname: str, projected: bool, name: str, expected: str) -> Any:
    return pytest.param(projected, name, expected, marks=row(number, testname), id=str(number))


@pytest.mark.parametrize(
    ("projected", "name", "expected"),
    [
        resource(306, "DownwardAPI volume, CPU limits", False, "limits.cpu", "2"),
        resource(307, "DownwardAPI volume, CPU request", False, "requests.cpu", "1"),
        resource(308, "DownwardAPI volume, memory limits", False, "limits.memory", "67108864"),
        resource(309, "DownwardAPI volume, memory request", False, "requests.memory", "33554432"),
        resource(327, "Projected Volume, DownwardAPI, CPU limits", True, "limits.cpu", "2"),
        resource(328, "Projected Volume, DownwardAPI, CPU request", True, "requests.cpu", "1"),
        resource(329, "Projected Volume, DownwardAPI, memory limits", True, "limits.memory", "67108864"),
        resource(330, "Projected Volume, DownwardAPI, memory request", True, "requests.memory", "33554432"),
    ],
)
def test_a_resource_is_a_file(case: Case, projected: bool, name: str, expected: str) -> None:
    path = f"/etc/podinfo/{name}"
    item = {"path": name, "resourceFieldRef": {"containerName": "main", "resource": name}}
    log = read(case, volume(projected, item), path, RESOURCES)
    assert f'content of file "{path}": {expected}\n' in log


def default(number: int, testname: str, projected: bool, name: str) -> Any:
    return pytest.param(projected, name, marks=row(number, testname), id=str(number))


@pytest.mark.parametrize(
    ("projected", "name"),
    [
        default(310, "DownwardAPI volume, CPU limit, default node allocatable", False, "cpu"),
        default(311, "DownwardAPI volume, memory limit, default node allocatable", False, "memory"),
        default(331, "Projected Volume, DownwardAPI, CPU limit, node allocatable", True, "cpu"),
        default(332, "Projected Volume, DownwardAPI, memory limit, node allocatable", True, "memory"),
    ],
)
def test_a_limit_that_is_not_set_is_what_the_node_can_give(case: Case, projected: bool, name: str) -> None:
    item = {"path": "limit", "resourceFieldRef": {"containerName": "main", "resource": f"limits.{name}"}}
    log = read(case, volume(projected, item), "/etc/podinfo/limit")
    allocatable = case.api.get(f"/api/v1/nodes/{case.node}")["status"]["allocatable"]
    assert f'content of file "/etc/podinfo/limit": {whole(allocatable[name])}\n' in log


PODNAME = {"path": "podname", "fieldRef": {"fieldPath": "metadata.name"}}


@pytest.mark.parametrize(
    "projected",
    [
        pytest.param(False, marks=row(312, "DownwardAPI volume, pod name"), id="312"),
        pytest.param(True, marks=row(333, "Projected Volume, DownwardAPI, pod name"), id="333"),
    ],
)
def test_the_name_is_a_file(case: Case, projected: bool) -> None:
    log = read(case, volume(projected, PODNAME), "/etc/podinfo/podname")
    assert 'content of file "/etc/podinfo/podname": reader\n' in log


@pytest.mark.parametrize(
    ("projected", "on_item"),
    [
        pytest.param(False, False, marks=row(313, "DownwardAPI volume, volume mode 0400"), id="313"),
        pytest.param(False, True, marks=row(314, "DownwardAPI volume, file mode 0400"), id="314"),
        pytest.param(True, False, marks=row(334, "Projected Volume, DownwardAPI, volume mode 0400"), id="334"),
        pytest.param(True, True, marks=row(335, "Projected Volume, DownwardAPI, volume mode 0400"), id="335"),
    ],
)
def test_a_file_has_the_mode_asked_for(case: Case, projected: bool, on_item: bool) -> None:
    item = {**PODNAME, "mode": 0o400} if on_item else PODNAME
    log = read(case, volume(projected, item, None if on_item else 0o400), "/etc/podinfo/podname")
    assert f'mode of file "/etc/podinfo/podname": {MODE_0400}' in log
