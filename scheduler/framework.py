"""The scheduling framework: plugins say which nodes pass and how good they are, `choose` puts their answers together.

Pure: a snapshot and a pod in, a decision out.  Ties are broken by a number that is passed in, so the same input gives
the same decision.  Plugin names, order, weights and texts are upstream's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from scheduler.podinfo import PodInfo
from scheduler.snapshot import Bools, Ints, Snapshot

MAX_SCORE = 100


@dataclass(frozen=True, slots=True)
class Verdict:
    """One filter's answer for all nodes.

    `reasons(row)` is asked only for rows that did not pass.  `unresolvable` marks nodes that no preemption would open.
    `whole_pod`: the one reason why the pod fits no node, whatever the nodes are.
    """

    passed: Bools
    reasons: Callable[[int], Sequence[str]]
    unresolvable: Bools | bool = False
    whole_pod: str = ""


class FilterPlugin(Protocol):
    name: str

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Verdict | None:
        """None: every node passes."""


class ScorePlugin(Protocol):
    name: str
    weight: int

    def score(self, pod: PodInfo, snapshot: Snapshot, rows: Ints) -> Ints | None:
        """0 to 100 for each of `rows`, normalised; None: no preference."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a node was not taken."""

    plugin: str
    reasons: tuple[str, ...]
    unresolvable: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """`node` is "" when no node fits; then `refusals` has every node.  `scores` explains a choice per plugin."""

    node: str
    feasible: int
    evaluated: int
    refusals: dict[str, Refusal] = field(default_factory=dict)
    scores: dict[str, dict[str, int]] = field(default_factory=dict)
    whole_pod: str = ""  # the reason when it is the pod itself that fits nowhere

    @property
    def plugins(self) -> frozenset[str]:
        return frozenset(refusal.plugin for refusal in self.refusals.values())

    def message(self) -> str:
        """The sentence of the FailedScheduling event."""
        if not self.evaluated:
            return "no nodes available to schedule pods"
        counts = Counter(reason for refusal in self.refusals.values() for reason in refusal.reasons)
        head = _sentence(self.evaluated, counts)
        if self.whole_pod:
            head = f"0/{self.evaluated} nodes are available: {self.whole_pod}."
        preemption = Counter(
            "Preemption is not helpful for scheduling"
            if refusal.unresolvable
            else "No preemption victims found for incoming pod"
            for refusal in self.refusals.values()
        )
        return f"{head} no new claims to deallocate, preemption: {_sentence(self.evaluated, preemption)}"


def _sentence(nodes: int, counts: Counter[str]) -> str:
    parts = sorted(f"{count} {reason}" for reason, count in counts.items())
    return f"0/{nodes} nodes are available: {', '.join(parts)}."


def choose(
    pod: PodInfo,
    snapshot: Snapshot,
    filters: Sequence[FilterPlugin],
    scorers: Sequence[ScorePlugin],
    tie: int,
    *,
    explain: bool = False,
) -> Decision:
    """The best node for `pod`.  `tie` picks among equals; `explain` keeps every node's refusals and scores."""
    nodes = len(snapshot)
    passed: Bools = np.ones(nodes, np.bool_)
    verdicts: list[tuple[str, Verdict, Bools]] = []
    for plugin in filters:
        verdict = plugin.filter(pod, snapshot)
        if verdict is None:
            continue
        if verdict.whole_pod:
            refusal = Refusal(plugin.name, (verdict.whole_pod,), True)
            return Decision("", 0, nodes, dict.fromkeys(snapshot.names, refusal), whole_pod=verdict.whole_pod)
        verdicts.append((plugin.name, verdict, passed & ~verdict.passed))
        passed = passed & verdict.passed
        if not explain and not passed.any():
            break
    rows = np.flatnonzero(passed)
    if not len(rows) or explain:
        refusals = _refusals(snapshot, verdicts)
        if not len(rows):
            return Decision("", 0, nodes, refusals)
    else:
        refusals = {}
    total, parts = _scores(pod, snapshot, rows, scorers)
    best = rows[np.flatnonzero(total == total.max())]
    node = snapshot.names[int(best[tie % len(best)])]
    if not explain:
        return Decision(node, len(rows), nodes)
    scores = {
        snapshot.names[row]: {name: int(values[position]) for name, values in parts.items()}
        for position, row in enumerate(rows.tolist())
    }
    return Decision(node, len(rows), nodes, refusals, scores)


def _refusals(snapshot: Snapshot, verdicts: Sequence[tuple[str, Verdict, Bools]]) -> dict[str, Refusal]:
    refusals = {}
    for name, verdict, refused in verdicts:
        for row in np.flatnonzero(refused).tolist():
            hopeless = verdict.unresolvable
            unresolvable = hopeless if isinstance(hopeless, bool) else bool(hopeless[row])
            refusals[snapshot.names[row]] = Refusal(name, tuple(verdict.reasons(row)), unresolvable)
    return refusals


def _scores(
    pod: PodInfo, snapshot: Snapshot, rows: Ints, scorers: Sequence[ScorePlugin]
) -> tuple[Ints, dict[str, Ints]]:
    total: Ints = np.zeros(len(rows), np.int64)
    parts: dict[str, Ints] = {}
    if len(rows) == 1:
        return total, parts
    for scorer in scorers:
        values = scorer.score(pod, snapshot, rows)
        if values is not None:
            parts[scorer.name] = values * scorer.weight
            total = total + parts[scorer.name]
    return total, parts


def normalise(raw: Ints, *, reverse: bool = False) -> Ints:
    """Scale so that the highest is 100 (helper.DefaultNormalizeScore): all equal to zero becomes 0, or 100 reversed."""
    highest = int(raw.max()) if len(raw) else 0
    if highest == 0:
        return np.full(len(raw), MAX_SCORE if reverse else 0, np.int64)
    scaled = raw * MAX_SCORE // highest
    return MAX_SCORE - scaled if reverse else scaled
