"""A pod's requests are what upstream's resource helper computes."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.podinfo import HostPort, pod_requests
from tiphys.api.core.pod import Pod


def container(name: str, cpu: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": "i", "resources": {"requests": {"cpu": cpu}}, **fields}


CASES: list[tuple[str, dict[str, Any], int]] = [
    ("containers add up", {"containers": [container("a", "1"), container("b", "500m")]}, 1500),
    (
        "an init container counts alone",
        {"containers": [container("a", "1")], "initContainers": [container("i", "3")]},
        3000,
    ),
    (
        "a sidecar adds to both",
        {
            "containers": [container("a", "1")],
            "initContainers": [container("s", "2", restartPolicy="Always"), container("i", "2")],
        },
        4000,
    ),
    ("overhead is added", {"containers": [container("a", "1")], "overhead": {"cpu": "250m"}}, 1250),
    (
        "the pod's own request wins",
        {"containers": [container("a", "1")], "resources": {"requests": {"cpu": "2"}}},
        2000,
    ),
]


@pytest.mark.parametrize(("name", "spec", "cpu_milli"), CASES, ids=[case[0] for case in CASES])
def test_requests(name: str, spec: dict[str, Any], cpu_milli: int) -> None:
    assert pod_requests(Pod.model_validate({"metadata": {"name": "p"}, "spec": spec}))["cpu"] == cpu_milli


def test_scoring_assumes_a_little_of_a_pod_that_requests_nothing() -> None:
    pod = Pod.model_validate({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    assert pod_requests(pod) == {}
    assert pod_requests(pod, assume=True) == {"cpu": 100, "memory": 200 * 1024 * 1024}


@pytest.mark.parametrize(
    ("other", "clashes"),
    [
        (HostPort("0.0.0.0", "TCP", 80), True),
        (HostPort("10.0.0.2", "TCP", 80), False),
        (HostPort("10.0.0.1", "UDP", 80), False),
        (HostPort("10.0.0.1", "TCP", 81), False),
    ],
)
def test_host_ports_clash_per_address_and_protocol(other: HostPort, clashes: bool) -> None:
    assert HostPort("10.0.0.1", "TCP", 80).clashes(other) is clashes
