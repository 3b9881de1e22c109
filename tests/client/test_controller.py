"""The controller runtime: mapping events to keys, retrying, and reading one's own writes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from tests.client.server import eventually
from tests.client.test_rest import config_map
from tiphys.api.core.configmap import ConfigMap
from tiphys.api.core.secret import Secret
from tiphys.client.cache import Key
from tiphys.client.clusterrole import cluster_role
from tiphys.client.controller import Controller, Environment, Writes
from tiphys.client.events import EventRecorder
from tiphys.client.informer import Informer
from tiphys.client.informers import Informers
from tiphys.client.ownership import CONTROLLER_INDEX, owner_reference
from tiphys.client.rest import Client


class SecretPerConfigMap(Controller):
    """Makes `data.count` Secrets for each ConfigMap, counting what the cache shows."""

    name: ClassVar = "secrets-controller"
    kind = ConfigMap
    owns = (Secret,)
    writes = (Writes(Secret, ("create", "delete")), Writes(ConfigMap, ("update",), "status"))

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.turns: list[tuple[str, int]] = []
        self.failures = 0
        self.deletions = 0

    async def reconcile(self, key: Key) -> float | None:
        owner = self.cache(ConfigMap).get(*key)
        if owner is None or "count" not in owner.data:
            return None
        owned = self.cache(Secret).by_index(CONTROLLER_INDEX, owner.metadata.uid)
        self.turns.append((key.name, len(owned)))
        if self.failures:
            self.failures -= 1
            raise RuntimeError("try again")
        wanted = int(owner.data["count"])
        for _ in range(wanted - len(owned)):
            await self.client.create(
                Secret.model_validate(
                    {
                        "metadata": {
                            "generateName": f"{key.name}-",
                            "namespace": key.namespace,
                            "ownerReferences": [owner_reference(owner)],
                        }
                    }
                )
            )
            self.queue.add(key)  # be asked again at once, before the cache can know
        for secret in list(owned)[wanted:]:
            await self.client.delete(Secret, secret.metadata.name, key.namespace, uid=secret.metadata.uid)
            self.deletions += 1
            self.queue.add(key)
        return None


@asynccontextmanager
async def running(
    client: Client, prepare: Callable[[SecretPerConfigMap, Informers], None] = lambda controller, informers: None
) -> AsyncIterator[SecretPerConfigMap]:
    async with Informers(client) as informers:
        environment = Environment(client, informers, EventRecorder(client, "test"))
        controller = SecretPerConfigMap(environment)
        prepare(controller, informers)
        informers.start()
        task = asyncio.create_task(controller.run())
        try:
            yield controller
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def count(client: Client) -> int:
    return len((await client.list(Secret, "default")).items)


def counted(client: Client, wanted: int) -> Any:
    async def check() -> bool:
        return await count(client) == wanted

    return check


async def test_a_turn_never_sees_less_than_the_one_before_wrote(client: Client) -> None:
    """The Secret informer is held back; without waiting for its own writes the controller would create for ever."""

    def hold_back(controller: SecretPerConfigMap, informers: Informers) -> None:
        secrets: Informer[Secret] = informers.of(Secret)
        apply = secrets._apply

        def late(event: Any) -> None:
            asyncio.get_running_loop().call_later(0.1, apply, event)

        secrets._apply = late  # type: ignore[method-assign]

    async with running(client, hold_back) as controller:
        await client.create(config_map("a", count="5"))
        await eventually(counted(client, 5), "five secrets")

        async def settled() -> bool:
            return ("a", 5) in controller.turns and controller.queue.idle

        await eventually(settled, "a turn that sees all five")
        assert await count(client) == 5
        await client.patch(ConfigMap, "a", "default", {"data": {"count": "2"}})
        await eventually(counted(client, 2), "two secrets")
        await asyncio.sleep(0.3)
        assert await count(client) == 2
        assert controller.deletions == 3, "none was deleted twice because the cache still showed it"


async def test_a_change_of_an_owned_object_leads_to_its_owner(client: Client) -> None:
    async with running(client) as controller:
        await client.create(config_map("a", count="1"))
        await client.create(config_map("b", count="1"))
        await eventually(counted(client, 2), "a secret each")
        victim = next(
            secret
            for secret in (await client.list(Secret, "default")).items
            if secret.metadata.ownerReferences[0].name == "a"
        )
        await eventually(lambda: _idle(controller), "an idle queue")
        controller.turns.clear()
        await client.delete(Secret, victim.metadata.name, "default")

        async def made_again() -> bool:
            return ("a", 0) in controller.turns and await count(client) == 2

        await eventually(made_again, "the secret made again")
        assert {name for name, _ in controller.turns} == {"a"}


async def _idle(controller: SecretPerConfigMap) -> bool:
    return controller.queue.idle and bool(controller.turns)


async def test_a_failed_turn_is_tried_again(client: Client) -> None:
    async with running(client) as controller:
        controller.failures = 3
        await client.create(config_map("a", count="1"))
        await eventually(counted(client, 1), "the secret")
        assert len(controller.turns) >= 4
        assert controller.queue.failures(Key("default", "a")) == 0


def test_the_cluster_role_follows_from_what_the_controller_says() -> None:
    role = cluster_role("system:controller:secrets", [SecretPerConfigMap])
    assert role["metadata"]["name"] == "system:controller:secrets"
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["configmaps/status"], "verbs": ["update"]},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch", "create", "delete"]},
    ]
