"""The informer against a real API server: start, follow, restart, fall back."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

from tests.client.server import config_of, eventually, running_server
from tests.client.test_rest import config_map
from tiphys.api.core.configmap import ConfigMap
from tiphys.api.selectors import parse_label_selector
from tiphys.client.cache import Key
from tiphys.client.informer import Informer
from tiphys.client.rest import Client


def names(informer: Informer[ConfigMap], namespace: str | None = "default") -> list[str]:
    return sorted(item.metadata.name for item in informer.list(namespace))


async def test_the_cache_holds_what_is_there_and_follows_what_happens(client: Client) -> None:
    await client.create(config_map("before"))
    informer = Informer(client, ConfigMap, namespace="default", random=Random(1))
    changes: list[tuple[str, str]] = []
    informer.add_handler(
        lambda old, new: changes.append((old.data.get("n", "") if old else "-", new.data.get("n", "") if new else "-"))
    )
    informer.start()
    await informer.wait_synced()
    assert names(informer) == ["before"] and changes == [("-", "")]
    created = await client.create(config_map("a", n="1"))
    await informer.wait_for(int(created.metadata.resourceVersion))
    assert informer.get("default", "a") == created
    changed = await client.patch(ConfigMap, "a", "default", {"data": {"n": "2"}})
    await informer.wait_for(int(changed.metadata.resourceVersion))
    await client.delete(ConfigMap, "a", "default")
    await eventually(_gone(informer, "a"), "the deletion in the cache")
    assert changes[1:] == [("-", "1"), ("1", "2"), ("2", "-")]
    await informer.stop()


def _gone(informer: Informer[ConfigMap], name: str):  # type: ignore[no-untyped-def]
    async def check() -> bool:
        return informer.get("default", name) is None

    return check


async def test_selectors_and_indexes_narrow_what_is_read(client: Client) -> None:
    for name, color in (("a", "red"), ("b", "blue"), ("c", "red")):
        labelled = config_map(name, color=color).to_dict()
        labelled["metadata"]["labels"] = {"color": color}
        await client.create(ConfigMap.model_validate(labelled))
    whole, red = (
        Informer(client, ConfigMap, namespace="default"),
        Informer(client, ConfigMap, label_selector="color=red"),
    )
    whole.add_index("color", lambda item: [item.data["color"]] if "color" in item.data else [])
    for informer in (whole, red):
        informer.start()
        await informer.wait_synced()
    assert names(red, None) == ["a", "c"]
    assert sorted(item.metadata.name for item in whole.by_index("color", "red")) == ["a", "c"]
    assert [item.metadata.name for item in whole.list("default", parse_label_selector("color=blue"))] == ["b"]
    changed = await client.patch(ConfigMap, "a", "default", {"data": {"color": "blue"}})
    await whole.wait_for(int(changed.metadata.resourceVersion))
    assert sorted(item.metadata.name for item in whole.by_index("color", "blue")) == ["a", "b"]
    for informer in (whole, red):
        await informer.stop()


async def test_a_handler_added_late_is_told_what_is_there(client: Client) -> None:
    await client.create(config_map("a"))
    informer = Informer(client, ConfigMap, namespace="default")
    informer.start()
    await informer.wait_synced()
    told: list[str] = []
    informer.add_handler(lambda old, new: told.append(new.metadata.name if new else "-"))
    assert told == ["a"]
    await informer.stop()


async def test_a_server_without_watchlist_is_listed_in_pages_and_watched(client: Client) -> None:
    for number in range(3):
        await client.create(config_map(f"c{number}"))
    informer = Informer(client, ConfigMap, namespace="default")
    informer._watch_list = False
    informer.start()
    await informer.wait_synced()
    assert names(informer) == ["c0", "c1", "c2"]
    created = await client.create(config_map("later"))
    await informer.wait_for(int(created.metadata.resourceVersion))
    assert "later" in names(informer)
    await informer.stop()


async def test_a_restart_of_the_server_loses_and_repeats_nothing(pki_dir: Path, tmp_path: Path) -> None:
    changes: list[tuple[str, str]] = []
    async with AsyncExitStack() as stack:
        async with running_server(pki_dir, tmp_path) as port:
            client = await stack.enter_async_context(Client(config_of(pki_dir, port)))
            informer = Informer(client, ConfigMap, namespace="default", random=Random(1))
            stack.push_async_callback(informer.stop)
            informer.add_handler(
                lambda old, new: changes.append((old.metadata.name if old else "-", new.metadata.name if new else "-"))
            )
            informer.start()
            await informer.wait_synced()
            await client.create(config_map("a"))
            created = await client.create(config_map("b"))
            await informer.wait_for(int(created.metadata.resourceVersion))
        async with running_server(pki_dir, tmp_path, port):
            await client.delete(ConfigMap, "a", "default")
            created = await client.create(config_map("c"))
            await asyncio.wait_for(informer.wait_for(int(created.metadata.resourceVersion)), 20)
    assert changes == [("-", "a"), ("-", "b"), ("a", "-"), ("-", "c")]


async def test_an_expired_revision_lists_again_and_hands_over_the_difference(client: Client) -> None:
    informer = Informer(client, ConfigMap, namespace="default", random=Random(1))
    await client.create(config_map("gone"))
    await client.create(config_map("stays"))
    changes: list[tuple[str, str]] = []
    informer.start()
    await informer.wait_synced()
    await informer.stop()
    informer.add_handler(
        lambda old, new: changes.append((old.metadata.name if old else "-", new.metadata.name if new else "-"))
    )
    changes.clear()
    await client.delete(ConfigMap, "gone", "default")
    await client.create(config_map("new"))
    informer._listed = False  # what a 410 leaves behind
    informer.start()
    await eventually(_has(informer, "new"), "the new object in the cache")
    assert sorted(changes) == [("-", "new"), ("gone", "-")]
    await informer.stop()


def _has(informer: Informer[ConfigMap], name: str):  # type: ignore[no-untyped-def]
    async def check() -> bool:
        return informer.get("default", name) is not None

    return check


async def test_a_deletion_can_be_waited_for(client: Client) -> None:
    created = await client.create(config_map("a"))
    informer = Informer(client, ConfigMap, namespace="default")
    informer.start()
    await informer.wait_synced()
    told: list[str] = []
    informer.when_gone(Key("default", "a"), created.metadata.uid, lambda: told.append("gone"))
    assert told == []
    await client.delete(ConfigMap, "a", "default")

    async def seen() -> bool:
        return told == ["gone"]

    await eventually(seen, "the deletion being told")
    informer.when_gone(Key("default", "a"), created.metadata.uid, lambda: told.append("at once"))
    assert told == ["gone", "at once"]
    await informer.stop()
