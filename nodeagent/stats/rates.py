"""Rates of CPU counters between two looks that are far enough apart to mean something.  No I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass

APART_SECONDS = 5.0  # rates over less would be mostly noise
FORGET_SECONDS = 600.0


@dataclass(slots=True)
class _Seen:
    at: float
    count: int
    rate: int | None = None
    asked: float = 0.0


class CpuRates:
    """Per key the last counter and the last rate."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def rate(self, key: str, nanoseconds: int | None, now: float) -> int | None:
        """Billionths of a core, over at least APART_SECONDS; None until that is known.  `now` in monotonic seconds.

        A counter that went back is another thing under an old name: it begins anew.
        """
        if nanoseconds is None:
            return None
        seen = self._seen.get(key)
        if seen is None or nanoseconds < seen.count:
            self._seen[key] = _Seen(now, nanoseconds, None, now)
            return None
        seen.asked = now
        elapsed = now - seen.at
        if elapsed >= APART_SECONDS:
            seen.rate = int((nanoseconds - seen.count) / elapsed)
            seen.at, seen.count = now, nanoseconds
        return seen.rate

    def forget_all_but(self, now: float) -> None:
        """What nobody asked for in a while goes."""
        self._seen = {key: seen for key, seen in self._seen.items() if now - seen.asked < FORGET_SECONDS}
