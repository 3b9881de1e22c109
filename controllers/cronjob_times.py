"""When a schedule comes round: the instants whose reading on the clock of a time zone fits the schedule.  Pure.

That definition settles summer time as robfig/cron does: a reading that is skipped does not happen, one that comes twice
happens twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from tiphys.api.batch.cron_schedule import Schedule

SEARCH_DAYS = 5 * 366  # a schedule that does not come round in five years never does (30 February)
MANY_MISSED = 100


class UnknownZone(ValueError):
    """There is no such time zone."""


def zone_of(name: str) -> tzinfo:
    """ "" is UTC.  Raises UnknownZone."""
    if name in ("", "UTC"):
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise UnknownZone(f"unknown time zone {name}") from error


def next_time(schedule: Schedule, after: datetime, zone: tzinfo) -> datetime | None:
    """The first instant after `after`, in UTC; None: there is none in sight."""
    if schedule.every_seconds:
        return after.replace(microsecond=0) + timedelta(seconds=schedule.every_seconds)
    local = after.astimezone(zone)
    today = local.date()
    for offset in range(SEARCH_DAYS):
        day = today + timedelta(days=offset)
        if not _fits(schedule, day):
            continue
        for hour in sorted(schedule.hours):
            if offset == 0 and hour < local.hour:
                continue
            found = [at for at in _instants(schedule, day, hour, zone) if at > after]
            if found:
                return min(found)
    return None


def _fits(schedule: Schedule, day: date) -> bool:
    if day.month not in schedule.months:
        return False
    in_month, in_week = day.day in schedule.days, day.isoweekday() % 7 in schedule.weekdays
    return (in_month and in_week) if schedule.any_day or schedule.any_weekday else (in_month or in_week)


def _instants(schedule: Schedule, day: date, hour: int, zone: tzinfo) -> Iterator[datetime]:
    for minute in schedule.minutes:
        reading = datetime(day.year, day.month, day.day, hour, minute)
        for fold in (0, 1):
            at = reading.replace(tzinfo=zone, fold=fold).astimezone(UTC)
            if at.astimezone(zone).replace(tzinfo=None, fold=0) == reading:
                yield at


@dataclass(frozen=True)
class Missed:
    """`latest` is the last time the schedule came round; `many`: it did so more than MANY_MISSED times."""

    latest: datetime | None = None
    many: bool = False


def missed(schedule: Schedule, after: datetime, now: datetime, zone: tzinfo) -> Missed:
    """What of the schedule lies in (after, now].  Takes few steps however long that is."""
    first = next_time(schedule, after, zone)
    if first is None or first > now:
        return Missed()
    if schedule.every_seconds:
        rounds = int((now - first).total_seconds()) // schedule.every_seconds
        return Missed(first + timedelta(seconds=rounds * schedule.every_seconds), rounds >= MANY_MISSED)
    latest, high = first, now
    while (high - latest) > timedelta(seconds=59):
        middle = latest + (high - latest) / 2
        found = next_time(schedule, middle, zone)
        if found is not None and found <= high:
            latest = found
        else:
            high = middle
            following = next_time(schedule, latest, zone)
            if following is None or following > high:
                break
            latest = following
    return Missed(latest, _more_than(schedule, first, latest, zone))


def _more_than(schedule: Schedule, first: datetime, latest: datetime, zone: tzinfo) -> bool:
    at: datetime | None = first
    for _ in range(MANY_MISSED):
        if at is None or at >= latest:
            return False
        at = next_time(schedule, at, zone)
    return True
