"""Seats and queues: who runs, who waits, who is turned away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from apiserver.flowcontrol.levels import Level, Levels, deal
from tiphys.api.status import StatusError

pytestmark = pytest.mark.asyncio
Object = dict[str, Any]


def level(name: str, shares: int, *, lendable: int = 0, queues: int = 0, length: int = 2, **more: Any) -> Object:
    response: Object = {"type": "Reject"}
    if queues:
        queuing = {"queues": queues, "handSize": min(2, queues), "queueLengthLimit": length}
        response = {"type": "Queue", "queuing": queuing}
    limited = {"nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response, **more}
    return {"metadata": {"name": name}, "spec": {"type": "Limited", "limited": limited}}


EXEMPT = {"metadata": {"name": "exempt"}, "spec": {"type": "Exempt"}}


def levels_of(total: int, *objects: Object, wait_seconds: float = 5) -> Levels:
    levels = Levels(total, wait_seconds)
    levels.update([EXEMPT, *objects])
    return levels


def named(levels: Levels, name: str) -> Level:
    found = levels.get(name)
    assert found is not None
    return found


async def is_refused(levels: Levels, one: Level, flow: str = "f") -> bool:
    try:
        await levels.enter(one, flow)
    except StatusError as error:
        assert (error.code, error.reason, error.retry_after_seconds) == (429, "TooManyRequests", 1)
        return True
    return False


async def test_seats_are_shared_out_by_shares_and_a_full_level_without_queues_refuses() -> None:
    levels = levels_of(10, level("a", 1), level("b", 4))
    a, b = named(levels, "a"), named(levels, "b")
    assert (a.settings.seats, b.settings.seats) == (2, 8)
    assert not await is_refused(levels, a) and not await is_refused(levels, a)
    assert await is_refused(levels, a)
    assert not await is_refused(levels, b)
    levels.leave(a)
    assert not await is_refused(levels, a)


async def test_an_exempt_level_has_no_bound() -> None:
    levels = levels_of(1, level("a", 1))
    for _ in range(100):
        await levels.enter(named(levels, "exempt"), "f")
    assert named(levels, "exempt").executing == 100 and not await is_refused(levels, named(levels, "a"))


async def test_who_waits_is_called_in_turn_and_a_full_queue_refuses() -> None:
    levels = levels_of(1, level("a", 1, queues=1, length=2))
    a = named(levels, "a")
    await levels.enter(a, "f")
    order: list[str] = []

    async def wait(name: str) -> None:
        await levels.enter(a, "f")
        order.append(name)

    tasks = [asyncio.create_task(wait(name)) for name in ("first", "second")]
    await asyncio.sleep(0)
    assert a.waiting == 2 and await is_refused(levels, a)
    for expected in (["first"], ["first", "second"]):
        levels.leave(a)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert order == expected
    await asyncio.gather(*tasks)
    levels.leave(a)
    assert (a.executing, a.waiting, a.queues) == (0, 0, {})


async def test_a_flood_of_one_flow_leaves_others_their_turn() -> None:
    levels = levels_of(1, level("a", 1, queues=64, length=50))
    a = named(levels, "a")
    await levels.enter(a, "flood")
    order: list[str] = []

    async def one(flow: str) -> None:
        await levels.enter(a, flow)
        order.append(flow)
        levels.leave(a)

    tasks = [asyncio.create_task(one("flood")) for _ in range(80)]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(one("other")))
    await asyncio.sleep(0)
    levels.leave(a)
    await asyncio.gather(*tasks)
    assert order.index("other") < 4 and len(order) == 81


async def test_a_wait_ends_after_its_time_and_leaves_no_trace() -> None:
    levels = levels_of(1, level("a", 1, queues=4), wait_seconds=0.01)
    a = named(levels, "a")
    await levels.enter(a, "f")
    assert await is_refused(levels, a)
    assert (a.waiting, a.queues, list(a.turns)) == (0, {}, [])


async def test_a_caller_that_goes_away_gives_its_place_and_its_seat_back() -> None:
    levels = levels_of(1, level("a", 1, queues=4))
    a = named(levels, "a")
    await levels.enter(a, "f")
    gone = asyncio.create_task(levels.enter(a, "f"))
    late = asyncio.create_task(levels.enter(a, "g"))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    assert a.waiting == 1
    levels.leave(a)
    late.cancel()  # between the call and its waking up
    with pytest.raises(asyncio.CancelledError):
        await late
    assert (a.executing, a.waiting) == (0, 0)


async def test_a_full_level_borrows_what_others_lend_and_do_not_use() -> None:
    levels = levels_of(10, level("a", 1, borrowingLimitPercent=None), level("b", 1, lendable=40))
    a, b = named(levels, "a"), named(levels, "b")
    for _ in range(7):
        assert not await is_refused(levels, a)
    assert await is_refused(levels, a) and a.borrowed == 2
    levels.update([EXEMPT, level("a", 1, borrowingLimitPercent=20), level("b", 1, lendable=40)])
    for _ in range(7):
        levels.leave(a)
    for _ in range(6):
        assert not await is_refused(levels, a)
    assert await is_refused(levels, a) and a.borrowed == 1
    assert b.to_lend == 2


async def test_new_settings_hold_at_once_and_a_level_that_is_gone_drains() -> None:
    levels = levels_of(2, level("a", 1, queues=2), level("b", 1, queues=2))
    a = named(levels, "a")
    await levels.enter(a, "f")
    waiting = asyncio.create_task(levels.enter(a, "f"))
    await asyncio.sleep(0)
    assert a.waiting == 1
    levels.update([EXEMPT, level("a", 1, queues=2)])
    await asyncio.wait_for(waiting, 5)
    levels.update([EXEMPT])
    assert levels.get("a") is a and await is_refused(levels, a)
    levels.leave(a)
    levels.leave(a)
    levels.update([EXEMPT])
    assert levels.get("a") is None


async def test_a_hand_is_dealt_without_repeats_and_differs_between_flows() -> None:
    hands = {deal(f"user-{number}", 64, 6) for number in range(200)}
    assert all(len(set(hand)) == 6 and all(0 <= card < 64 for card in hand) for hand in hands)
    assert len(hands) > 190 and deal("x", 64, 6) == deal("x", 64, 6)
    assert {card for hand in hands for card in hand} == set(range(64))
