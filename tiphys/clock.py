"""Time as a thing that is passed in.  Nothing else in the house calls time.time() or datetime.now().

Durations come from `monotonic`; wall time is for display, timestamps in objects and expiry of tokens and certificates.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Wall time, UTC, timezone-aware."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()
