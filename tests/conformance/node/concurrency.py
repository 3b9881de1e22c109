"""Runs the bodies of many tests at once; pytest then takes their results one by one, in its own order.

What must stay true: a test body gets one argument, its Case, and its parameters; it shares nothing with another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

WORKERS = 14


class Runner:
    """`items` whose body takes a case; slow ones start first, each in a thread of its own."""

    def __init__(self, items: Sequence[pytest.Function], play: Callable[[Callable[..., None], dict[str, Any]], None]):
        slow = [item for item in items if item.get_closest_marker("slow")]
        quick = [item for item in items if not item.get_closest_marker("slow")]
        self._slow = ThreadPoolExecutor(max(1, len(slow)), "slow")
        self._quick = ThreadPoolExecutor(WORKERS, "quick")
        self._futures: dict[str, Future[None]] = {}
        for pool, chosen in ((self._slow, slow), (self._quick, quick)):
            for item in chosen:
                self._futures[item.nodeid] = pool.submit(play, item.function, _parameters(item))

    def take(self, nodeid: str) -> None:
        """Wait for the test's body and raise what it raised."""
        self._futures[nodeid].result()

    def stop(self) -> None:
        for pool in (self._slow, self._quick):
            pool.shutdown(wait=True, cancel_futures=True)


def _parameters(item: pytest.Function) -> dict[str, Any]:
    return dict(item.callspec.params) if hasattr(item, "callspec") else {}
