"""NodeAffinity: nodeSelector and required node affinity must match; preferred terms make a node better."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scheduler.framework import Verdict, normalise
from scheduler.podinfo import PodInfo
from scheduler.snapshot import Ints, Snapshot
from tiphys.api.core.scheduling import NodeSelectorRequirement, NodeSelectorTerm
from tiphys.api.selectors import Requirement

REASON = "node(s) didn't match Pod's node affinity/selector"


def _requirement(expression: NodeSelectorRequirement) -> Requirement:
    return Requirement(expression.key, expression.operator, frozenset(expression.values))


def term_matches(term: NodeSelectorTerm, name: str, labels: Mapping[str, str]) -> bool:
    """All expressions and fields of a term must hold; a term with neither matches nothing."""
    if not term.matchExpressions and not term.matchFields:
        return False
    fields = {"metadata.name": name}
    return all(_requirement(item).matches(labels) for item in term.matchExpressions) and all(
        _requirement(item).matches(fields) for item in term.matchFields
    )


class NodeAffinity:
    name = "NodeAffinity"
    weight = 2

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Verdict | None:
        selector = pod.pod.spec.nodeSelector
        affinity = pod.pod.spec.affinity.nodeAffinity if pod.pod.spec.affinity else None
        required = affinity.requiredDuringSchedulingIgnoredDuringExecution if affinity else None
        if not selector and required is None:
            return None
        passed = np.array(
            [
                all(labels.get(key) == value for key, value in selector.items())
                and (required is None or any(term_matches(t, name, labels) for t in required.nodeSelectorTerms))
                for name, labels in zip(snapshot.names, snapshot.labels, strict=True)
            ],
            np.bool_,
        )
        return Verdict(passed, lambda _: (REASON,), unresolvable=True)

    def score(self, pod: PodInfo, snapshot: Snapshot, rows: Ints) -> Ints | None:
        affinity = pod.pod.spec.affinity.nodeAffinity if pod.pod.spec.affinity else None
        preferred = affinity.preferredDuringSchedulingIgnoredDuringExecution if affinity else []
        if not preferred:
            return None
        raw = [
            sum(t.weight for t in preferred if term_matches(t.preference, snapshot.names[row], snapshot.labels[row]))
            for row in rows.tolist()
        ]
        return normalise(np.array(raw, np.int64))
