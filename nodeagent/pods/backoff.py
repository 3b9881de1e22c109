"""CrashLoopBackOff and image pull back-off: 10 s, doubling to 300 s, forgotten after twice the maximum without trouble.

Pure: entries go in, entries come out; the caller keeps them.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from nodeagent.pods.observed import BackoffEntry

INITIAL_SECONDS = 10.0
MAXIMUM_SECONDS = 300.0


def remaining_seconds(entry: BackoffEntry | None, event_at: datetime, now: datetime) -> float:
    """Seconds that the restart after the failure at `event_at` must still wait; 0 when it may go ahead."""
    if entry is None or _expired(entry, event_at):
        return 0.0
    passed = (now - event_at).total_seconds()
    return max(0.0, entry.seconds - passed) if passed >= 0 else entry.seconds


def next_entry(entry: BackoffEntry | None, event_at: datetime, now: datetime) -> BackoffEntry:
    """The entry after one more start following the failure at `event_at`."""
    if entry is None or _expired(entry, event_at):
        return BackoffEntry(INITIAL_SECONDS, now)
    return BackoffEntry(min(entry.seconds * 2, MAXIMUM_SECONDS), now)


def _expired(entry: BackoffEntry, event_at: datetime) -> bool:
    return event_at - entry.updated_at > timedelta(seconds=2 * MAXIMUM_SECONDS)


def go_duration(seconds: float) -> str:
    """A duration as Go prints it in messages: 10 -> "10s", 160 -> "2m40s", 0.313 -> "313ms", 1.2 -> "1.2s"."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms" if seconds > 0 else "0s"
    minutes, rest = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text
