"""The work queue: its three collections, back-off and delays."""

import asyncio
from random import Random

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tiphys.client.workqueue import ShutDown, WorkQueue, backoff_seconds


async def test_a_key_added_twice_is_taken_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.add("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0 and queue.idle


async def test_keys_come_in_the_order_they_were_added() -> None:
    queue: WorkQueue[int] = WorkQueue()
    for number in (3, 1, 2):
        queue.add(number)
    assert [await queue.get() for _ in range(3)] == [3, 1, 2]


async def test_a_key_added_while_it_is_worked_on_waits_until_done_and_comes_again() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    assert len(queue) == 0, "nobody else may take the key now"
    queue.done("a")
    assert len(queue) == 1
    assert await queue.get() == "a"


async def test_a_waiting_worker_gets_the_key_that_is_added() -> None:
    queue: WorkQueue[str] = WorkQueue()
    worker = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    assert await asyncio.wait_for(worker, 5) == "a"


async def test_a_worker_cancelled_while_being_woken_loses_no_key() -> None:
    queue: WorkQueue[str] = WorkQueue()
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    assert await asyncio.wait_for(second, 5) == "a"
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_of_two_delayed_adds_the_earlier_one_counts() -> None:
    queue: WorkQueue[str] = WorkQueue()
    loop = asyncio.get_running_loop()
    start = loop.time()
    queue.add_after("a", 60)
    queue.add_after("a", 0.01)
    queue.add_after("a", 120)
    await asyncio.wait_for(queue.get(), 5)
    assert loop.time() - start < 5


async def test_shut_down_lets_workers_finish_what_is_queued_and_drops_delays() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.add_after("b", 0.001)
    waiting = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.shut_down()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert results[0] == "a"
    assert [type(result) for result in results[1:]] == [ShutDown, ShutDown]


@pytest.mark.parametrize(("failures", "seconds"), [(0, 0.005), (1, 0.01), (10, 5.12), (18, 1000), (10_000, 1000)])
def test_the_backoff_doubles_up_to_its_maximum(failures: int, seconds: float) -> None:
    assert backoff_seconds(failures) == pytest.approx(seconds)


async def test_forget_starts_the_backoff_anew() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_rate_limited("a")
    queue.add_rate_limited("a")
    assert queue.failures("a") == 2
    queue.forget("a")
    assert queue.failures("a") == 0


@pytest.mark.parametrize("seed", range(20))
async def test_no_change_is_lost_and_no_key_is_held_twice_in_any_order(seed: int) -> None:
    """Random adds against several workers: every add is followed by a turn that began after it."""
    random = Random(seed)
    queue: WorkQueue[int] = WorkQueue()
    added = dict.fromkeys(range(8), 0)  # key to how often it changed
    seen = dict.fromkeys(range(8), 0)  # key to the change its last turn saw
    held: set[int] = set()

    async def work() -> None:
        while True:
            try:
                key = await queue.get()
            except ShutDown:
                return
            assert key not in held
            held.add(key)
            saw = added[key]
            for _ in range(random.randrange(3)):
                await asyncio.sleep(0)
            seen[key] = saw
            held.discard(key)
            queue.done(key)
            assert queue._queue.count(key) <= 1
            assert set(queue._queue) == queue._dirty - queue._processing

    workers = [asyncio.create_task(work()) for _ in range(3)]
    for _ in range(300):
        key = random.randrange(8)
        added[key] += 1
        queue.add(key)
        if random.random() < 0.3:
            await asyncio.sleep(0)
    while not queue.idle:
        await asyncio.sleep(0)
    assert seen == added
    queue.shut_down()
    await asyncio.gather(*workers)


async def test_the_metrics_carry_upstreams_names() -> None:
    registry = CollectorRegistry()
    queue: WorkQueue[str] = WorkQueue("deployment", registry)
    WorkQueue("replicaset", registry)
    queue.add("a")
    queue.add("b")
    await queue.get()
    queue.add_rate_limited("a")
    text = generate_latest(registry).decode()
    for line in (
        'workqueue_depth{name="deployment"} 1.0',
        'workqueue_adds_total{name="deployment"} 2.0',
        'workqueue_retries_total{name="deployment"} 1.0',
        'workqueue_queue_duration_seconds_count{name="deployment"} 1.0',
        'workqueue_adds_total{name="replicaset"} 0.0',
    ):
        assert line in text
    assert 'workqueue_unfinished_work_seconds{name="deployment"}' in text
    assert 'workqueue_longest_running_processor_seconds{name="deployment"}' in text
