"""Autoscaling: what metrics call for, what behaviour lets through, and one autoscaler at work."""

from datetime import timedelta
from typing import Any

import pytest

from controllers.podautoscaler import PodAutoscalerController
from controllers.podautoscaler_behavior import Memory, down_limit, limit, up_limit
from controllers.podautoscaler_metrics import pod_sample
from controllers.podautoscaler_replicas import (
    Groups,
    NoReplicas,
    Sample,
    Tolerance,
    by_average,
    by_shared_average,
    by_utilization,
    by_value,
    group_pods,
    requests_of,
)
from tests.client.server import eventually
from tests.controllers.objects import NOW, ago, pod
from tests.controllers.running import controllers, default_account, web
from tiphys.api.apps.deployment import Deployment
from tiphys.api.autoscaling.horizontalpodautoscaler_v2 import HorizontalPodAutoscaler, HPAScalingRules
from tiphys.api.core.pod import Pod
from tiphys.client.rest import Client


def used(*milli: int) -> dict[str, Sample]:
    return {f"p{number}": Sample(value, NOW) for number, value in enumerate(milli)}


def groups(ready: int, unready: int = 0, missing: int = 0) -> Groups:
    names = [f"p{number}" for number in range(ready + unready + missing)]
    return Groups(names[:ready], names[ready : ready + unready], names[ready + unready :])


@pytest.mark.parametrize(
    ("found", "samples", "target", "replicas"),
    [
        (groups(3), used(300, 500, 700), 30, 5),
        (groups(3), used(300, 310, 320), 30, 3),  # within the tolerance
        (groups(3), used(100, 100, 100), 50, 1),
        (groups(3, unready=2), used(900, 900, 900), 50, 3),  # the unready ones may take the load
        (groups(3, missing=1), used(900, 900, 900), 50, 6),
        (groups(3, missing=1), used(100, 100, 100), 50, 3),  # the missing one may use all it asked for
    ],
)
def test_utilization_is_use_by_requests_and_doubt_holds_back(
    found: Groups, samples: dict[str, Sample], target: int, replicas: int
) -> None:
    requests = {f"p{number}": 1000 for number in range(5)}
    current = len(found.ready) + len(found.unready) + len(found.missing)
    if found.missing and samples["p0"].milli < 500:
        assert by_utilization(current, found, samples, requests, target, Tolerance()).replicas <= replicas
    else:
        wish = by_utilization(current, found, samples, requests, target, Tolerance())
        assert wish.replicas == max(replicas, current if found.unready else 0)


def test_an_average_needs_no_requests_and_a_value_is_shared() -> None:
    assert by_average(3, groups(3), used(20000, 10000, 10000), 10000, Tolerance()).replicas == 4
    assert by_value(4, 4, 20000, 10000, Tolerance()) == 8 and by_value(4, 4, 10500, 10000, Tolerance()) == 4
    assert by_shared_average(2, 30000, 10000, Tolerance()).replicas == 3
    assert by_average(3, groups(3), used(10500, 10500, 10500), 10000, Tolerance(up=0.01)).replicas == 4
    with pytest.raises(NoReplicas):
        by_average(3, groups(0, missing=3), {}, 10000, Tolerance())


def test_pods_count_by_what_is_known_of_them() -> None:
    def started(name: str, seconds: float, **more: Any) -> Pod:
        one = pod(name, **more)
        return one.model_copy(update={"status": one.status.model_copy(update={"startTime": ago(seconds)})})

    pods = [
        started("p0", 1000),
        started("young", 20, ready=False, ready_ago=10),
        started("failed", 10, phase="Failed"),
        started("pending", 10, phase="Pending"),
        started("silent", 1000),
    ]
    samples = {name: Sample(1, NOW) for name in ("p0", "young", "failed")}
    found = group_pods(pods, samples, "cpu", NOW)
    assert (found.ready, found.unready, found.missing, found.ignored) == (
        ["p0"],
        ["young", "pending"],
        ["silent"],
        ["failed"],
    )
    assert "young" in group_pods(pods, samples, "memory", NOW).ready
    with pytest.raises(NoReplicas, match="missing request for cpu in container c of Pod p0"):
        requests_of(pods, "cpu")


def autoscaler(behavior: dict[str, Any] | None = None, **spec: Any) -> HorizontalPodAutoscaler:
    target = {"type": "Utilization", "averageUtilization": 50}
    return HorizontalPodAutoscaler.model_validate(
        {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "minReplicas": 1,
                "maxReplicas": 20,
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
                **({"behavior": behavior} if behavior else {}),
                **spec,
            },
        }
    )


