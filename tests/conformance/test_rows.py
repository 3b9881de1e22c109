"""The report: every row is passed, not passed with its reason, or without a test."""

from __future__ import annotations

from tests.conformance.rows import Row, ranges, read_rows, report

_ROWS = {number: Row(number, "area", f"row {number}", "v1.9", "") for number in (2, 3, 4, 5, 8)}


def test_the_report_counts_passed_rows_and_names_the_others() -> None:
    outcomes = {2: ["passed", "passed"], 3: ["passed", "failed"], 4: ["skipped"]}
    assert report(_ROWS, outcomes, {4: "not built yet"}) == [
        "1 of 3 rows with a test pass; the suite has 5 rows",
        "not passed: 3 row 3",
        "not passed: 4 row 4: not built yet",
        "2 rows without a test: 5 8",
    ]


def test_a_report_of_passed_rows_has_one_line() -> None:
    outcomes = {number: ["passed"] for number in _ROWS}
    assert report(_ROWS, outcomes, {}) == ["5 of 5 rows with a test pass; the suite has 5 rows"]


def test_neighbours_are_written_as_a_range() -> None:
    assert ranges([2, 3, 4, 7, 9, 10]) == "2-4 7 9-10"
    assert ranges([]) == ""


def test_the_rows_are_those_of_v1_36() -> None:
    rows = read_rows()
    assert len(rows) == 443
    assert all(row.testname and row.requirement and row.release != "v1.37" for row in rows.values())
