"""The watch cache in front of both stores: never a gap, never stale where it must be fresh, and small."""

from __future__ import annotations

import asyncio
import contextlib

import orjson
import pytest

from apiserver.storage.cacheitem import Filter
from apiserver.storage.compactor import Compactor
from apiserver.storage.consistency import ConsistencyCheck
from apiserver.storage.local_etcd import LocalEtcd
from apiserver.storage.sqlite import SqliteStore
from apiserver.storage.store import Compacted, Damaged, FutureRevision, Store
from apiserver.storage.watchcache import WatchCache
from tests.storage.conftest import EtcdPlace, Place
from tests.storage.pods import describe, pod, story, told


def on_node(node: str) -> Filter:
    return Filter(matches=lambda item: item.fields.get("spec.nodeName") == node)


async def test_a_get_after_a_write_sees_the_write(place: Place, store: Store, cache: WatchCache) -> None:
    key = place.prefix + "default/a"
    revision = await store.create(key, pod("a"))
    item = await cache.get(key)
    assert item is not None
    assert (item.namespace, item.name, item.revision, item.labels) == ("default", "a", revision, {"app": "web"})
    assert orjson.loads(item.data)["metadata"]["resourceVersion"] == str(revision)
    await store.delete(key, revision)
    assert await cache.get(key) is None


async def test_two_servers_on_one_etcd_read_each_others_writes(etcd_member: LocalEtcd) -> None:
    """A newest read goes by the store's revision, not by what this cache happens to have seen."""
    await etcd_member.wait_ready()
    place = EtcdPlace(etcd_member)
    cache, other = WatchCache(await place.open(), describe), await place.open()
    await cache.start()
    for number in range(20):
        revision = await other.create(f"{place.prefix}default/{number}", pod(str(number)))
        item = await cache.get(f"{place.prefix}default/{number}")
        assert item is not None
        assert item.revision == revision
    await cache.close()
    await place.close()


async def test_lists_are_in_key_order_and_join_the_stored_bytes(place: Place, store: Store, cache: WatchCache) -> None:
    for namespace, name in (("b", "x"), ("a", "z"), ("a", "y"), ("ab", "w")):
        await store.create(f"{place.prefix}{namespace}/{name}", pod(name, namespace))
    everything = await cache.list(place.prefix)
    assert [(item.namespace, item.name) for item in everything.items] == [
        ("a", "y"),
        ("a", "z"),
        ("ab", "w"),
        ("b", "x"),
    ]
    decoded = orjson.loads(b"[" + everything.joined() + b"]")
    assert [found["metadata"]["name"] for found in decoded] == ["y", "z", "w", "x"]
    one = await cache.list(place.prefix, Filter(namespace="a"))
    assert [item.name for item in one.items] == ["y", "z"]
    assert everything.revision == await store.revision()
    assert not (await cache.list(place.prefix, Filter(namespace="none"))).items


async def test_selectors_see_labels_and_fields(place: Place, store: Store, cache: WatchCache) -> None:
    await store.create(place.prefix + "default/a", pod("a", node="n1"))
    await store.create(place.prefix + "default/b", pod("b", app="db", node="n2"))
    assert [item.name for item in (await cache.list(place.prefix, on_node("n2"))).items] == ["b"]
    by_label = Filter(matches=lambda item: item.labels.get("app") == "web")
    assert [item.name for item in (await cache.list(place.prefix, by_label)).items] == ["a"]
    assert [item.name for item in (await cache.list(place.prefix, Filter(name="b"))).items] == ["b"]


@pytest.mark.parametrize("view", [Filter(), Filter(matches=lambda item: item.labels.get("app") == "web")])
async def test_pages_show_one_revision_while_others_write(
    place: Place, store: Store, cache: WatchCache, view: Filter
) -> None:
    for number in range(10):
        await store.create(f"{place.prefix}default/{number}", pod(str(number)))
    names: list[str] = []
    page = await cache.list(place.prefix, view, limit=3)
    revision = page.revision
    assert page.remaining == (0 if view.selects else 7)
    while True:
        names += [item.name for item in page.items]
        assert page.revision == revision
        if not page.next_key:
            break
        await store.create(f"{place.prefix}default/5-{len(names)}", pod("late"))
        page = await cache.list(place.prefix, view, revision=revision, exact=True, start=page.next_key, limit=3)
    assert names == [str(number) for number in range(10)]


