"""StatefulSets end to end against a real API server; the kubelet is played by hand."""

import asyncio
from typing import Any

from controllers.garbagecollector import GarbageCollector
from controllers.statefulset import StatefulSetController
from tests.client.server import eventually
from tests.controllers.running import controllers, default_account, make_ready
from tests.controllers.workloads import bind, by_name, claim_template, end, names, stateful_set, there
from tiphys.api.apps.controllerrevision import ControllerRevision
from tiphys.api.apps.statefulset import StatefulSet
from tiphys.api.core.event import Event
from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.client.rest import Client


async def run_up(client: Client, *wanted: str) -> None:
    """Each pod appears only when the one before it is ready."""
    for number, name in enumerate(wanted, 1):
        pods = await there(client, *wanted[:number])
        await make_ready(client, pods[name])


async def change(client: Client, spec: dict[str, Any]) -> None:
    await client.patch(StatefulSet, "db", "default", {"spec": spec}, patch_type="strategic")


async def set_image(client: Client, image: str) -> None:
    await change(client, {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}})


async def status_is(client: Client, **fields: Any) -> StatefulSet:
    async def so() -> bool:
        now = await client.get(StatefulSet, "db", "default")
        settled = now.status.observedGeneration == now.metadata.generation
        return settled and all(getattr(now.status, name) == value for name, value in fields.items())

    await eventually(so, f"{fields}, not {(await client.get(StatefulSet, 'db', 'default')).status}")
    return await client.get(StatefulSet, "db", "default")


async def image_of(client: Client, name: str) -> str:
    pods = await by_name(client)
    return pods[name].spec.containers[0].image if name in pods else ""


async def claims(client: Client) -> list[str]:
    return sorted(claim.metadata.name for claim in (await client.list(PersistentVolumeClaim, "default")).items)


async def test_pods_come_in_order_and_go_in_reverse(client: Client) -> None:
    await default_account(client)
    async with controllers(client, StatefulSetController):
        await client.create(stateful_set(3, volumeClaimTemplates=[claim_template()]))
        await run_up(client, "db-0", "db-1", "db-2")
        done = await status_is(client, replicas=3, readyReplicas=3, availableReplicas=3, currentReplicas=3)
        assert done.status.currentRevision == done.status.updateRevision != ""
        assert await claims(client) == ["data-db-0", "data-db-1", "data-db-2"]
        await change(client, {"replicas": 0})
        await there(client)
        assert len(await claims(client)) == 3, "claims are retained"

        async def told() -> bool:
            return {
                "create Claim data-db-0 Pod db-0 in StatefulSet db success",
                "create Pod db-0 in StatefulSet db successful",
                "delete Pod db-2 in StatefulSet db successful",
            } <= {event.message for event in (await client.list(Event, "default")).items}

        await eventually(told, "the events")


async def test_no_identity_is_given_out_before_the_old_pod_is_gone(client: Client) -> None:
    await default_account(client)
    async with controllers(client, StatefulSetController):
        await client.create(stateful_set(1))
        first = (await there(client, "db-0"))["db-0"]
        await bind(client, "db-0")
        await make_ready(client, first)
        await set_image(client, "app:2")

        async def going() -> bool:
            return bool((await by_name(client))["db-0"].metadata.deletionTimestamp)

        await eventually(going, "the old pod being deleted")
        await asyncio.sleep(0.3)
        assert (await by_name(client))["db-0"].metadata.uid == first.metadata.uid
        await end(client, "db-0")

        async def replaced() -> bool:
            return await image_of(client, "db-0") == "app:2"

        await eventually(replaced, "the new pod")
        assert (await by_name(client))["db-0"].metadata.uid != first.metadata.uid


async def test_a_partition_holds_the_update_back_until_it_is_lowered(client: Client) -> None:
    await default_account(client)
    async with controllers(client, StatefulSetController):
        await client.create(stateful_set(2, partition=1))
        await run_up(client, "db-0", "db-1")
        before = (await status_is(client, readyReplicas=2, currentReplicas=2)).status.currentRevision
        await set_image(client, "app:2")

        async def canary() -> bool:
            return await image_of(client, "db-1") == "app:2"

        await eventually(canary, "the canary")
        await make_ready(client, (await by_name(client))["db-1"])
        half = await status_is(client, readyReplicas=2, updatedReplicas=1, currentReplicas=1)
        assert half.status.currentRevision == before != half.status.updateRevision
        await client.delete(type((await by_name(client))["db-0"]), "db-0", "default")
        pods = await there(client, "db-0", "db-1")
        assert pods["db-0"].spec.containers[0].image == "app:1", "below the partition the old revision comes back"
        await make_ready(client, pods["db-0"])
        await change(client, {"updateStrategy": {"rollingUpdate": {"partition": 0}}})

        async def all_new() -> bool:
            return await image_of(client, "db-0") == "app:2"

        await eventually(all_new, "the rest of the update")
        await make_ready(client, (await by_name(client))["db-0"])
        done = await status_is(client, updatedReplicas=2, currentReplicas=2, readyReplicas=2)
        assert done.status.currentRevision == done.status.updateRevision == half.status.updateRevision


