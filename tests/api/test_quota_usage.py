"""What pods ask for as a whole, and what objects use of a quota."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tiphys.api.core.pod_resources import pod_amounts, quantity
from tiphys.api.core.quota_usage import concerns, unspecified, usage

Object = dict[str, Any]


def container(name: str = "c", restart: str = "", **requests: str) -> Object:
    found: Object = {"name": name, "resources": {"requests": requests}}
    return {**found, "restartPolicy": restart} if restart else found


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        ({"containers": [container(cpu="100m"), container(cpu="1")]}, "1.1"),
        ({"containers": [container(cpu="1")], "initContainers": [container(cpu="3"), container(cpu="2")]}, "3"),
        ({"containers": [container(cpu="1")], "initContainers": [container(cpu="2", restart="Always")]}, "3"),
        (
            {"containers": [container()], "initContainers": [container(cpu="1", restart="Always"), container(cpu="2")]},
            "3",
        ),
        ({"containers": [container(cpu="1")], "overhead": {"cpu": "250m"}}, "1.25"),
        ({"containers": [container(cpu="1")], "resources": {"requests": {"cpu": "4"}}}, "4"),
    ],
)
def test_a_pod_asks_for_its_containers_together_or_its_worst_init_container(spec: Object, cpu: str) -> None:
    assert pod_amounts(spec, "requests")["cpu"] == Decimal(cpu)


@pytest.mark.parametrize(
    ("amount", "binary", "text"),
    [
        ("1.5", False, "1500m"),
        ("1610612736", True, "1536Mi"),
        ("0", True, "0"),
        ("1000", False, "1k"),
        ("3", True, "3"),
    ],
)
def test_an_amount_is_written_as_a_quantity(amount: str, binary: bool, text: str) -> None:
    assert quantity(Decimal(amount), binary=binary) == text


def test_objects_use_what_quotas_call_them() -> None:
    pod = {"spec": {"containers": [container(cpu="1", memory="1Gi")]}, "metadata": {}}
    found = usage("", "pods", pod)
    assert found["pods"] == found["count/pods"] == found["cpu"] == found["requests.cpu"] == 1
    assert found["memory"] == 1 << 30 and "limits.cpu" not in found
    assert usage("", "pods", {**pod, "status": {"phase": "Failed"}}) == {"count/pods": 1}
    assert usage("apps", "replicasets", {"metadata": {}}) == {"count/replicasets.apps": 1}
    service = {"spec": {"type": "LoadBalancer", "ports": [{}, {}]}}
    assert usage("", "services", service) == {
        "services": 1,
        "services.nodeports": 2,
        "services.loadbalancers": 1,
        "count/services": 1,
    }
    claim = {"metadata": {}, "spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "1Gi"}}}}
    found = usage("", "persistentvolumeclaims", claim)
    assert found["fast.storageclass.storage.k8s.io/requests.storage"] == found["requests.storage"] == 1 << 30


BEST_EFFORT: Object = {"containers": [container()]}
BURSTABLE: Object = {"containers": [container(cpu="1")]}


@pytest.mark.parametrize(
    ("quota", "spec", "about"),
    [
        ({}, BEST_EFFORT, True),
        ({"scopes": ["BestEffort"]}, BEST_EFFORT, True),
        ({"scopes": ["BestEffort"]}, BURSTABLE, False),
        ({"scopes": ["NotBestEffort"]}, BURSTABLE, True),
        ({"scopes": ["Terminating"]}, BURSTABLE, False),
        ({"scopes": ["Terminating", "NotBestEffort"]}, {**BURSTABLE, "activeDeadlineSeconds": 0}, True),
        ({"scopes": ["PriorityClass"]}, {**BURSTABLE, "priorityClassName": "high"}, True),
    ],
)
def test_scopes_say_which_pods_a_quota_is_about(quota: Object, spec: Object, about: bool) -> None:
    pod = {"metadata": {}, "spec": spec}
    whole = {"spec": {"hard": {"pods": "1"}, **quota}}
    assert concerns(whole, "", "pods", pod, usage("", "pods", pod)) is about


@pytest.mark.parametrize(
    ("operator", "about"), [("In", True), ("NotIn", False), ("Exists", True), ("DoesNotExist", False)]
)
def test_a_scope_selector_looks_at_the_priority_class(operator: str, about: bool) -> None:
    term = {"scopeName": "PriorityClass", "operator": operator, "values": ["high"]}
    quota = {"spec": {"hard": {"pods": "1"}, "scopeSelector": {"matchExpressions": [term]}}}
    pod = {"metadata": {}, "spec": {**BURSTABLE, "priorityClassName": "high"}}
    assert concerns(quota, "", "pods", pod, usage("", "pods", pod)) is about


def test_what_a_quota_bounds_and_a_container_does_not_say_is_named() -> None:
    quota = {"spec": {"hard": {"limits.cpu": "1", "requests.memory": "1Gi", "pods": "1"}}}
    pod = {"spec": {"containers": [container("a", memory="1"), container("b")]}}
    assert unspecified(quota, pod) == "limits.cpu for: a,b; requests.memory for: b"
