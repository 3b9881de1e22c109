"""Garbage collection against a real API server: background, foreground, orphan, absent owners."""

import asyncio
from typing import Any

import orjson

from controllers.garbagecollector import GarbageCollector
from tests.client.server import eventually
from tests.controllers.running import controllers
from tiphys.api.core.configmap import ConfigMap
from tiphys.api.core.event import Event
from tiphys.api.core.secret import Secret
from tiphys.client.ownership import owner_reference
from tiphys.client.rest import Client


async def owner(client: Client, name: str = "owner", namespace: str = "default", **metadata: Any) -> ConfigMap:
    return await client.create(
        ConfigMap.model_validate({"metadata": {"name": name, "namespace": namespace, **metadata}})
    )


async def child(client: Client, name: str, *references: dict[str, Any], **metadata: Any) -> Secret:
    wanted = {"name": name, "namespace": "default", "ownerReferences": list(references), **metadata}
    return await client.create(Secret.model_validate({"metadata": wanted}))


async def secrets(client: Client) -> list[str]:
    return [item.metadata.name for item in (await client.list(Secret, "default")).items]


async def config_maps(client: Client) -> list[str]:
    return [item.metadata.name for item in (await client.list(ConfigMap, "default")).items]


async def test_in_the_background_dependents_follow_their_owner(client: Client) -> None:
    parent = await owner(client)
    await child(client, "a", owner_reference(parent))
    await child(client, "free")
    async with controllers(client, GarbageCollector):
        await client.delete(ConfigMap, "owner", "default", propagation="Background")
        await eventually(lambda: _equal(secrets(client), ["free"]), "the dependent gone")


async def _equal(found: Any, wanted: Any) -> bool:
    return bool(await found == wanted)


async def test_in_the_foreground_the_owner_waits_for_the_dependents_that_block_it(client: Client) -> None:
    parent = await owner(client)
    await child(client, "held", owner_reference(parent), finalizers=["example.com/hold"])
    await child(client, "free", owner_reference(parent))
    async with controllers(client, GarbageCollector):
        await client.delete(ConfigMap, "owner", "default", propagation="Foreground")
        await eventually(lambda: _equal(secrets(client), ["held"]), "the dependent that nothing holds gone")
        await asyncio.sleep(0.2)
        assert await config_maps(client) == ["owner"], "it waits for the one that is held"
        await client.patch(Secret, "held", "default", {"metadata": {"finalizers": None}})
        await eventually(lambda: _equal(config_maps(client), []), "the owner gone")
        assert await secrets(client) == []


async def test_a_dependent_that_does_not_block_is_not_waited_for(client: Client) -> None:
    parent = await owner(client)
    reference = {**owner_reference(parent), "blockOwnerDeletion": False}
    await child(client, "held", reference, finalizers=["example.com/hold"])
    async with controllers(client, GarbageCollector):
        await client.delete(ConfigMap, "owner", "default", propagation="Foreground")
        await eventually(lambda: _equal(config_maps(client), []), "the owner gone")
        assert await secrets(client) == ["held"]


async def test_orphans_stay_and_lose_their_reference(client: Client) -> None:
    parent = await owner(client)
    await child(client, "a", owner_reference(parent))
    async with controllers(client, GarbageCollector):
        await client.delete(ConfigMap, "owner", "default", propagation="Orphan")
        await eventually(lambda: _equal(config_maps(client), []), "the owner gone")
        await asyncio.sleep(0.2)
        assert (await client.get(Secret, "a", "default")).metadata.ownerReferences == []


async def test_an_object_whose_owner_never_was_is_deleted_one_with_another_living_owner_is_kept(client: Client) -> None:
    parent = await owner(client)
    ghost = {**owner_reference(parent), "uid": "00000000-0000-0000-0000-000000000000", "controller": False}
    async with controllers(client, GarbageCollector):
        await child(client, "orphan", ghost)
        await child(client, "kept", ghost, owner_reference(parent))
        await eventually(lambda: _equal(secrets(client), ["kept"]), "the child of a ghost gone")

        async def cleaned() -> bool:
            return len((await client.get(Secret, "kept", "default")).metadata.ownerReferences) == 1

        await eventually(cleaned, "the ghost's reference taken away")


async def test_an_owner_in_another_namespace_counts_as_absent_and_is_told(client: Client) -> None:
    elsewhere = await owner(client, namespace="kube-system")
    async with controllers(client, GarbageCollector):
        await child(client, "a", owner_reference(elsewhere))
        await eventually(lambda: _equal(secrets(client), []), "the dependent gone")

        async def told() -> bool:
            events = (await client.list(Event, "default")).items
            return any(event.reason == "OwnerRefInvalidNamespace" for event in events)

        await eventually(told, "the event")


async def test_an_owner_of_an_unknown_kind_lets_the_object_live(client: Client) -> None:
    reference = {"apiVersion": "example.com/v1", "kind": "Unheard", "name": "x", "uid": "1234"}
    async with controllers(client, GarbageCollector):
        await child(client, "a", reference)
        await asyncio.sleep(0.3)
        assert await secrets(client) == ["a"]


async def test_a_chain_goes_to_its_end(client: Client) -> None:
    first = await owner(client)
    second = await owner(client, "second", ownerReferences=[owner_reference(first)])
    await child(client, "third", owner_reference(second))
    async with controllers(client, GarbageCollector):
        await client.delete(ConfigMap, "owner", "default", propagation="Foreground")

        async def all_gone() -> bool:
            return not await secrets(client) and not await config_maps(client)

        await eventually(all_gone, "everything gone")


DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "names": {"plural": "widgets", "kind": "Widget"},
        "scope": "Namespaced",
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"


async def post(client: Client, path: str, body: dict[str, Any]) -> int:
    status, _, _ = await client.request(
        "POST", path, body=orjson.dumps(body), headers={"Content-Type": "application/json"}
    )
    return status


async def test_custom_resources_that_come_later_are_collected_too(client: Client) -> None:
    parent = await owner(client)
    async with controllers(client, GarbageCollector):
        assert await post(client, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION) == 201
        widget = {
            "apiVersion": "example.com/v1",
            "kind": "Widget",
            "metadata": {"name": "w", "ownerReferences": [owner_reference(parent)]},
        }

        async def created() -> bool:
            return await post(client, WIDGETS, widget) == 201

        await eventually(created, "the custom resource served")
        await client.delete(ConfigMap, "owner", "default", propagation="Background")

        async def gone() -> bool:
            return (await client.request("GET", f"{WIDGETS}/w"))[0] == 404

        await eventually(gone, "the custom resource gone with its owner")