async def test_a_template_that_comes_back_gets_its_old_revision(client: Client) -> None:
    await default_account(client)
    async with controllers(client, StatefulSetController):
        await client.create(stateful_set(0))
        first = (await status_is(client)).status.updateRevision
        await set_image(client, "app:2")
        second = (await status_is(client)).status.updateRevision
        await set_image(client, "app:1")
        third = (await status_is(client)).status.updateRevision
        assert first == third != second
        found = {one.metadata.name: one for one in (await client.list(ControllerRevision, "default")).items}
        assert {name: one.revision for name, one in found.items()} == {first: 3, second: 2}
        assert found[first].data["spec"]["template"]["$patch"] == "replace"


async def test_history_beyond_the_limit_is_forgotten(client: Client) -> None:
    await default_account(client)
    async with controllers(client, StatefulSetController):
        await client.create(stateful_set(0, revisionHistoryLimit=1))
        for number in range(2, 6):
            await set_image(client, f"app:{number}")
            await status_is(client)

        async def two_left() -> bool:
            return sorted(one.revision for one in (await client.list(ControllerRevision, "default")).items) == [4, 5]

        await eventually(two_left, "the current revision and one more")


async def test_a_name_taken_by_another_revision_is_a_collision(client: Client) -> None:
    await default_account(client)
    made = await client.create(stateful_set(0))
    from controllers.controllerrevisions import new_revision
    from controllers.statefulset import HASH_LABEL

    squatter = new_revision(made, made.spec.template, 1, 0, HASH_LABEL).to_dict()
    squatter["metadata"].pop("ownerReferences")
    squatter["metadata"]["labels"] = {}
    squatter["data"] = {"other": "thing"}
    await client.create(ControllerRevision.model_validate(squatter))
    async with controllers(client, StatefulSetController):
        status = (await status_is(client, collisionCount=1)).status
        assert status.updateRevision not in ("", squatter["metadata"]["name"])


async def test_parallel_pods_come_at_once_and_failed_ones_again(client: Client) -> None:
    await default_account(client)
    async with controllers(client, StatefulSetController):
        await client.create(stateful_set(3, policy="Parallel"))
        pods = await there(client, "db-0", "db-1", "db-2")
        failed = pods["db-1"].metadata
        await client.patch(type(pods["db-1"]), "db-1", "default", {"status": {"phase": "Failed"}}, subresource="status")

        async def again() -> bool:
            found = (await by_name(client)).get("db-1")
            return found is not None and found.metadata.uid != failed.uid

        await eventually(again, "a new db-1")


async def test_claims_of_a_scaled_down_pod_go_with_it_and_come_back_fresh(client: Client) -> None:
    await default_account(client)
    policy = {"whenScaled": "Delete", "whenDeleted": "Delete"}
    wanted = stateful_set(2, volumeClaimTemplates=[claim_template()], persistentVolumeClaimRetentionPolicy=policy)
    async with controllers(client, StatefulSetController, GarbageCollector):
        await client.create(wanted)
        await run_up(client, "db-0", "db-1")
        await change(client, {"replicas": 1})
        await there(client, "db-0")

        async def collected() -> bool:
            found = (await client.list(PersistentVolumeClaim, "default")).items
            for claim in found:  # nobody here takes the protection finalizer off
                if claim.metadata.deletionTimestamp and claim.metadata.finalizers:
                    patch = {"metadata": {"finalizers": None}}
                    await client.patch(PersistentVolumeClaim, claim.metadata.name, "default", patch)
            return await claims(client) == ["data-db-0"]

        await eventually(collected, "the claim of db-1 collected")
        await change(client, {"replicas": 2})
        await there(client, "db-0", "db-1")
        assert await claims(client) == ["data-db-0", "data-db-1"]
        assert await names(client) == ["db-0", "db-1"]
