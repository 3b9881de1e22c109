"""The rules of apiserver/storage/store.py, held to every store."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Sequence

import pytest

from apiserver.storage.store import Compacted, Conflict, Event, FutureRevision, Store, prefix_end
from tests.storage.conftest import Place


async def take(store: Store, prefix: str, revision: int, count: int) -> list[Event]:
    """The next `count` events of a watch, or more where they come together."""
    found: list[Event] = []
    async with asyncio.timeout(20), contextlib.aclosing(store.watch(prefix, revision)) as batches:
        async for batch in batches:
            found += batch
            if len(found) >= count:
                break
    return found


def revisions(events: Sequence[Event]) -> list[int]:
    return [event.entry.revision for event in events]


async def test_a_created_key_is_read_back_with_its_revision(place: Place, store: Store) -> None:
    revision = await store.create(place.prefix + "a", b"one")
    entry, at = await store.get(place.prefix + "a")
    assert entry is not None
    assert (entry.key, entry.value, entry.revision, entry.created) == (place.prefix + "a", b"one", revision, revision)
    assert at >= revision
    assert await store.revision() >= revision


async def test_no_write_has_revision_0_or_1(place: Place, store: Store) -> None:
    assert await store.revision() >= 1
    assert await store.create(place.prefix + "a", b"one") >= 2


async def test_a_missing_key_is_none_at_the_current_revision(place: Place, store: Store) -> None:
    revision = await store.create(place.prefix + "a", b"one")
    assert await store.get(place.prefix + "b") == (None, revision)


async def test_create_of_an_existing_key_conflicts_and_carries_it(place: Place, store: Store) -> None:
    revision = await store.create(place.prefix + "a", b"one")
    with pytest.raises(Conflict) as caught:
        await store.create(place.prefix + "a", b"two")
    assert caught.value.current is not None
    assert (caught.value.current.value, caught.value.current.revision) == (b"one", revision)
    assert await store.revision() == revision


async def test_update_wants_the_revision_that_is_there(place: Place, store: Store) -> None:
    key = place.prefix + "a"
    first = await store.create(key, b"one")
    second = await store.update(key, b"two", first)
    assert second > first
    with pytest.raises(Conflict) as caught:
        await store.update(key, b"three", first)
    assert caught.value.current is not None
    assert (caught.value.current.value, caught.value.current.revision) == (b"two", second)
    entry, _ = await store.get(key)
    assert entry is not None
    assert (entry.value, entry.revision, entry.created) == (b"two", second, first)


async def test_delete_wants_the_revision_that_is_there(place: Place, store: Store) -> None:
    key = place.prefix + "a"
    first = await store.create(key, b"one")
    second = await store.update(key, b"two", first)
    with pytest.raises(Conflict) as caught:
        await store.delete(key, first)
    assert caught.value.current is not None
    assert caught.value.current.revision == second
    third = await store.delete(key, second)
    assert third > second
    assert await store.get(key) == (None, third)


async def test_update_and_delete_of_a_missing_key_conflict_with_nothing(place: Place, store: Store) -> None:
    for write in (store.update(place.prefix + "a", b"two", 5), store.delete(place.prefix + "a", 5)):
        with pytest.raises(Conflict) as caught:
            await write
        assert caught.value.current is None


async def test_update_and_delete_without_a_revision_are_a_programming_error(place: Place, store: Store) -> None:
    for write in (store.update(place.prefix + "a", b"two", 0), store.delete(place.prefix + "a", 0)):
        with pytest.raises(ValueError):
            await write


async def test_a_deleted_key_can_be_created_again(place: Place, store: Store) -> None:
    key = place.prefix + "a"
    first = await store.create(key, b"one")
    deleted = await store.delete(key, first)
    again = await store.create(key, b"two")
    entry, _ = await store.get(key)
    assert entry is not None
    assert again > deleted
    assert entry.created == entry.revision == again


async def test_values_are_opaque_bytes(place: Place, store: Store) -> None:
    for name, value in {"empty": b"", "binary": bytes(range(256)), "large": b"x" * 1_200_000}.items():
        await store.create(place.prefix + name, value)
        entry, _ = await store.get(place.prefix + name)
        assert entry is not None
        assert entry.value == value


async def test_range_is_in_key_order_below_the_prefix_only(place: Place, store: Store) -> None:
    below = place.prefix + "ns/"
    for name in ("b", "a", "é", "zz", "a0", "Z"):
        await store.create(below + name, name.encode())
    await store.create(place.prefix + "ns0", b"not below")
    await store.create(place.prefix + "n", b"not below")
    page = await store.range(below)
    assert [entry.key.removeprefix(below) for entry in page.entries] == ["Z", "a", "a0", "b", "zz", "é"]
    assert (page.remaining, page.revision, list(page.damaged)) == (0, await store.revision(), [])


async def test_pages_of_a_range_follow_one_another(place: Place, store: Store) -> None:
    for number in range(7):
        await store.create(f"{place.prefix}{number}", b"")
    first = await store.range(place.prefix, limit=3)
    assert ([entry.key[-1] for entry in first.entries], first.remaining) == (["0", "1", "2"], 4)
    second = await store.range(place.prefix, start=first.entries[-1].key + "\0", limit=3, revision=first.revision)
    assert ([entry.key[-1] for entry in second.entries], second.remaining) == (["3", "4", "5"], 1)
    last = await store.range(place.prefix, start=place.prefix + "6", limit=3, revision=first.revision)
    assert ([entry.key[-1] for entry in last.entries], last.remaining) == (["6"], 0)
    assert not (await store.range(place.prefix, start=place.prefix + "7")).entries


async def test_pages_at_a_revision_do_not_see_later_writes(place: Place, store: Store) -> None:
    written = {name: await store.create(place.prefix + name, b"old") for name in "abcd"}
    first = await store.range(place.prefix, limit=2)
    await store.delete(place.prefix + "c", written["c"])
    await store.update(place.prefix + "d", b"new", written["d"])
    await store.create(place.prefix + "e", b"new")
    second = await store.range(place.prefix, start=place.prefix + "b\0", limit=2, revision=first.revision)
    assert [(entry.key[-1], entry.value) for entry in second.entries] == [("c", b"old"), ("d", b"old")]
    assert (second.revision, second.remaining) == (first.revision, 0)
    now = await store.range(place.prefix)
    assert [(entry.key[-1], entry.value) for entry in now.entries] == [
        ("a", b"old"),
        ("b", b"old"),
        ("d", b"new"),
        ("e", b"new"),
    ]


async def test_a_range_longer_than_a_message_is_complete(place: Place, store: Store) -> None:
    """More than etcd's page of 1,000 keys and gRPC's default of 4 MiB."""
    for start in range(0, 2500, 100):
        await asyncio.gather(
            *(store.create(f"{place.prefix}{number:05}", b"x" * 3000) for number in range(start, start + 100))
        )
    page = await store.range(place.prefix)
    assert len(page.entries) == 2500
    assert page.entries[-1].key.endswith("02499")
    limited = await store.range(place.prefix, limit=1700)
    assert (len(limited.entries), limited.remaining) == (1700, 800)


async def test_get_at_a_revision_shows_that_state(place: Place, store: Store) -> None:
    key = place.prefix + "a"
    first = await store.create(key, b"one")
    second = await store.update(key, b"two", first)
    third = await store.delete(key, second)
    values = []
    for revision in (first - 1, first, second, third):
        entry, _ = await store.get(key, revision)
        values.append(entry.value if entry else None)
    assert values == [None, b"one", b"two", None]


async def test_a_watch_delivers_every_write_after_its_revision_once(place: Place, store: Store) -> None:
    key = place.prefix + "a"
    first = await store.create(key, b"one")
    second = await store.update(key, b"two", first)
    await store.create("/registry/elsewhere/" + key, b"not below")
    third = await store.delete(key, second)
    events = await take(store, place.prefix, first - 1, 3)
    assert revisions(events) == [first, second, third]
    assert [event.deleted for event in events] == [False, False, True]
    assert [event.entry.value for event in events] == [b"one", b"two", b""]
    assert [event.entry.created for event in events] == [first, first, 0]
    assert events[0].previous is None
    assert [event.previous and event.previous.value for event in events[1:]] == [b"one", b"two"]
    assert [event.previous and event.previous.revision for event in events[1:]] == [first, second]
    assert revisions(await take(store, place.prefix, second, 1)) == [third]


async def test_a_watch_goes_over_from_history_to_live_without_gap_or_repeat(place: Place, store: Store) -> None:
    start = await store.revision()
    written = [await store.create(f"{place.prefix}{number:04}", b"x") for number in range(150)]

    async def write_more() -> None:
        for number in range(150, 300):
            written.append(await store.create(f"{place.prefix}{number:04}", b"x"))

    writing = asyncio.create_task(write_more())
    events = await take(store, place.prefix, start, 300)
    await writing
    assert revisions(events) == written


async def test_a_watch_resumes_from_any_revision_it_has_seen(place: Place, store: Store) -> None:
    start = await store.revision()
    written = [await store.create(f"{place.prefix}{number:02}", b"x") for number in range(20)]
    for position in [start, *written[:-1]]:
        expected = [revision for revision in written if revision > position]
        assert revisions(await take(store, place.prefix, position, len(expected))) == expected


async def test_many_watchers_see_the_same_events(place: Place, store: Store) -> None:
    start = await store.revision()
    watching = [asyncio.create_task(take(store, place.prefix, start, 30)) for _ in range(10)]
    written = [await store.create(f"{place.prefix}{number}", b"x") for number in range(30)]
    for events in await asyncio.gather(*watching):
        assert revisions(events) == written


async def test_an_idle_watch_wakes_up_on_the_first_write(place: Place, store: Store) -> None:
    start = await store.revision()
    watching = asyncio.create_task(take(store, place.prefix, start, 1))
    await asyncio.sleep(0.1)
    assert not watching.done()
    revision = await store.create(place.prefix + "a", b"x")
    assert revisions(await watching) == [revision]


async def test_compaction_ends_reads_and_watches_of_older_revisions(place: Place, store: Store) -> None:
    key = place.prefix + "a"
    first = await store.create(key, b"one")
    second = await store.update(key, b"two", first)
    third = await store.update(key, b"three", second)
    await store.compact(second)
    with pytest.raises(Compacted) as caught:
        await store.get(key, first)
    assert (caught.value.revision, caught.value.compacted) == (first, second)
    with pytest.raises(Compacted):
        await store.range(place.prefix, revision=first)
    with pytest.raises(Compacted) as caught:
        await take(store, place.prefix, first, 1)
    assert caught.value.compacted == second
    entry, _ = await store.get(key, second)
    assert entry is not None
    assert entry.value == b"two"
    assert [entry.value for entry in (await store.range(place.prefix, revision=second)).entries] == [b"two"]
    assert revisions(await take(store, place.prefix, second, 1)) == [third]


async def test_compacting_twice_or_ahead_is_refused(place: Place, store: Store) -> None:
    await store.create(place.prefix + "a", b"one")
    revision = await store.create(place.prefix + "b", b"one")
    await store.compact(revision)
    with pytest.raises(Compacted):
        await store.compact(revision - 1)
    with pytest.raises(FutureRevision):
        await store.compact(revision + 100)


async def test_compaction_at_a_deletion_keeps_what_exists(place: Place, store: Store) -> None:
    kept = await store.create(place.prefix + "kept", b"kept")
    gone = await store.create(place.prefix + "gone", b"gone")
    deleted = await store.delete(place.prefix + "gone", gone)
    await store.compact(deleted)
    page = await store.range(place.prefix)
    assert [(entry.key, entry.revision) for entry in page.entries] == [(place.prefix + "kept", kept)]
    later = await store.create(place.prefix + "gone", b"again")
    assert later > deleted
    assert revisions(await take(store, place.prefix, deleted, 1)) == [later]


async def test_a_watch_never_skips_a_deletion_at_the_compacted_revision(place: Place, store: Store) -> None:
    """etcd 3.4 lets a watch start at the compacted revision and then says nothing of a deletion there."""
    key = place.prefix + "a"
    created = await store.create(key, b"one")
    deleted = await store.delete(key, created)
    assert revisions(await take(store, place.prefix, created, 1)) == [deleted]  # while history is there
    await store.compact(deleted)
    with pytest.raises(Compacted):
        await take(store, place.prefix, created, 1)
    later = await store.create(key, b"two")
    assert revisions(await take(store, place.prefix, deleted, 1)) == [later]


async def test_a_future_revision_is_refused(place: Place, store: Store) -> None:
    revision = await store.create(place.prefix + "a", b"one")
    with pytest.raises(FutureRevision) as caught:
        await store.get(place.prefix + "a", revision + 1000)
    assert caught.value.current == revision
    with pytest.raises(FutureRevision):
        await store.range(place.prefix, revision=revision + 1000)
    with pytest.raises(FutureRevision):
        await take(store, place.prefix, revision + 1000, 1)


async def test_everything_is_there_after_a_restart(place: Place, store: Store) -> None:
    first = await store.create(place.prefix + "a", b"one")
    second = await store.update(place.prefix + "a", b"two", first)
    third = await store.create(place.prefix + "b", b"three")
    await store.compact(first)
    fourth = await store.delete(place.prefix + "b", third)
    store = await place.restart(store)
    assert await store.revision() == fourth
    assert revisions(await take(store, place.prefix, first, 3)) == [second, third, fourth]
    with pytest.raises(Compacted):
        await store.get(place.prefix + "a", first - 1)
    assert await store.create(place.prefix + "c", b"four") > fourth


async def test_revisions_grow_over_a_restart_even_when_all_history_is_compacted(place: Place, store: Store) -> None:
    created = await store.create(place.prefix + "a", b"one")
    deleted = await store.delete(place.prefix + "a", created)
    await store.compact(deleted)
    store = await place.restart(store)
    assert await store.revision() == deleted
    assert await store.create(place.prefix + "a", b"two") == deleted + 1


async def test_of_concurrent_writers_with_one_expected_revision_one_wins(place: Place, store: Store) -> None:
    key = place.prefix + "a"
    revision = await store.create(key, b"0")
    results = await asyncio.gather(
        *(store.update(key, str(number).encode(), revision) for number in range(20)), return_exceptions=True
    )
    won = [result for result in results if isinstance(result, int)]
    lost = [result for result in results if isinstance(result, Conflict)]
    assert (len(won), len(lost)) == (1, 19)
    assert {conflict.current.revision for conflict in lost if conflict.current} == set(won)


async def test_every_compare_and_set_chain_is_linear(place: Place, store: Store) -> None:
    """Eight writers count three keys up; every value follows from the one before it and none is counted twice."""
    keys = [place.prefix + name for name in "abc"]
    start = await store.revision()
    for key in keys:
        await store.create(key, b"0")

    async def count_up(key: str, times: int) -> None:
        done = 0
        while done < times:
            entry, _ = await store.get(key)
            assert entry is not None
            with contextlib.suppress(Conflict):
                await store.update(key, str(int(entry.value) + 1).encode(), entry.revision)
                done += 1

    await asyncio.gather(*(count_up(key, 10) for key in keys for _ in range(8)))
    events = await take(store, place.prefix, start, 3 * 81)
    assert revisions(events) == sorted(set(revisions(events)))
    for key in keys:
        chain = [event for event in events if event.entry.key == key]
        assert [int(event.entry.value) for event in chain] == list(range(81))
        for before, after in itertools.pairwise(chain):
            assert after.previous == before.entry


@pytest.mark.parametrize(
    ("prefix", "end"), [("/a/", "/a0"), ("", ""), ("a\U0010ffff", "b"), ("\ud7ff", "\ue000"), ("\U0010ffff", "")]
)
def test_prefix_end_is_the_first_key_after_the_prefix(prefix: str, end: str) -> None:
    assert prefix_end(prefix) == end
