"""The table of figures: what, ours, the peer's, the ratio, where the peer's figure is from."""

from __future__ import annotations

from dataclasses import dataclass

from tests.benchmarks.meter import busy_share
from tests.benchmarks.peers import Peer

BUSY_SHARE = 0.2  # of all CPUs in use by others: wall times mean little then


@dataclass(frozen=True)
class Row:
    what: str
    ours: str
    peer: str = ""
    ratio: str = ""
    source: str = ""


class Report:
    """Collects rows, and prints each as it comes."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._busy = False

    def section(self, title: str) -> None:
        """What follows belongs together; looks how busy the machine is before it begins."""
        share = busy_share()
        self._busy = share > BUSY_SHARE
        print(f"== {title}" + (f" (others use {share:.0%} of the CPUs)" if self._busy else ""), flush=True)

    def add(self, what: str, value: float, unit: str, peer: Peer | None = None) -> None:
        """A figure; its ratio is ours to the peer's best."""
        digits = 2 if value < 10 else 1 if value < 100 else 0
        ours = f"{value:,.{digits}f} {unit}" + (" (busy machine)" if self._busy else "")
        row = Row(what, ours)
        if peer is not None:
            row = Row(what, ours, peer.text, f"{value / peer.best:.2f}", peer.source)
        self.rows.append(row)
        print(f"  {row.what}: {row.ours}", flush=True)

    def __str__(self) -> str:
        head = Row("what", "ours", "peer", "ratio", "peer's source")
        rows = [(r.what, r.ours, r.peer, r.ratio, r.source) for r in (head, *self.rows)]
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])
