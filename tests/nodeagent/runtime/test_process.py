"""Short-lived programs: a caller that is cancelled stops, whatever the child does at that moment."""

from __future__ import annotations

import asyncio

from nodeagent.runtime.process import run


async def test_a_cancellation_is_not_lost_when_the_child_ends_at_the_same_moment() -> None:
    started = 0

    async def probe() -> None:
        nonlocal started
        while True:
            started += 1
            await run(["/bin/true"], timeout_seconds=5)
            await asyncio.sleep(30)

    tasks = []
    for number in range(60):
        task = asyncio.create_task(probe())
        await asyncio.sleep(0.0005 + number % 20 * 0.0002)  # before, while and after the child ends
        task.cancel()
        tasks.append(task)
    done, going_on = await asyncio.wait(tasks, timeout=5)
    for task in going_on:
        task.cancel()
    assert started >= 30 and going_on == set()
    assert all(task.cancelled() for task in done)
