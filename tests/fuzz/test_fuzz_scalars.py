"""Quantities, durations and times: texts with numbers in them that must never become large numbers."""

from __future__ import annotations

from apiserver.durations import DurationError, parse_duration
from tests.fuzz.fuzzing import fuzz, mutated_text
from tiphys.api import quantity
from tiphys.api.times import TimeError, format_micro_time, format_time, human_duration, parse_time

QUANTITIES = ["1", "100m", "1.5Gi", "-2e3", "1E6", "0.000000001n", "9223372036854775807", ".5", "1.", "+3k", "1Ei"]
BAD_QUANTITIES = [
    "1e999999",
    "9" * 1_000_000,
    "1E400Ki",
    "1e-999999",
    "0." + "0" * 1_000_000 + "1",
    "1e99999999999999999999",
]
DURATIONS = ["1s", "1h2m3s", "1.5ms", "100us", "1µs", "0", ".5h", "3000000h"]
TIMES = [
    "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05+01:30", "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59", "2024-02-29T23:59:60Z", "0000-01-01T00:00:00Z",
]  # fmt: skip
SUFFIXES = (
    "m",
    "Ki",
    "E",
    "e",
    "e+",
    "e-",
    ".",
    "-",
    "+",
    "9" * 40,
    "0" * 70,
    "\u0663",
    "\u00b2",
    "n",
    "T",
    ":",
    "Z",
    "99",
)


def test_quantities() -> None:
    def parse(text: str) -> None:
        canonical = quantity.canonical(text)
        assert quantity.canonical(canonical) == canonical, f"{text!r} -> {canonical!r}"
        quantity.value(text), quantity.milli(text)

    fuzz(parse, mutated_text(QUANTITIES, SUFFIXES), allowed=quantity.QuantityError, known=BAD_QUANTITIES)


def test_durations() -> None:
    known = ["9" * 1_000_000 + "s", "1s" * 500_000, "9" * 60 + "h"]
    fuzz(parse_duration, mutated_text(DURATIONS, SUFFIXES), allowed=DurationError, known=known)


def test_times() -> None:
    def parse(text: str) -> None:
        moment = parse_time(text)
        format_time(moment), format_micro_time(moment)
        human_duration(moment.timestamp())

    fuzz(parse, mutated_text(TIMES, SUFFIXES), allowed=TimeError, known=[*TIMES, "2" * 1_000_000])
