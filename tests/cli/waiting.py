"""Waiting for a condition of another process, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, TypeVar

from tiphys.clock import SystemClock

WAIT_SECONDS = 20.0
T = TypeVar("T")


def until(condition: Callable[[], T | Literal[False]], what: str, timeout_seconds: float = WAIT_SECONDS) -> T:
    """The first true value of `condition`; fails when none has come in time."""
    clock = SystemClock()
    deadline = clock.monotonic() + timeout_seconds
    while not (found := condition()):
        assert clock.monotonic() < deadline, f"waited {timeout_seconds} s in vain for {what}"
        time.sleep(0.02)
    return found
