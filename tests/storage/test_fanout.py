"""Listeners: told at once, only what may concern them, and let go when they are full."""

from __future__ import annotations

import asyncio
import time

import pytest

from apiserver.storage.cacheitem import CacheEvent, Filter
from apiserver.storage.fanout import EVERYBODY, Fanout, Group, Listener, Told, group_of
from apiserver.storage.resourcecache import ResourceCache
from apiserver.storage.store import Compacted, Entry, Store, StoreError
from apiserver.storage.watchcache import WatchCache
from tests.storage.conftest import Place
from tests.storage.pods import describe, pod

PREFIX = "/registry/core/pods/"


class Kept:
    """A sink that has room for `room` calls between drains."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.told: list[Told] = []
        self.drains = 0
        self._room, self._left = room, room

    @property
    def story(self) -> list[tuple[str, str, int]]:
        return [(event.type, event.item.name, event.revision) for told in self.told for event in told.events]

    def send(self, told: Told) -> bool:
        self.told.append(told)
        self._left -= 1
        return self._left > 0

    async def drain(self) -> None:
        self.drains += 1
        self._left = self._room


class Asked:
    """A filter's last question, counted."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, _item: object) -> bool:
        self.times += 1
        return True


@pytest.mark.parametrize(
    ("view", "group"),
    [
        (Filter(), EVERYBODY),
        (Filter("default"), ("metadata.namespace", "default")),
        (Filter("default", "a"), ("metadata.name", "a")),
        (Filter("default", matches=lambda _: True, field=("spec.nodeName", "n1")), ("spec.nodeName", "n1")),
    ],
)
def test_a_listener_stands_with_the_most_selective_thing_it_looks_at(view: Filter, group: Group) -> None:
    assert group_of(view) == group


def test_only_those_whom_an_event_may_concern_are_asked() -> None:
    def item(name: str, node: str, revision: int) -> CacheEvent:
        old = describe(Entry(f"{PREFIX}default/{name}", pod(name, node="n0"), revision - 1, 2))
        new = describe(Entry(f"{PREFIX}default/{name}", pod(name, node=node), revision, 2))
        return CacheEvent(revision, new, old, describe)

    fanout, sinks, asked = Fanout(), [], []
    for number in range(50):
        asked.append(Asked())
        sinks.append(Kept())
        view = Filter(matches=asked[-1], field=("spec.nodeName", f"n{number}"))
        fanout.add(Listener(view, sinks[-1], lambda _: None))
    fanout.tell([item("a", "n7", 5)])
    assert [number for number, one in enumerate(asked) if one.times] == [0, 7]  # where it was, and where it is
    assert sinks[7].story == [("MODIFIED", "a", 5)]


def test_listeners_with_one_view_share_the_bytes() -> None:
    fanout, sinks = Fanout(), [Kept() for _ in range(3)]
    for sink in sinks:
        fanout.add(Listener(Filter("default"), sink, lambda _: None))
    new = [describe(Entry(f"{PREFIX}default/{name}", pod(name), 5, 5)) for name in "ab"]
    fanout.tell([CacheEvent(5, one, None, describe) for one in new])
    assert sinks[0].told[0] is sinks[2].told[0]
    assert sinks[0].told[0].lines is sinks[2].told[0].lines
    assert sinks[0].told[0].lines.count(b'"type":"ADDED"') == 2


async def test_a_watcher_is_told_history_and_then_what_comes_without_gap_or_repeat(
    place: Place, store: Store, cache: WatchCache
) -> None:
    start = await store.revision()
    written = [await store.create(f"{place.prefix}default/{number}", pod(str(number))) for number in range(20)]
    await cache.wait_until(written[-1])
    sinks = [Kept(), Kept(room=1), Kept(room=3)]
    watches = [await cache.watch(place.prefix, revision=start) for _ in sinks]
    tasks = [asyncio.create_task(watch.deliver(sink, 60)) for watch, sink in zip(watches, sinks, strict=True)]
    written += [await store.create(f"{place.prefix}default/{number}", pod(str(number))) for number in range(20, 60)]
    async with asyncio.timeout(10):
        while any(len(sink.story) < len(written) for sink in sinks):
            await asyncio.sleep(0.01)
    for sink in sinks:
        assert [revision for _, _, revision in sink.story] == written
    assert sinks[1].drains > 1
    assert [watch.position for watch in watches] == [cache.revision] * 3 or written[-1] <= cache.revision
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not cache.resource(place.prefix)._fanout._groups, "a watcher that has gone is forgotten"


async def test_a_watcher_goes_on_where_its_delivery_ended(place: Place, store: Store, cache: WatchCache) -> None:
    watch, sink = await cache.watch(place.prefix, Filter("default")), Kept()
    written = []
    for number in range(30):
        delivering = asyncio.create_task(watch.deliver(sink, 0.01))
        written.append(await store.create(f"{place.prefix}default/{number}", pod(str(number))))
        await store.create(f"{place.prefix}other/{number}", pod(str(number), "other"))
        await delivering
        assert watch.position <= cache.revision
    await cache.wait_until(await store.revision())
    await watch.deliver(sink, 0.05)
    assert [revision for _, _, revision in sink.story] == written


async def test_delivery_ends_at_its_time_and_a_bookmark_may_say_the_newest_revision(
    place: Place, store: Store, cache: WatchCache
) -> None:
    watch, sink = await cache.watch(place.prefix, Filter("quiet")), Kept()
    delivering = asyncio.create_task(watch.deliver(sink, 0.2))
    revision = await store.create(f"{place.prefix}default/a", pod("a"))
    await cache.wait_until(revision)
    await delivering
    assert (sink.told, watch.position >= revision) == ([], True)


async def test_lost_history_and_a_closed_cache_end_delivery(place: Place, store: Store, cache: WatchCache) -> None:
    first = asyncio.create_task((await cache.watch(place.prefix)).deliver(Kept(), 60))
    await asyncio.sleep(0)
    await cache.reload()
    with pytest.raises(Compacted):
        await first
    second = asyncio.create_task((await cache.watch(place.prefix)).deliver(Kept(), 60))
    await asyncio.sleep(0)
    await cache.close()
    with pytest.raises(StoreError):
        await second


def test_an_event_that_concerns_one_of_many_costs_no_turn_of_the_others() -> None:
    """2,000 watchers of a node each, 200 events: asking everybody would be 400,000 questions."""
    resource, asked = ResourceCache(PREFIX, 1, lambda: 1), Asked()
    for number in range(2000):
        view = Filter(matches=asked, field=("spec.nodeName", f"n{number}"))
        resource._fanout.add(Listener(view, Kept(), lambda _: None))
    started = time.process_time()
    for number in range(200):
        new = describe(Entry(f"{PREFIX}default/{number}", pod(str(number), node=f"n{number}"), number + 2, 2))
        resource.record(CacheEvent(number + 2, new, resource.put(new), describe))
        resource.wake()
    assert asked.times <= 400
    print(f"{time.process_time() - started:.3f} s")