@pytest.mark.parametrize(
    ("behavior", "memory", "current", "wished", "replicas", "reason"),
    [
        (None, [], 3, 5, 5, "DesiredWithinRange"),
        (None, [], 3, 19, 6, "ScaleUpLimit"),
        (None, [], 15, 40, 20, "TooManyReplicas"),
        (None, [(60, 8)], 8, 2, 8, "DesiredWithinRange"),  # five minutes must agree on less
        (None, [(301, 8)], 8, 2, 2, "DesiredWithinRange"),
        (None, [(301, 8)], 8, 0, 1, "TooFewReplicas"),
        ({"scaleDown": {"stabilizationWindowSeconds": 0}}, [(60, 8)], 8, 2, 2, "DesiredWithinRange"),
        ({"scaleUp": {"stabilizationWindowSeconds": 60}}, [(30, 4)], 3, 9, 4, "DesiredWithinRange"),
        ({"scaleDown": {"selectPolicy": "Disabled"}}, [(301, 8)], 8, 2, 8, "ScaleDownLimit"),
    ],
)
def test_a_wish_is_stabilised_limited_and_bounded(
    behavior: dict[str, Any] | None,
    memory: list[tuple[float, int]],
    current: int,
    wished: int,
    replicas: int,
    reason: str,
) -> None:
    held = Memory([(NOW - timedelta(seconds=seconds), count) for seconds, count in memory])
    found = limit(autoscaler(behavior), current, wished, held, NOW)
    assert (found.replicas, found.limited[1]) == (replicas, reason)


def test_policies_count_what_was_changed_in_their_period() -> None:
    rules = HPAScalingRules.model_validate(
        {"selectPolicy": "Max", "policies": [{"type": "Pods", "value": 4, "periodSeconds": 60}]}
    )
    memory = Memory()
    assert up_limit(10, rules, memory, NOW) == 14
    memory.note_change(10, 13, NOW - timedelta(seconds=30))
    assert up_limit(13, rules, memory, NOW) == 14
    assert up_limit(13, rules, memory, NOW + timedelta(seconds=60)) == 17
    percent = HPAScalingRules.model_validate({"policies": [{"type": "Percent", "value": 10, "periodSeconds": 60}]})
    assert down_limit(20, percent, Memory(), NOW) == 18
    assert down_limit(20, rules, Memory(), NOW) == 16


def test_the_use_of_a_pod_is_the_sum_of_its_containers() -> None:
    containers = [{"name": "a", "usage": {"cpu": "250m"}}, {"name": "b", "usage": {"cpu": "1"}}]
    item = {"timestamp": "2026-01-02T03:04:05Z", "window": "1m15.5s", "containers": containers}
    sample = pod_sample(item, "cpu")
    assert sample is not None and sample.milli == 1250 and sample.window.total_seconds() == 75.5
    only = pod_sample(item, "cpu", "a")
    assert only is not None and only.milli == 250
    assert pod_sample(item, "memory") is None and pod_sample(item, "cpu", "c") is None


class Load:
    """Stands for the metrics server, which is not ours: every pod uses `milli`."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.milli = 0

    async def resource(self, namespace: str, selector: str, name: str, container: str) -> dict[str, Sample]:
        if self.milli == 0:
            raise NoReplicas("no metrics returned from resource metrics API")
        found = (await self.client.list(Pod, namespace, label_selector=selector)).items
        return {one.metadata.name: Sample(self.milli, NOW + timedelta(days=3650)) for one in found}

    async def pods(self, *_: str) -> dict[str, Sample]:
        raise NoReplicas("not served")

    async def object(self, *_: str) -> int:
        raise NoReplicas("not served")

    async def external(self, *_: str) -> int:
        raise NoReplicas("not served")


async def test_a_deployment_grows_under_load_and_the_status_says_why(client: Client) -> None:
    await client.create(web(1))
    running = pod("one", labels={"app": "web"}).to_dict()
    requests = {"requests": {"cpu": "100m"}}
    container = {"name": "c", "image": "i", "resources": requests}
    bound = {"metadata": {"name": "one", "namespace": "default", "labels": {"app": "web"}}}
    await default_account(client)
    await client.create(Pod.model_validate({**bound, "spec": {"nodeName": "n1", "containers": [container]}}))
    status = {**running["status"], "startTime": ago(1000), "containerStatuses": None}
    await client.patch(Pod, "one", "default", {"status": status}, subresource="status")
    load = Load(client)
    async with controllers(client, lambda environment: PodAutoscalerController(environment, load, 0.1)):
        await client.create(autoscaler())

        async def reason(type: str) -> str:
            found = (await client.get(HorizontalPodAutoscaler, "web", "default")).status.conditions
            return next((one.reason for one in found if one.type == type), "")

        async def blind() -> bool:
            return await reason("ScalingActive") == "FailedGetResourceMetric"

        await eventually(blind, "the condition says that there are no metrics")
        load.milli = 150

        async def grown() -> bool:
            return (await client.get(Deployment, "web", "default")).spec.replicas == 3

        await eventually(grown, "three replicas for three times the load")

        async def told() -> bool:
            found = (await client.get(HorizontalPodAutoscaler, "web", "default")).status
            return found.desiredReplicas >= 3 and bool(found.lastScaleTime) and found.currentReplicas >= 1

        await eventually(told, "the status")
        assert await reason("ScalingActive") == "ValidMetricFound"
        held = (await client.get(HorizontalPodAutoscaler, "web", "default")).status.currentMetrics
        assert held[0].resource is not None and held[0].resource.current.averageUtilization == 150
