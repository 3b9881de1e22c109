"""Completion indexes: spelled as upstream spells them, and cheap however many there are."""

import pytest

from controllers.job_indexes import Indexes, first_missing, parse_indexes


@pytest.mark.parametrize("text", ["", "0", "0,1", "1,3-5,7", "0-1999999999", "0,2,4,6"])
def test_what_is_spelled_is_read_back(text: str) -> None:
    assert str(parse_indexes(text, 2**31 - 1)) == text


@pytest.mark.parametrize(
    ("text", "completions", "total"),
    [("0-9", 5, 5), ("7", 5, 0), ("3-9,x,1", 5, 3), ("4-2", 5, 0), ("0-1999999999", 2**31 - 1, 2_000_000_000)],
)
def test_indexes_beyond_the_completions_and_nonsense_are_left_out(text: str, completions: int, total: int) -> None:
    assert parse_indexes(text, completions).total == total


def test_runs_grow_together() -> None:
    assert str(Indexes().plus([4, 0, 3, 1, 5, 9])) == "0,1,3-5,9"
    assert str(parse_indexes("0,2", 9).plus([1])) == "0-2"


def test_membership() -> None:
    some = parse_indexes("1,3-5", 9)
    assert [index for index in range(9) if index in some] == [1, 3, 4, 5]
    assert some.shared(parse_indexes("4-8", 9)) == 2


@pytest.mark.parametrize(
    ("taken", "count", "completions", "missing"),
    [
        ("", 2, 5, [0, 1]),
        ("0,2", 3, 5, [1, 3, 4]),
        ("0-4", 3, 5, []),
        ("1", 9, 3, [0, 2]),
        ("0-1999999999", 1, 2**31 - 1, [2_000_000_000]),
        ("", 0, 3, []),
    ],
)
def test_the_lowest_missing_indexes_come_first(taken: str, count: int, completions: int, missing: list[int]) -> None:
    assert first_missing(parse_indexes(taken, 2**31 - 1), count, completions) == missing
