"""Kinds that show another kind's objects: the way to storage and back loses nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.api.autoscaling import horizontalpodautoscaler as v1
from tiphys.api.autoscaling.horizontalpodautoscaler_v2 import HorizontalPodAutoscaler
from tiphys.api.core.event import Event as CoreEvent
from tiphys.api.core.pod import Pod
from tiphys.api.decode import decode
from tiphys.api.events.event import Event
from tiphys.api.kinds import info_of

METRICS: list[dict[str, Any]] = [
    {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}},
    {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}},
    {"type": "Pods", "pods": {"metric": {"name": "qps"}, "target": {"type": "AverageValue", "averageValue": "10"}}},
    {
        "type": "Object",
        "object": {
            "describedObject": {"kind": "Service", "name": "s"},
            "metric": {"name": "hits", "selector": {"matchLabels": {"a": "b"}}},
            "target": {"type": "Value", "value": "7"},
        },
    },
    {
        "type": "External",
        "external": {"metric": {"name": "queue"}, "target": {"type": "AverageValue", "averageValue": "3"}},
    },
    {
        "type": "ContainerResource",
        "containerResource": {
            "name": "cpu",
            "container": "c",
            "target": {"type": "Utilization", "averageUtilization": 60},
        },
    },
]
STORED: dict[str, Any] = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "h", "annotations": {"own": "note"}},
    "spec": {
        "scaleTargetRef": {"kind": "Deployment", "name": "d"},
        "maxReplicas": 3,
        "metrics": METRICS,
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
    },
    "status": {
        "currentReplicas": 1,
        "desiredReplicas": 1,
        "currentMetrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "current": {"averageUtilization": 40, "averageValue": "1"}},
            }
        ],
        "conditions": [{"type": "AbleToScale", "status": "True"}],
    },
}


def test_a_kind_is_stored_as_itself_unless_it_says_otherwise() -> None:
    pod = {"metadata": {"name": "p"}}
    assert info_of(Pod).storage == ("", "pods")
    assert info_of(Pod).to_storage(pod) is pod and info_of(Pod).from_storage(pod) is pod
    assert info_of(Event).storage == info_of(CoreEvent).storage == ("", "events")
    assert info_of(v1.HorizontalPodAutoscaler).storage == info_of(HorizontalPodAutoscaler).storage


def test_an_autoscaler_goes_to_version_one_and_back() -> None:
    info = info_of(v1.HorizontalPodAutoscaler)
    shown = info.from_storage(STORED)
    assert shown["apiVersion"] == "autoscaling/v1"
    assert shown["spec"]["targetCPUUtilizationPercentage"] == 50
    assert shown["status"]["currentCPUUtilizationPercentage"] == 40
    assert shown["metadata"]["annotations"]["own"] == "note"
    assert decode(shown, info.schema).unknown == []
    assert info.to_storage(shown) == STORED


def test_reading_does_not_change_what_is_stored() -> None:
    before = repr(STORED)
    info_of(v1.HorizontalPodAutoscaler).from_storage(STORED)
    assert repr(STORED) == before


@pytest.mark.parametrize("text", ["not json", "{}", "[1, null]", '[{"type": "Pods"}]', '"x"'])
def test_an_annotation_nobody_can_read_is_no_error(text: str) -> None:
    info = info_of(v1.HorizontalPodAutoscaler)
    names = ("metrics", "current-metrics", "conditions", "behavior")
    annotations = {f"autoscaling.alpha.kubernetes.io/{name}": text for name in names}
    stored = info.to_storage({"metadata": {"name": "h", "annotations": annotations}, "spec": {"maxReplicas": 1}})
    assert "annotations" not in stored["metadata"]
    assert decode(stored, info_of(HorizontalPodAutoscaler).schema).value["spec"]["maxReplicas"] == 1


CORE_EVENT: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Event",
    "metadata": {"name": "e"},
    "involvedObject": {"kind": "Pod", "name": "p"},
    "reason": "Started",
    "message": "m",
    "source": {"component": "kubelet"},
    "firstTimestamp": "2026-01-02T03:04:05Z",
    "lastTimestamp": "2026-01-02T03:04:05Z",
    "count": 2,
    "type": "Normal",
    "eventTime": None,
    "reportingComponent": "kubelet",
    "reportingInstance": "",
}


def test_an_event_goes_to_the_other_group_and_back() -> None:
    info = info_of(Event)
    shown = info.from_storage(CORE_EVENT)
    assert shown["note"] == "m" and shown["deprecatedCount"] == 2 and shown["regarding"]["name"] == "p"
    assert decode(shown, info.schema).unknown == []
    assert info.to_storage(shown) == CORE_EVENT
    assert info.selectable_fields["regarding.name"](shown) == "p"
