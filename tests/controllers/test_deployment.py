"""Deployments end to end against a real API server; the kubelet is played by hand."""

import asyncio
from typing import Any

from controllers.deployment import DeploymentController
from controllers.deployment_status import find
from controllers.replicaset import ReplicaSetController
from tests.client.server import eventually
from tests.controllers.running import (
    controllers,
    default_account,
    deployment,
    finish_deletions,
    make_ready,
    pods,
    sizes,
    wait_for_pods,
    wait_for_status,
    web,
)
from tiphys.api.apps.deployment import Deployment
from tiphys.api.apps.replicaset import ReplicaSet
from tiphys.api.core.event import Event
from tiphys.client.rest import Client

ONE_AT_A_TIME = {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}
REVISION = "deployment.kubernetes.io/revision"


async def change(client: Client, patch: dict[str, Any]) -> None:
    await client.patch(Deployment, "web", "default", patch, patch_type="strategic")


async def set_image(client: Client, image: str) -> None:
    await change(client, {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}})


def complete(now: Deployment) -> bool:
    told = find(now.status.conditions, "Progressing")
    observed = now.status.observedGeneration == now.metadata.generation
    wanted = now.spec.replicas
    return (
        observed
        and told is not None
        and told.reason == "NewReplicaSetAvailable"
        and (now.status.updatedReplicas, now.status.availableReplicas, now.status.replicas) == (wanted, wanted, wanted)
    )


async def all_ready(client: Client, image: str, count: int) -> Deployment:
    await make_ready(client, *await wait_for_pods(client, image, count))
    return await wait_for_status(client, "a complete rollout", complete)


async def test_a_rolling_update_keeps_its_promise_at_every_step(client: Client) -> None:
    await default_account(client)
    async with controllers(client, DeploymentController, ReplicaSetController):
        await client.create(web(3, **ONE_AT_A_TIME))
        first = await all_ready(client, "app:1", 3)
        assert first.metadata.annotations[REVISION] == "1" and first.metadata.generation == 1
        await set_image(client, "app:2")
        for step in range(1, 4):
            fresh = [pod for pod in await wait_for_pods(client, "app:2", step) if pod.status.phase != "Running"]
            assert await sizes(client) == {"app:1": 4 - step, "app:2": step}, "one more, and none of the old less"
            assert len(fresh) == 1
            await make_ready(client, *fresh)

            async def old_one_went(wanted: int = 3 - step) -> bool:
                await finish_deletions(client)
                return len(await pods(client, "app:1")) == wanted

            await eventually(old_one_went, "one old pod less")
        done = await wait_for_status(client, "the end of the rollout", complete)
        assert done.metadata.annotations[REVISION] == "2"
        assert await sizes(client) == {"app:1": 0, "app:2": 3}


async def test_a_rollback_finds_the_old_replica_set_again(client: Client) -> None:
    await default_account(client)
    async with controllers(client, DeploymentController, ReplicaSetController):
        await client.create(web(1, **ONE_AT_A_TIME))
        await all_ready(client, "app:1", 1)
        before = {rs.metadata.uid for rs in (await client.list(ReplicaSet, "default")).items}
        await set_image(client, "app:2")
        await make_ready(client, *await wait_for_pods(client, "app:2", 1))
        await wait_for_status(client, "version 2", lambda now: now.status.availableReplicas == 2 or complete(now))
        await set_image(client, "app:1")
        done = await wait_for_status(client, "revision 3", lambda now: now.metadata.annotations[REVISION] == "3")
        assert done.metadata.annotations[REVISION] == "3"
        sets = {rs.metadata.uid: rs for rs in (await client.list(ReplicaSet, "default")).items}
        assert before <= set(sets) and len(sets) == 2
        revisions = sorted(rs.metadata.annotations[REVISION] for rs in sets.values())
        assert revisions == ["2", "3"]


async def test_recreate_starts_nothing_before_the_last_old_pod_is_gone(client: Client) -> None:
    await default_account(client)
    async with controllers(client, DeploymentController, ReplicaSetController):
        await client.create(web(2, strategy={"type": "Recreate"}))
        await all_ready(client, "app:1", 2)
        for pod in await pods(client):  # bound pods are deleted gracefully: they stay until the kubelet says so
            await client.create_subresource(
                type(pod),
                pod.metadata.name,
                "default",
                "binding",
                {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod.metadata.name}, "target": NODE},
            )
        await set_image(client, "app:2")

        async def old_ones_going() -> bool:
            found = await pods(client, "app:1")
            return bool(found) and all(pod.metadata.deletionTimestamp for pod in found)

        await eventually(old_ones_going, "the old pods being deleted")
        await asyncio.sleep(0.3)
        assert await pods(client, "app:2") == []
        await finish_deletions(client)
        await all_ready(client, "app:2", 2)


