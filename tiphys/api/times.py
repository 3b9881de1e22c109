"""Time and MicroTime: RFC 3339 on the wire, UTC, second and microsecond precision."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_RFC3339 = re.compile(r"^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:\d\d)$", re.ASCII)


class TimeError(ValueError):
    """The text is not RFC 3339; the message is Go's."""


def parse_time(text: str) -> datetime:
    """An aware datetime in UTC.  Raises TimeError."""
    match = _RFC3339.match(text)
    if match is None:
        raise TimeError(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"')
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    except ValueError as error:
        word = str(error).split(" ", 1)[0]
        raise TimeError(f'parsing time "{text}": {word} out of range') from error
    moment += timedelta(microseconds=int((fraction or "0")[:6].ljust(6, "0")))
    if zone != "Z":
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
        try:
            moment += offset if zone[0] == "-" else -offset
        except OverflowError:
            raise TimeError(f'parsing time "{text}": year out of range') from None
    return moment


def format_time(moment: datetime) -> str:
    """2026-01-02T03:04:05Z, the form of metav1.Time."""
    moment = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return moment.isoformat(timespec="seconds")[:19] + "Z"


def format_micro_time(moment: datetime) -> str:
    """2026-01-02T03:04:05.000006Z, the form of metav1.MicroTime."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def human_duration(seconds: float) -> str:
    """The age kubectl prints: 45s, 2m30s, 5h12m, 3d4h, 42d, 2y10d (apimachinery duration.HumanDuration)."""
    whole = int(seconds)
    if seconds < 0:
        return "<invalid>" if whole < -1 else "0s"
    minutes, hours, days, years = whole // 60, whole // 3600, whole // 86400, whole // (86400 * 365)
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        rest = whole % 60
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        rest = minutes % 60
        return f"{hours}h{rest}m" if rest else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        rest = hours % 24
        return f"{days}d{rest}h" if rest else f"{days}d"
    if days < 365 * 2:
        return f"{days}d"
    if years < 8:
        rest = days % 365
        return f"{years}y{rest}d" if rest else f"{years}y"
    return f"{years}y"
