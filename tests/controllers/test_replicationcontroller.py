"""ReplicationController: ReplicaSet's rules for the older kind."""

from typing import Any

from controllers.replicationcontroller import ReplicationControllerController, as_replica_set, with_status
from tests.client.server import eventually
from tests.controllers.objects import template
from tests.controllers.running import controllers, default_account, make_ready, pods, wait_for_pods
from tiphys.api.apps.replicaset import ReplicaSetStatus
from tiphys.api.core.pod import Pod
from tiphys.api.core.replicationcontroller import ReplicationController
from tiphys.client.rest import Client


def old(replicas: int = 2, **spec: Any) -> ReplicationController:
    return ReplicationController.model_validate(
        {
            "metadata": {"name": "old", "namespace": "default"},
            "spec": {"replicas": replicas, "selector": {"app": "web"}, "template": template(), **spec},
        }
    )


async def status_is(client: Client, **fields: Any) -> None:
    async def so() -> bool:
        now = (await client.get(ReplicationController, "old", "default")).status
        return all(getattr(now, name) == value for name, value in fields.items())

    await eventually(so, f"{fields}")


def test_it_is_seen_as_the_replica_set_it_would_be() -> None:
    view = as_replica_set(old(minReadySeconds=5))
    assert view.spec.selector is not None and view.spec.selector.matchLabels == {"app": "web"}
    assert (view.spec.replicas, view.spec.minReadySeconds) == (2, 5)
    told = with_status(old(), ReplicaSetStatus(replicas=2, readyReplicas=1, terminatingReplicas=1))
    assert told.status.to_dict() == {"replicas": 2, "readyReplicas": 1}


async def test_pods_are_made_scaled_released_and_counted(client: Client) -> None:
    await default_account(client)
    async with controllers(client, ReplicationControllerController):
        await client.create(old())
        made = await wait_for_pods(client, "app:1", 2)
        assert {pod.metadata.ownerReferences[0].kind for pod in made} == {"ReplicationController"}
        await make_ready(client, *made)
        await status_is(client, replicas=2, readyReplicas=2, availableReplicas=2, fullyLabeledReplicas=2)
        name = made[0].metadata.name
        await client.patch(Pod, name, "default", {"metadata": {"labels": {"app": "debug"}}})
        await wait_for_pods(client, "app:1", 3)
        assert (await client.get(Pod, name, "default")).metadata.ownerReferences == []
        await client.patch(Pod, name, "default", {"metadata": {"labels": {"app": "web"}}})
        await wait_for_pods(client, "app:1", 2)
        await client.patch(ReplicationController, "old", "default", {"spec": {"replicas": 0}})
        await wait_for_pods(client, "app:1", 0)


async def test_a_refused_pod_is_a_condition(client: Client) -> None:
    """Without the ServiceAccount admission refuses every pod."""
    async with controllers(client, ReplicationControllerController):
        await client.create(old())

        async def failing() -> bool:
            now = await client.get(ReplicationController, "old", "default")
            return [(one.type, one.reason) for one in now.status.conditions] == [("ReplicaFailure", "FailedCreate")]

        await eventually(failing, "the failure told")
        await default_account(client)
        assert len(await wait_for_pods(client, "app:1", 2)) == len(await pods(client))
        await status_is(client, replicas=2, conditions=[])
