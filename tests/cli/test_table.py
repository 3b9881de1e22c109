"""Tables and descriptions stand where kubectl's stand, and show control characters instead of sending them."""

from __future__ import annotations

import pytest

from tiphys.cli.table import TablePrinter, align, cell_text
from tiphys.cli.terminal import neutral


def test_columns_are_as_wide_as_their_widest_cell_and_three_more() -> None:
    lines = TablePrinter().lines(["NAME", "AGE"], [["a-long-name", "5s"], ["b", "10m"]])
    assert lines == ["NAME          AGE", "a-long-name   5s", "b             10m"]


def test_a_column_is_at_least_six_wide() -> None:
    assert TablePrinter().lines(["A", "B"], [["1", "2"]]) == ["A     B", "1     2"]


def test_later_rows_keep_the_columns_of_earlier_ones_and_bring_no_header() -> None:
    printer = TablePrinter()
    printer.lines(["NAME", "AGE"], [["a-long-name", "5s"]])
    assert printer.lines(["NAME", "AGE"], [["b", "6s"]]) == ["b             6s"]


def test_without_headers_only_rows_are_printed() -> None:
    assert TablePrinter(headers=False).lines(["NAME"], [["a"]]) == ["a"]


CELLS = [
    (None, ""),
    (3, "3"),
    (True, "true"),
    ("plain", "plain"),
    ("häß 漢", "häß 漢"),
    ("first\nsecond", "first..."),
    ("\x1b[31mred", "^[[31mred"),
    ("a\tb", "a b"),
    ("bell\x07", "bell?"),
    ("c1\x9b2J", "c1?2J"),
    ("over\u202ewritten", "over?written"),
]


@pytest.mark.parametrize(("value", "want"), CELLS)
def test_a_cell_is_one_line_without_control_characters(value: object, want: str) -> None:
    assert cell_text(value) == want


def test_neutral_text_keeps_its_lines_and_shows_the_rest() -> None:
    assert neutral("a\n\tb\x1b]0;title\x07\r") == "a\n\tb^[]0;title?\\r"


def test_a_column_ends_where_a_line_has_no_such_cell() -> None:
    assert align(["Name:\tweb", "Labels:\ta=b", "\tc=d", "Containers:", "  x:", "    Image:\tone"]) == [
        "Name:    web",
        "Labels:  a=b",
        "         c=d",
        "Containers:",
        "  x:",
        "    Image:  one",
    ]


def test_a_value_of_several_lines_does_not_widen_the_columns() -> None:
    assert align(["a:\tx\nlonger than that:\ty"]) == ["a:                 x", "longer than that:  y"]
