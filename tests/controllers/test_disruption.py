"""Disruption budgets: the arithmetic, and the status that evictions decide by."""

from datetime import timedelta
from typing import Any

import pytest

from controllers.disruption import DisruptionController, PodDisruptionCleaner
from controllers.disruption_plan import desired_healthy, disrupted, failed_status, next_status
from controllers.replicaset import ReplicaSetController
from tests.client.server import eventually
from tests.controllers.objects import NOW, pod, template
from tests.controllers.running import controllers, default_account, make_ready, pods
from tests.controllers.workloads import budget
from tiphys.api.apps.replicaset import ReplicaSet
from tiphys.api.core.pod import Pod
from tiphys.api.policy.poddisruptionbudget import PodDisruptionBudget
from tiphys.api.times import format_time
from tiphys.client.errors import ApiError
from tiphys.client.rest import Client


@pytest.mark.parametrize(
    ("spec", "expected", "desired"),
    [
        ({"minAvailable": 2}, 5, 2),
        ({"minAvailable": "50%"}, 5, 3),
        ({"maxUnavailable": 2}, 5, 3),
        ({"maxUnavailable": 9}, 5, 0),
        ({"maxUnavailable": "30%"}, 5, 3),
        ({"maxUnavailable": 0}, 5, 5),
        ({}, 5, 0),
    ],
)
def test_bounds_are_rounded_up(spec: dict[str, Any], expected: int, desired: int) -> None:
    assert desired_healthy(budget(**spec), expected) == desired


@pytest.mark.parametrize(
    ("healthy", "sick", "going", "noted", "allowed", "reason"),
    [
        (3, 0, 0, 0, 1, "SufficientPods"),
        (2, 1, 0, 0, 0, "InsufficientPods"),
        (3, 0, 0, 1, 0, "InsufficientPods"),
        (4, 0, 1, 0, 2, "SufficientPods"),
        (0, 0, 0, 0, 0, "InsufficientPods"),
    ],
)
def test_only_healthy_pods_that_nobody_takes_away_count(
    healthy: int, sick: int, going: int, noted: int, allowed: int, reason: str
) -> None:
    well = [pod(f"well-{number}") for number in range(healthy)]
    others = [pod(f"sick-{number}", ready=False) for number in range(sick)]
    leaving = [pod(f"going-{number}", deletionTimestamp="2026-01-02T03:04:05Z") for number in range(going)]
    taken = {one.metadata.name: format_time(NOW) for one in well[:noted]}
    everyone = [*well, *others, *leaving]
    status = next_status(budget(minAvailable=2), everyone, len(everyone), taken, NOW)
    assert (status.disruptionsAllowed, status.currentHealthy) == (allowed, healthy - noted)
    (condition,) = status.conditions
    assert (condition.type, condition.status, condition.reason) == (
        "DisruptionAllowed",
        "True" if allowed else "False",
        reason,
    )


def test_a_noted_pod_is_believed_for_two_minutes() -> None:
    at = {"fresh": format_time(NOW - timedelta(seconds=20)), "late": format_time(NOW - timedelta(seconds=121))}
    noted = budget({"disruptedPods": {**at, "gone": format_time(NOW)}}, minAvailable=1)
    found = disrupted(noted, [pod("fresh"), pod("late"), pod("other")], NOW)
    assert found.pods == {"fresh": at["fresh"]}
    assert [one.metadata.name for one in found.overdue] == ["late"]
    assert found.next_seconds == 100


def test_without_a_count_nothing_is_allowed() -> None:
    status = failed_status(budget({"disruptionsAllowed": 3}, maxUnavailable=1), "found no controllers", NOW)
    assert status.disruptionsAllowed == 0
    assert [(one.reason, one.message) for one in status.conditions] == [("SyncFailed", "found no controllers")]


async def allowed(client: Client, count: int, **fields: Any) -> PodDisruptionBudget:
    async def so() -> bool:
        now = (await client.get(PodDisruptionBudget, "keep", "default")).status
        return now.disruptionsAllowed == count and all(getattr(now, key) == value for key, value in fields.items())

    await eventually(so, f"{count} disruptions allowed, {fields}")
    return await client.get(PodDisruptionBudget, "keep", "default")


async def evict(client: Client, name: str, **options: Any) -> None:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}, **options}
    await client.create_subresource(Pod, name, "default", "eviction", body)


async def bare_pod(client: Client, name: str, label: str = "web") -> Pod:
    shape = template(app=label)
    made = await client.create(
        Pod.model_validate(
            {"metadata": {"name": name, "namespace": "default", **shape["metadata"]}, "spec": shape["spec"]}
        )
    )
    await make_ready(client, made)
    return made


async def test_a_relative_budget_asks_the_owners_and_refills_after_an_eviction(client: Client) -> None:
    await default_account(client)
    wanted = {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": template()}
    async with controllers(client, DisruptionController, ReplicaSetController):
        metadata = {"name": "web", "namespace": "default"}
        await client.create(ReplicaSet.model_validate({"metadata": metadata, "spec": wanted}))
        await client.create(budget(maxUnavailable=1))
        await allowed(client, 0, expectedPods=3, desiredHealthy=2, currentHealthy=0)
        await make_ready(client, *await pods(client))
        await allowed(client, 1, currentHealthy=3)
        first, second, *_ = await pods(client)
        await evict(client, first.metadata.name)
        with pytest.raises(ApiError) as caught:
            await evict(client, second.metadata.name)
        assert (caught.value.code, caught.value.reason) == (429, "TooManyRequests")
        assert caught.value.message == "Cannot evict pod as it would violate the pod's disruption budget."

        async def refilled() -> bool:
            return len(await pods(client)) == 3

        await eventually(refilled, "a pod in place of the evicted one")
        await allowed(client, 0, currentHealthy=2)
        await make_ready(client, *await pods(client))
        now = await allowed(client, 1, currentHealthy=3)
        assert now.status.disruptedPods == {}
        await client.patch(ReplicaSet, "web", "default", {"spec": {"replicas": 4}})
        await allowed(client, 0, expectedPods=4, desiredHealthy=3)


async def test_pods_without_a_scale_cannot_be_counted(client: Client) -> None:
    await default_account(client)
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "x", "uid": "x", "controller": True}
    shape = template()
    await client.create(
        Pod.model_validate(
            {
                "metadata": {"name": "a", "namespace": "default", "ownerReferences": [owner], **shape["metadata"]},
                "spec": shape["spec"],
            }
        )
    )
    async with controllers(client, DisruptionController):
        await client.create(budget(minAvailable="50%"))

        async def failed() -> bool:
            now = await client.get(PodDisruptionBudget, "keep", "default")
            text = "daemonsets.apps does not implement the scale subresource"
            return [(one.reason, one.message) for one in now.status.conditions] == [("SyncFailed", text)]

        await eventually(failed, "the failed sync told")


async def test_a_pod_that_was_spared_says_so(client: Client) -> None:
    await default_account(client)
    await bare_pod(client, "a")
    target = {"type": "DisruptionTarget", "status": "True", "reason": "x", "lastTransitionTime": "2026-01-02T03:04:05Z"}
    patch = {"status": {"conditions": [target]}}
    await client.patch(Pod, "a", "default", patch, patch_type="strategic", subresource="status")
    async with controllers(client, PodDisruptionCleaner):

        async def taken_back() -> bool:
            found = await client.get(Pod, "a", "default")
            return [one.status for one in found.status.conditions if one.type == "DisruptionTarget"] == ["False"]

        await eventually(taken_back, "the condition taken back")