async def test_an_exact_list_behind_the_compaction_is_gone(place: Place, store: Store, cache: WatchCache) -> None:
    old = await store.create(place.prefix + "default/a", pod("a"))
    new = await store.create(place.prefix + "default/b", pod("b"))
    await store.compact(new)
    with pytest.raises(Compacted):
        await cache.list(place.prefix, revision=old, exact=True)


async def test_a_revision_ahead_of_the_store_is_too_large(
    place: Place, store: Store, cache: WatchCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = await store.revision() + 1000
    with pytest.raises(FutureRevision):
        await cache.wait_until(ahead, timeout_seconds=0.05)
    waiting = asyncio.create_task(cache.wait_until(await store.revision() + 1, timeout_seconds=10))
    await store.create(place.prefix + "default/a", pod("a"))
    await waiting


async def test_a_watch_tells_adds_changes_and_deletions_in_order(place: Place, store: Store, cache: WatchCache) -> None:
    key = place.prefix + "default/a"
    watch = await cache.watch(place.prefix)
    first = await store.create(key, pod("a"))
    second = await store.update(key, pod("a", app="db"), first)
    third = await store.delete(key, second)
    events = await told(watch, 3)
    assert story(events) == [("ADDED", "a", first), ("MODIFIED", "a", second), ("DELETED", "a", third)]
    last = orjson.loads(events[2].line)
    assert last["type"] == "DELETED"
    assert last["object"]["metadata"] | {} == {
        "name": "a",
        "namespace": "default",
        "labels": {"app": "db"},
        "resourceVersion": str(third),
    }
    assert events[0].line.endswith(b"}\n")


async def test_a_selector_turns_changes_into_arrivals_and_departures(
    place: Place, store: Store, cache: WatchCache
) -> None:
    key = place.prefix + "default/a"
    watch = await cache.watch(place.prefix, on_node("n1"))
    first = await store.create(key, pod("a"))
    second = await store.update(key, pod("a", node="n1"), first)
    third = await store.update(key, pod("a", node="n1", app="db"), second)
    fourth = await store.update(key, pod("a", node="n2"), third)
    await store.delete(key, fourth)
    await store.create(place.prefix + "default/b", pod("b", node="n1"))
    events = await told(watch, 4)
    assert story(events)[:3] == [("ADDED", "a", second), ("MODIFIED", "a", third), ("DELETED", "a", fourth)]
    assert events[3].item.name == "b"
    departed = orjson.loads(events[2].item.data)
    assert departed["spec"]["nodeName"] == "n1"  # its last state in view ...
    assert departed["metadata"]["resourceVersion"] == str(fourth)  # ... at the revision that took it out


async def test_a_watch_from_a_revision_resumes_without_gap(place: Place, store: Store, cache: WatchCache) -> None:
    written = [await store.create(f"{place.prefix}default/{number}", pod(str(number))) for number in range(10)]
    for position in range(9):
        watch = await cache.watch(place.prefix, revision=written[position])
        assert [event.revision for event in await told(watch, 9 - position)] == written[position + 1 :]


async def test_initial_events_and_what_follows_make_one_history(place: Place, store: Store, cache: WatchCache) -> None:
    for number in range(5):
        await store.create(f"{place.prefix}default/{number}", pod(str(number)))
    watch = await cache.watch(place.prefix, initial=True)
    assert [item.name for item in watch.initial] == ["0", "1", "2", "3", "4"]
    assert watch.initial_revision == await store.revision()
    revision = await store.create(place.prefix + "default/5", pod("5"))
    assert story(await told(watch, 1)) == [("ADDED", "5", revision)]


async def test_lost_history_expires_watches_and_reads_everything_again(
    place: Place, store: Store, cache: WatchCache
) -> None:
    key = place.prefix + "default/a"
    revision = await store.create(key, pod("a"))
    watch = await cache.watch(place.prefix)
    follower = cache._follower
    assert follower
    follower.cancel()  # the connection to the store is away ...
    with contextlib.suppress(asyncio.CancelledError):
        await follower
    deleted = await store.delete(key, revision)
    newest = await store.create(place.prefix + "default/b", pod("b"))
    await store.compact(newest)  # ... for so long that its history is forgotten
    assert cache.revision < deleted
    cache._follower = asyncio.create_task(cache._follow())
    await cache.wait_until(newest)
    assert [item.name for item in (await cache.list(place.prefix)).items] == ["b"]
    with pytest.raises(Compacted):
        await watch.next()
    with pytest.raises(Compacted):
        await cache.watch(place.prefix, revision=revision)
    again = await cache.watch(place.prefix, initial=True)
    assert [item.name for item in again.initial] == ["b"]


async def test_a_stalled_store_watch_is_replaced_and_reads_go_to_the_store(
    place: Place, store: Store, cache: WatchCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apiserver.storage.watchcache.WatchCache.wait_until.__defaults__", (0.05,))
    follower = cache._follower
    assert follower
    follower.cancel()
    cache._follower = asyncio.create_task(asyncio.sleep(3600))  # a watch that says nothing
    await store.create(place.prefix + "default/a", pod("a"))
    assert await cache.get(place.prefix + "default/a") is not None  # from the store
    assert [item.name for item in (await cache.list(place.prefix)).items] == ["a"]  # the second miss: watch again
    async with asyncio.timeout(5):
        while cache.resource(place.prefix).get(place.prefix + "default/a") is None:
            await asyncio.sleep(0.01)


async def test_an_object_that_cannot_be_read_troubles_nobody_else(
    place: Place, store: Store, cache: WatchCache
) -> None:
    key = place.prefix + "default/broken"
    watch = await cache.watch(place.prefix)
    broken = await store.create(key, b"{not json")
    await store.create(place.prefix + "default/list", b"[]")
    good = await store.create(place.prefix + "default/good", pod("good"))
    listing = await cache.list(place.prefix)
    assert [item.name for item in listing.items] == ["good"]
    assert list(listing.damaged) == [key, place.prefix + "default/list"]
    with pytest.raises(Damaged) as caught:
        await cache.get(key)
    assert caught.value.revision == broken
    assert story(await told(watch, 1)) == [("ADDED", "good", good)]
    await store.delete(key, broken)
    assert list((await cache.list(place.prefix)).damaged) == [place.prefix + "default/list"]
    fresh = WatchCache(store, describe)
    await fresh.start()
    assert list((await fresh.list(place.prefix)).damaged) == [place.prefix + "default/list"]
    await fresh.close()


async def test_the_compactor_keeps_one_interval_of_history(place: Place, store: Store, cache: WatchCache) -> None:
    compactor = Compactor(cache)
    old = await store.create(place.prefix + "default/a", pod("a"))
    recent = await store.create(place.prefix + "default/b", pod("b"))
    await cache.wait_until(recent)
    await compactor.step()
    newer = await store.create(place.prefix + "default/c", pod("c"))
    await cache.wait_until(newer)
    assert (await store.get(place.prefix + "default/a", old))[0] is not None
    await compactor.step()
    assert (await store.get(place.prefix + "default/a", recent))[0] is not None
    with pytest.raises(Compacted):
        await store.get(place.prefix + "default/a", old)
    await compactor.step()
    await compactor.step()  # nothing new: no trouble


async def test_an_event_that_was_lost_is_found_by_the_consistency_check(
    place: Place, store: Store, cache: WatchCache
) -> None:
    check = ConsistencyCheck(cache)
    await store.create(place.prefix + "default/a", pod("a"))
    revision = await store.create(place.prefix + "default/b", pod("b"))
    await cache.wait_until(revision)
    for _ in cache.prefixes():
        assert await check.step()
    watch = await cache.watch(place.prefix)
    cache.resource(place.prefix).remove(place.prefix + "default/b")  # as if its creation had never been told
    assert not await check.check(place.prefix)
    assert await cache.get(place.prefix + "default/b") is not None
    with pytest.raises(Compacted):
        await watch.next()
    assert await check.check(place.prefix)


async def test_random_writes_end_in_the_same_state_for_store_lists_and_watchers(
    place: Place, store: Store, cache: WatchCache
) -> None:
    """What a watcher builds from events equals a list at its position equals the store."""
    watch = await cache.watch(place.prefix, initial=True)
    mine = {item.key: item.data for item in watch.initial}

    async def write(writer: int) -> None:
        revision = 0
        key = f"{place.prefix}default/{writer}"
        for number in range(30):
            if not revision:
                revision = await store.create(key, pod(str(writer), app=str(number)))
            elif number % 7 == 6:
                await store.delete(key, revision)
                revision = 0
            else:
                revision = await store.update(key, pod(str(writer), app=str(number)), revision)

    await asyncio.gather(*(write(writer) for writer in range(8)))
    for event in await told(watch, 8 * 30):
        if event.type == "DELETED":
            del mine[event.item.key]
        else:
            mine[event.item.key] = event.item.data
    listing = await cache.list(place.prefix)
    assert mine == {item.key: item.data for item in listing.items}
    page = await store.range(place.prefix)
    assert [describe(entry).data for entry in page.entries] == [item.data for item in listing.items]
    assert isinstance(store, SqliteStore) or watch.position == await store.revision()
