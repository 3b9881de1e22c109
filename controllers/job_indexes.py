"""Completion indexes of an Indexed job: sets of whole numbers as runs, spelled "1,3-5,7".

A job may have billions of indexes: what is kept grows with the number of runs, not with that of indexes.  Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tiphys.api.core.pod import Pod

INDEX_ANNOTATION = "batch.kubernetes.io/job-completion-index"  # the label has the same name


@dataclass(frozen=True)
class Indexes:
    """Runs (first, last) in ascending order that neither overlap nor touch."""

    runs: tuple[tuple[int, int], ...] = ()

    @property
    def total(self) -> int:
        return sum(last - first + 1 for first, last in self.runs)

    def __contains__(self, index: int) -> bool:
        at = bisect_left(self.runs, index, key=lambda run: run[1])
        return at < len(self.runs) and self.runs[at][0] <= index

    def __str__(self) -> str:
        return ",".join(_spelled(first, last) for first, last in self.runs)

    def plus(self, more: Iterable[int]) -> Indexes:
        return self.union((index, index) for index in more)

    def union(self, more: Iterable[tuple[int, int]]) -> Indexes:
        runs: list[tuple[int, int]] = []
        for first, last in sorted([*self.runs, *more]):
            if runs and first <= runs[-1][1] + 1:
                runs[-1] = (runs[-1][0], max(last, runs[-1][1]))
            else:
                runs.append((first, last))
        return Indexes(tuple(runs))

    def shared(self, other: Indexes) -> int:
        """How many indexes are in both."""
        return self.total + other.total - self.union(other.runs).total


def _spelled(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first},{last}" if last == first + 1 else f"{first}-{last}"


def parse_indexes(text: str, completions: int) -> Indexes:
    """The indexes below `completions`; runs that cannot be read are left out."""
    runs = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            continue
        start, end = int(first), min(int(last or first), completions - 1)
        if start <= end:
            runs.append((start, end))
    return Indexes().union(runs)


def first_missing(taken: Indexes, count: int, completions: int) -> list[int]:
    """The lowest `count` indexes below `completions` that are not taken."""

    def missing() -> Iterator[int]:
        start = 0
        for first, last in taken.runs:
            yield from range(start, min(first, completions))
            start = last + 1
        yield from range(start, completions)

    return [index for index, _ in zip(missing(), range(count), strict=False)]


def completion_index(pod: Pod) -> int | None:
    text = pod.metadata.annotations.get(INDEX_ANNOTATION, "")
    return int(text) if text.isdecimal() else None
