"""Rings, cursors and bookmarks: a slow watcher costs nothing, nobody is skipped, objects are held once and small."""

from __future__ import annotations

import asyncio
import sys
import tracemalloc

import pytest

from apiserver.storage import resourcecache
from apiserver.storage.store import Compacted, Entry, Store, StoreError
from apiserver.storage.watchcache import WatchCache
from tests.storage.conftest import Place
from tests.storage.pods import describe, pod, told


async def test_a_bookmark_of_an_idle_resource_advances_with_other_writes(
    place: Place, store: Store, cache: WatchCache
) -> None:
    await store.create(place.prefix + "default/a", pod("a"))
    watch = await cache.watch(place.prefix)
    revision = await store.create(f"/registry/idle{place.prefix.strip('/').replace('/', '')}/others/a", pod("a"))
    await cache.wait_until(revision)
    assert watch.position == revision
    assert await watch.next(timeout_seconds=0.01) == []


async def test_a_bookmark_never_passes_an_event_not_handed_out(place: Place, store: Store, cache: WatchCache) -> None:
    watch = await cache.watch(place.prefix)
    started = watch.position
    first = await store.create(place.prefix + "default/a", pod("a"))
    second = await store.create(f"/registry/idle{place.prefix.strip('/').replace('/', '')}/others/b", pod("b"))
    await cache.wait_until(second)
    assert watch.position == started < first
    await told(watch, 1)
    assert watch.position == second


async def test_a_slow_watcher_falls_off_the_ring_and_a_fast_one_does_not(
    place: Place, store: Store, cache: WatchCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resourcecache, "RING_EVENTS", 20)
    slow, fast = await cache.watch(place.prefix), await cache.watch(place.prefix)
    written, seen = [], []
    for number in range(60):
        written.append(await store.create(f"{place.prefix}default/{number}", pod(str(number))))
        seen += [event.revision for event in await told(fast, 1)]
    assert seen == written
    with pytest.raises(Compacted):
        await slow.next()
    with pytest.raises(Compacted):
        await cache.watch(place.prefix, revision=written[0])
    assert len(cache.resource(place.prefix)._events) <= 25


async def test_the_ring_is_bounded_by_bytes_too(
    place: Place, store: Store, cache: WatchCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resourcecache, "RING_BYTES", 100_000)
    for number in range(30):
        await store.create(f"{place.prefix}default/{number}", pod(str(number), size=10_000))
    await cache.list(place.prefix)
    resource = cache.resource(place.prefix)
    assert sum(event.size_bytes for event in resource._events) == resource._bytes <= 125_000


async def test_a_closed_cache_ends_its_watches(place: Place, store: Store, cache: WatchCache) -> None:
    watch = await cache.watch(place.prefix)
    waiting = asyncio.create_task(watch.next())
    await asyncio.sleep(0.01)
    await cache.close()
    with pytest.raises(StoreError):
        await waiting


async def test_what_a_watch_tells_is_encoded_once_for_all_watchers(
    place: Place, store: Store, cache: WatchCache
) -> None:
    watches = [await cache.watch(place.prefix) for _ in range(10)]
    await store.create(place.prefix + "default/a", pod("a"))
    events = [(await told(watch, 1))[0] for watch in watches]
    assert len({id(event) for event in events}) == 1
    assert events[0].line is events[9].line


async def test_a_cancelled_watcher_leaves_the_others_alone(place: Place, store: Store, cache: WatchCache) -> None:
    waiting = [asyncio.create_task((await cache.watch(place.prefix)).next()) for _ in range(5)]
    await asyncio.sleep(0.01)
    waiting[0].cancel()
    await store.create(place.prefix + "default/a", pod("a"))
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert all(isinstance(answer, list) and len(answer) == 1 for answer in answers[1:])


def test_an_object_takes_at_most_one_and_a_half_times_its_json() -> None:
    values = [pod(f"web-{number:05}", node=f"node-{number % 50}", size=1800) for number in range(2000)]
    resource = resourcecache.ResourceCache("/registry/core/pods/", 1, lambda: 1)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number, value in enumerate(values):
        resource.put(describe(Entry(f"/registry/core/pods/default/web-{number:05}", value, number + 2, number + 2)))
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert used <= 1.5 * sum(map(len, values)), used / len(values)


def test_one_label_text_is_held_once() -> None:
    first, second = (describe(Entry(f"/registry/core/pods/default/{name}", pod(name), 2, 2)) for name in "ab")
    assert first.labels["app"] is second.labels["app"] is sys.intern("web")
