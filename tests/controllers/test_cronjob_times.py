"""When schedules come round, in time zones and over summer time."""

from datetime import UTC, datetime, timedelta

import pytest

from controllers.cronjob_times import UnknownZone, missed, next_time, zone_of
from tiphys.api.batch.cron_schedule import parse_schedule
from tiphys.api.times import format_time, parse_time


@pytest.mark.parametrize(
    ("schedule", "zone", "after", "then"),
    [
        ("*/5 * * * *", "", "2026-01-02T03:04:05Z", "2026-01-02T03:05:00Z"),
        ("*/5 * * * *", "", "2026-01-02T03:05:00Z", "2026-01-02T03:10:00Z"),
        ("0 0 1 1 *", "", "2026-01-02T03:04:05Z", "2027-01-01T00:00:00Z"),
        ("0 0 29 2 *", "", "2026-01-02T03:04:05Z", "2028-02-29T00:00:00Z"),
        ("0 12 * * mon", "", "2026-01-02T03:04:05Z", "2026-01-05T12:00:00Z"),
        ("0 12 13 * fri", "", "2026-01-03T00:00:00Z", "2026-01-09T12:00:00Z"),
        ("@every 90s", "", "2026-01-02T03:04:05Z", "2026-01-02T03:05:35Z"),
        ("30 9 * * *", "America/New_York", "2026-01-02T14:30:00Z", "2026-01-03T14:30:00Z"),
        ("30 9 * * *", "Asia/Kolkata", "2026-01-02T00:00:00Z", "2026-01-02T04:00:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z"),  # 02:30 does not exist
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"),  # and comes twice
        ("0 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"),
    ],
)
def test_the_next_time(schedule: str, zone: str, after: str, then: str) -> None:
    found = next_time(parse_schedule(schedule), parse_time(after), zone_of(zone))
    assert found is not None and format_time(found) == then


def test_some_schedules_never_come_round() -> None:
    assert next_time(parse_schedule("0 0 30 2 *"), datetime(2026, 1, 1, tzinfo=UTC), UTC) is None


@pytest.mark.parametrize("name", ["Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe"])
def test_a_zone_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(UnknownZone):
        zone_of(name)


@pytest.mark.parametrize(
    ("schedule", "after", "now", "latest", "many"),
    [
        ("*/5 * * * *", "2026-01-02T03:00:00Z", "2026-01-02T03:04:59Z", None, False),
        ("*/5 * * * *", "2026-01-02T03:00:00Z", "2026-01-02T03:05:00Z", "2026-01-02T03:05:00Z", False),
        ("*/5 * * * *", "2026-01-02T03:00:00Z", "2026-01-02T04:04:00Z", "2026-01-02T04:00:00Z", False),
        ("*/5 * * * *", "2016-01-02T03:00:00Z", "2026-01-02T04:04:00Z", "2026-01-02T04:00:00Z", True),
        ("30 6-16/4 * * 1-5", "2026-01-01T00:00:00Z", "2026-01-04T20:00:00Z", "2026-01-02T14:30:00Z", False),
        ("@every 1h", "2026-01-02T03:10:00Z", "2026-01-02T06:20:00Z", "2026-01-02T06:10:00Z", False),
        ("@every 1m", "2026-01-02T03:10:00Z", "2026-01-03T06:20:30Z", "2026-01-03T06:20:00Z", True),
    ],
)
def test_the_latest_time_missed(schedule: str, after: str, now: str, latest: str | None, many: bool) -> None:
    found = missed(parse_schedule(schedule), parse_time(after), parse_time(now), UTC)
    assert ((format_time(found.latest) if found.latest else None), found.many) == (latest, many)


@pytest.mark.parametrize("schedule", ["*/7 3-5 * * *", "15 10 * * 1-5", "0 0 1 * *", "59 23 31 12 *"])
def test_the_latest_time_is_the_one_that_counting_forward_finds(schedule: str) -> None:
    parsed, start = parse_schedule(schedule), datetime(2026, 1, 1, tzinfo=UTC)
    for hours in (3, 5, 30, 77, 1000, 4000):
        now, at, expected = start + timedelta(hours=hours), next_time(parsed, start, UTC), None
        while at is not None and at <= now:
            expected, at = at, next_time(parsed, at, UTC)
        assert missed(parsed, start, now, UTC).latest == expected
