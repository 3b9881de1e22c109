"""Printing tables as kubectl does: upper-case headers, columns three spaces apart, at least six wide, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tiphys.cli.terminal import neutral

GAP = 3
MIN_WIDTH = 6
_LINE_ENDS = "\f\n\r"


class TablePrinter:
    """Remembers the widths it has used, so that the rows of a watch stay in their columns."""

    def __init__(self, *, headers: bool = True) -> None:
        self._widths: list[int] = []
        self._headers = headers

    def lines(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
        cells = [*([header] if self._headers and header else []), *rows]
        for row in cells:
            self._widths += [0] * (len(row) - len(self._widths))
            for number, cell in enumerate(row):
                self._widths[number] = max(self._widths[number], len(cell) + GAP, MIN_WIDTH)
        self._headers = False
        return [self._line(row) for row in cells]

    def _line(self, row: Sequence[str]) -> str:
        padded = [cell.ljust(self._widths[number]) for number, cell in enumerate(row[:-1])]
        return "".join([*padded, *row[-1:]])


def cell_text(value: Any) -> str:
    """A cell of a server-printed Table on one line, cut at the first line end; control characters are shown."""
    if not isinstance(value, str):
        return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    if value.isprintable():
        return value
    end = min((position for position in map(value.find, _LINE_ENDS) if position >= 0), default=len(value))
    text = value[:end] + ("..." if end < len(value) else "")
    return neutral(text).replace("\t", " ")


def align(lines: Sequence[str], gap: int = 2) -> list[str]:
    """Elastic tab stops: a column is as wide as its widest cell among neighbouring lines that have that column.

    A line may hold several lines of text.  A cell is what stands before a tab, so a column ends where a line has no
    such tab; empty columns take no room, as in Go's text/tabwriter."""
    cells = [neutral(text).split("\t") for line in lines for text in line.split("\n")]
    widths = [[0] * (len(row) - 1) for row in cells]
    for column in range(max((len(row) for row in cells), default=1) - 1):
        start = 0
        while start < len(cells):
            end = start
            while end < len(cells) and column < len(widths[end]):
                end += 1
            longest = max((len(cells[number][column]) for number in range(start, end)), default=0)
            for number in range(start, end):
                widths[number][column] = longest + gap
            start = max(end, start + 1)
    return [
        "".join(text.ljust(width) for text, width in zip(row, row_widths, strict=False)) + row[-1]
        for row, row_widths in zip(cells, widths, strict=True)
    ]