NODE = {"apiVersion": "v1", "kind": "Node", "name": "n1"}


async def test_a_paused_deployment_scales_but_does_not_roll(client: Client) -> None:
    await default_account(client)
    async with controllers(client, DeploymentController, ReplicaSetController):
        await client.create(web(1))
        await all_ready(client, "app:1", 1)
        await change(client, {"spec": {"paused": True}})
        await set_image(client, "app:2")
        await change(client, {"spec": {"replicas": 2}})
        await wait_for_pods(client, "app:1", 2)

        def paused(now: Deployment) -> bool:
            told = find(now.status.conditions, "Progressing")
            return (told.reason if told else "") == "DeploymentPaused"

        await wait_for_status(client, "the paused condition", paused)
        assert await sizes(client) == {"app:1": 2}
        await change(client, {"spec": {"paused": False}})
        await wait_for_pods(client, "app:2", 1)


async def test_scaling_is_told_as_events_and_goes_both_ways(client: Client) -> None:
    await default_account(client)
    async with controllers(client, DeploymentController, ReplicaSetController):
        await client.create(web(2))
        await wait_for_pods(client, "app:1", 2)
        await change(client, {"spec": {"replicas": 4}})
        await wait_for_pods(client, "app:1", 4)
        await change(client, {"spec": {"replicas": 1}})
        await wait_for_pods(client, "app:1", 1)

        async def told() -> bool:
            events = (await client.list(Event, "default")).items
            texts = [event.message for event in events if event.reason == "ScalingReplicaSet"]
            name = (await client.list(ReplicaSet, "default")).items[0].metadata.name
            steps = (("up", 0, 2), ("up", 2, 4), ("down", 4, 1))
            return texts == [f"Scaled {way} replica set {name} from {old} to {new}" for way, old, new in steps]

        await eventually(told, "three events in order")


async def test_pods_that_lose_or_match_the_labels_are_released_and_adopted(client: Client) -> None:
    await default_account(client)
    async with controllers(client, DeploymentController, ReplicaSetController):
        await client.create(web(1))
        (pod,) = await wait_for_pods(client, "app:1", 1)
        await client.patch(type(pod), pod.metadata.name, "default", {"metadata": {"labels": {"app": "debug"}}})

        async def replaced() -> bool:
            return len(await pods(client)) == 2

        await eventually(replaced, "a pod in place of the released one")
        released = await client.get(type(pod), pod.metadata.name, "default")
        assert released.metadata.ownerReferences == []
        await client.patch(type(pod), pod.metadata.name, "default", {"metadata": {"labels": {"app": "web"}}})

        async def one_too_many_gone() -> bool:
            found = await pods(client)
            return len(found) == 1 and bool(found[0].metadata.ownerReferences)

        await eventually(one_too_many_gone, "one adopted or deleted pod left")


async def test_a_refused_pod_shows_in_the_conditions_of_both(client: Client) -> None:
    """Without the ServiceAccount admission refuses every pod."""
    async with controllers(client, DeploymentController, ReplicaSetController):
        await client.create(web(1))

        def failing(now: Deployment) -> bool:
            told = find(now.status.conditions, "ReplicaFailure")
            return told is not None and told.reason == "FailedCreate" and "forbidden" in told.message

        await wait_for_status(client, "the failure", failing)
        await default_account(client)
        await wait_for_pods(client, "app:1", 1)
        now = await wait_for_status(client, "the end of the failure", lambda now: not failing(now))
        assert find(now.status.conditions, "ReplicaFailure") is None


async def test_a_name_taken_by_another_template_calls_for_another_hash(client: Client) -> None:
    await default_account(client)
    first = await client.create(web(1))
    from controllers.deployment import new_replica_set

    squatter = new_replica_set(first, []).to_dict()
    squatter["metadata"].pop("ownerReferences")
    squatter["metadata"]["labels"] = squatter["spec"]["template"]["metadata"]["labels"] = {"squat": "yes"}
    squatter["spec"]["selector"] = {"matchLabels": {"squat": "yes"}}
    squatter["spec"]["replicas"] = 0
    await client.create(ReplicaSet.model_validate(squatter))
    async with controllers(client, DeploymentController, ReplicaSetController):
        await all_ready(client, "app:1", 1)
        assert (await deployment(client)).status.collisionCount == 1
