"""When a cron job runs: five fields or a @name, read as robfig/cron reads them and refused in its words.

The controller needs the moments, validation only the error; both use `parse_schedule`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_DAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_SECONDS = {
    "ns": 1e-9, "us": 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0,
}  # fmt: skip
_MAX_DIGITS = 18
_DURATION = re.compile(r"([0-9]{1,18}(?:\.[0-9]*)?|\.[0-9]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)")


class ScheduleError(ValueError):
    """The schedule cannot be read; the message is robfig/cron's."""


@dataclass(frozen=True, slots=True)
class Bounds:
    low: int
    high: int
    names: Mapping[str, int]


_FIELDS = (Bounds(0, 59, {}), Bounds(0, 23, {}), Bounds(1, 31, {}), Bounds(1, 12, _MONTHS), Bounds(0, 6, _DAYS))


@dataclass(frozen=True, slots=True)
class Schedule:
    """The minutes, hours, days and months that fit; or, where `every_seconds` is not 0, a distance in time.

    A day fits when the day of the month and the day of the week fit, or, where neither was a star, one of them.
    """

    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()  # 0 is Sunday
    any_day: bool = False
    any_weekday: bool = False
    every_seconds: int = 0
    zone: str = ""  # from a leading TZ= or CRON_TZ=


def parse_schedule(text: str) -> Schedule:
    """Raises ScheduleError."""
    if not text:
        raise ScheduleError("empty spec string")
    zone = ""
    if text.startswith(("TZ=", "CRON_TZ=")):
        head, _, text = text.partition(" ")
        zone, text = head.partition("=")[2], text.strip()
    if text.startswith("@every "):
        return Schedule(every_seconds=_every(text), zone=zone)
    if text.startswith("@"):
        if text not in _NAMED:
            raise ScheduleError(f"unrecognized descriptor: {text}")
        text = _NAMED[text]
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise ScheduleError(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    (minutes, _), (hours, _), (days, any_day), (months, _), (weekdays, any_weekday) = (
        _field(field, bounds) for field, bounds in zip(fields, _FIELDS, strict=True)
    )
    return Schedule(minutes, hours, days, months, weekdays, any_day, any_weekday, zone=zone)


def _field(text: str, bounds: Bounds) -> tuple[frozenset[int], bool]:
    """The numbers of a comma-separated list, and whether a star was among its parts."""
    numbers: set[int] = set()
    star = False
    for part in text.split(","):
        if part:
            found, starred = _range(part, bounds)
            numbers |= found
            star = star or starred
    return frozenset(numbers), star


def _range(text: str, bounds: Bounds) -> tuple[set[int], bool]:
    """number | number-number [/number], with * or ? for everything."""
    head, *steps = text.split("/")
    low, *rest = head.split("-")
    star = low in ("*", "?")
    if star:
        start, end = bounds.low, bounds.high
    else:
        start = _number(low, bounds.names)
        if len(rest) > 1:
            raise ScheduleError(f"too many hyphens: {text}")
        end = _number(rest[0], bounds.names) if rest else start
    step = 1
    if len(steps) > 1:
        raise ScheduleError(f"too many slashes: {text}")
    if steps:
        step = _number(steps[0], {})
        if not rest:
            end = bounds.high  # N/step means N-max/step
        star = star and step <= 1
    if start < bounds.low:
        raise ScheduleError(f"beginning of range ({start}) below minimum ({bounds.low}): {text}")
    if end > bounds.high:
        raise ScheduleError(f"end of range ({end}) above maximum ({bounds.high}): {text}")
    if start > end:
        raise ScheduleError(f"beginning of range ({start}) beyond end of range ({end}): {text}")
    if step == 0:
        raise ScheduleError(f"step of range should be a positive number: {text}")
    return set(range(start, end + 1, step)), star


def _number(text: str, names: Mapping[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII):
        raise ScheduleError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    if len(text) > _MAX_DIGITS:
        raise ScheduleError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": value out of range')
    if int(text) < 0:
        raise ScheduleError(f"negative number ({int(text)}) not allowed: {text}")
    return int(text)


def _every(text: str) -> int:
    """Whole seconds, at least one."""
    duration = text.removeprefix("@every ")
    parts = _DURATION.findall(duration.removeprefix("+").removeprefix("-"))
    if not duration or "".join(number + unit for number, unit in parts) != duration.lstrip("+-"):
        raise ScheduleError(f'failed to parse duration {text}: time: invalid duration "{duration}"')
    total = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return max(1, int(-total if duration.startswith("-") else total))
