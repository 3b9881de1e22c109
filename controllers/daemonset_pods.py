"""Daemon pods: what one looks like, which node it is for, and whether a node should have one.  Pure.

The pod is bound by the scheduler like any other: a required node affinity names its node.  The tolerations added here
let it run where ordinary pods may not: on nodes that are not ready, cordoned or short of something.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from controllers.podtemplate import pod_from_template
from controllers.tainteviction import tolerates
from tiphys.api.apps.daemonset import DaemonSet
from tiphys.api.core.node import Node
from tiphys.api.core.pod import Pod
from tiphys.api.core.scheduling import NodeSelectorRequirement, NodeSelectorTerm, Toleration
from tiphys.api.selectors import Requirement

HASH_LABEL = "controller-revision-hash"
_GENERATION_LABEL = "pod-template-generation"
_GENERATION = "deprecated.daemonset.template.generation"
_NAME_FIELD = "metadata.name"

_TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_TOLERATED_ON_HOST_NETWORK = ("node.kubernetes.io/network-unavailable", "NoSchedule")


def tolerations(daemon_set: DaemonSet) -> list[Toleration]:
    """The template's, and after them those every daemon pod has."""
    spec = daemon_set.spec.template.spec
    added = [*_TOLERATED, *([_TOLERATED_ON_HOST_NETWORK] if spec.hostNetwork else [])]
    automatic = [Toleration(key=key, operator="Exists", effect=effect) for key, effect in added]
    return [*(one for one in spec.tolerations if one not in automatic), *automatic]


def pod_for(daemon_set: DaemonSet, node: str, hashed: str) -> Pod:
    """The pod to create for `node`, of the revision with that hash."""
    pod = pod_from_template(daemon_set, daemon_set.spec.template)
    labels = {**pod.metadata.labels, HASH_LABEL: hashed}
    generation = daemon_set.metadata.annotations.get(_GENERATION)
    if generation:
        labels[_GENERATION_LABEL] = generation
    spec = pod.spec.to_dict()
    spec["affinity"] = _bound_to(spec.get("affinity") or {}, node)
    spec["tolerations"] = [one.to_dict() for one in tolerations(daemon_set)]
    return Pod.model_validate({"metadata": {**pod.metadata.to_dict(), "labels": labels}, "spec": spec})


def _bound_to(affinity: Mapping[str, Any], node: str) -> dict[str, Any]:
    """`affinity` with one required term: this node.  The template's own terms have been asked already."""
    field = {"key": _NAME_FIELD, "operator": "In", "values": [node]}
    required = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    node_affinity = {
        **(affinity.get("nodeAffinity") or {}),
        "requiredDuringSchedulingIgnoredDuringExecution": required,
    }
    return {**affinity, "nodeAffinity": node_affinity}


def node_of(pod: Pod) -> str:
    """The node a daemon pod is on or for; "" when it does not say."""
    if pod.spec.nodeName:
        return pod.spec.nodeName
    affinity = pod.spec.affinity.nodeAffinity if pod.spec.affinity else None
    required = affinity.requiredDuringSchedulingIgnoredDuringExecution if affinity else None
    for term in required.nodeSelectorTerms if required else ():
        for field in term.matchFields:
            if field.key == _NAME_FIELD and field.operator == "In" and len(field.values) == 1:
                return field.values[0]
    return ""


def should_run(daemon_set: DaemonSet, node: Node) -> tuple[bool, bool]:
    """(a pod should be started on the node, one that is there may stay)"""
    spec = daemon_set.spec.template.spec
    if spec.nodeName not in ("", node.metadata.name) or not _selects(daemon_set, node):
        return False, False
    held = tolerations(daemon_set)
    untolerated = {
        taint.effect for taint in node.spec.taints if not any(tolerates(toleration, taint) for toleration in held)
    }
    return not untolerated & {"NoSchedule", "NoExecute"}, "NoExecute" not in untolerated


def _selects(daemon_set: DaemonSet, node: Node) -> bool:
    spec, labels = daemon_set.spec.template.spec, node.metadata.labels
    if not spec.nodeSelector.items() <= labels.items():
        return False
    affinity = spec.affinity.nodeAffinity if spec.affinity else None
    required = affinity.requiredDuringSchedulingIgnoredDuringExecution if affinity else None
    return required is None or any(_term_matches(term, node) for term in required.nodeSelectorTerms)


def _term_matches(term: NodeSelectorTerm, node: Node) -> bool:
    """A term without rules selects nothing."""
    if not term.matchExpressions and not term.matchFields:
        return False
    fields = {_NAME_FIELD: node.metadata.name}
    return _all_match(term.matchExpressions, node.metadata.labels) and _all_match(term.matchFields, fields)


def _all_match(rules: Sequence[NodeSelectorRequirement], labels: Mapping[str, str]) -> bool:
    return all(Requirement(rule.key, rule.operator, frozenset(rule.values)).matches(labels) for rule in rules)
