"""Durations are Go's."""

from __future__ import annotations

import argparse

import pytest

from tiphys.cli.duration import seconds

CASES = [
    ("5s", 5),
    ("1h30m", 5400),
    ("1.5h", 5400),
    ("300ms", 0.3),
    ("90", 90),
    ("-2s", -2),
    ("0", 0),
    ("1m0.5s", 60.5),
]


@pytest.mark.parametrize(("text", "want"), CASES)
def test_a_duration_is_read(text: str, want: float) -> None:
    assert seconds(text) == pytest.approx(want)


@pytest.mark.parametrize("text", ["", "s", "5x", "1 s", "1s2", "--1s", "1e5s", "٣s", "9" * 100 + "s"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="duration"):
        seconds(text)
