"""The rows of the conformance suite: what they are called, which test stands for which, and the report.

A row passes when every test that carries its number passes.  `MISSING` is the one list of rows whose feature is not
there: their tests run all the same and must fail, so that the list stays honest, and the report counts them as not
passed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROWS = Path(__file__).with_name("rows.tsv")

MISSING: dict[int, str] = {}


@dataclass(frozen=True, slots=True)
class Row:
    number: int
    area: str
    testname: str
    release: str
    requirement: str


def read_rows(path: Path = ROWS) -> dict[int, Row]:
    """Number -> row, for every row that v1.36 asks for."""
    with path.open(newline="") as file:
        records = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        rows = [Row(int(r["row"]), r["area"], r["testname"], r["release"], r["requirement"]) for r in records]
    return {row.number: row for row in rows}


def row(number: int, testname: str) -> pytest.MarkDecorator:
    """The decorator that names a test's row; `testname` must be the row's."""
    return pytest.mark.row(number, testname)


def report(rows: Mapping[int, Row], outcomes: Mapping[int, Iterable[str]], missing: Mapping[int, str]) -> list[str]:
    """The lines of the report.  `outcomes`: row -> pytest's outcomes of its tests, for the tests that ran."""
    passed = [number for number, found in outcomes.items() if set(found) == {"passed"}]
    failed = sorted(set(outcomes) - set(passed) - set(missing))
    without = sorted(set(rows) - set(outcomes) - set(missing))
    lines = [f"{len(passed)} of {len(outcomes)} rows with a test pass; the suite has {len(rows)} rows"]
    lines += [f"not passed: {number} {rows[number].testname}" for number in failed]
    lines += [f"not passed: {number} {rows[number].testname}: {missing[number]}" for number in sorted(missing)]
    if without:
        lines.append(f"{len(without)} rows without a test: {ranges(without)}")
    return lines


def ranges(numbers: Iterable[int]) -> str:
    """Ascending numbers as text: 1, 2, 3, 7 -> "1-3 7"."""
    spans: list[tuple[int, int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1] = (spans[-1][0], number)
        else:
            spans.append((number, number))
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)
