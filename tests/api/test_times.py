"""Times read and print as RFC 3339, ages as kubectl prints them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tiphys.api.times import TimeError, format_micro_time, format_time, human_duration, parse_time


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000Z"),
        ("2026-01-02T03:04:05.123456Z", "2026-01-02T03:04:05.123456Z"),
        ("2026-01-02T03:04:05.123456789+02:00", "2026-01-02T01:04:05.123456Z"),
    ],
)
def test_a_time_is_read_in_utc(text: str, want: str) -> None:
    assert format_micro_time(parse_time(text)) == want


@pytest.mark.parametrize("text", ["", "now", "2026-13-02T03:04:05Z", "2026-01-02", "2026-02-30T00:00:00Z", "1" * 1000])
def test_a_bad_time_is_refused(text: str) -> None:
    with pytest.raises(TimeError):
        parse_time(text)


def test_a_time_has_second_precision_on_the_wire() -> None:
    assert format_time(datetime(2026, 1, 2, 3, 4, 5, 999_999, UTC)) == "2026-01-02T03:04:05Z"


@pytest.mark.parametrize(
    ("seconds", "want"),
    [
        (-5, "<invalid>"),
        (0.4, "0s"),
        (119, "119s"),
        (120, "2m"),
        (150, "2m30s"),
        (600, "10m"),
        (3 * 3600 - 1, "179m"),
        (5 * 3600 + 720, "5h12m"),
        (8 * 3600, "8h"),
        (2 * 86400, "2d"),
        (3 * 86400 + 4 * 3600, "3d4h"),
        (42 * 86400, "42d"),
        (800 * 86400, "2y70d"),
    ],
)
def test_an_age_has_at_most_two_units(seconds: float, want: str) -> None:
    assert human_duration(seconds) == want
