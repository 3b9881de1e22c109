"""Whether this node takes a pod that was bound to it: the kubelet's canAdmit.  Pure.

A pod that is refused is Failed for good, with the reason and message of `Waiting`.  Only pods the node has never
taken are asked about; a restart of the agent refuses nothing that runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nodeagent.pods.observed import Waiting
from nodeagent.pods.podrequests import amount, pod_requests
from nodeagent.pods.security import forbidden_sysctl
from nodeagent.runtime.sysctls import REASON as SYSCTL_REASON
from tiphys.api.core.pod import Pod
from tiphys.api.core.scheduling import NodeSelectorRequirement, NodeSelectorTerm, Taint, Toleration
from tiphys.api.selectors import Requirement

CRITICAL_PRIORITY = 2_000_000_000


@dataclass(frozen=True)
class NodeView:
    """What of the node decides; `allocatable` as in its status."""

    name: str
    allocatable: Mapping[str, str]
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Taint] = ()
    unsafe_sysctls: Sequence[str] = ()  # allowed ones; a name may end in *


def admit(pod: Pod, others: Sequence[Pod], node: NodeView) -> Waiting | None:
    """Why the pod is refused beside the `others` the node has taken, or None."""
    for check in (_os, _sysctls):
        refused = check(pod, node)
        if refused is not None:
            return refused
    return _resources(pod, others, node) or _placement(pod, node) or _ports(pod, others)


def is_critical(pod: Pod) -> bool:
    """Static pods and those of the system priorities."""
    return (pod.spec.priority or 0) >= CRITICAL_PRIORITY or is_static(pod)


def is_static(pod: Pod) -> bool:
    source = pod.metadata.annotations.get("kubernetes.io/config.source", "api")
    return source not in ("", "api")


def _os(pod: Pod, node: NodeView) -> Waiting | None:
    wanted = pod.spec.nodeSelector.get("kubernetes.io/os", "linux")
    if wanted != "linux":
        return Waiting("PodOSSelectorNodeLabelDoesNotMatch", _OS_LABEL.format(wanted))
    if pod.spec.os is not None and pod.spec.os.name != "linux":
        return Waiting("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS")
    return None


_OS_LABEL = "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label: {}"


def _sysctls(pod: Pod, node: NodeView) -> Waiting | None:
    text = forbidden_sysctl(pod, node.unsafe_sysctls)
    return Waiting(SYSCTL_REASON, text) if text else None


def _resources(pod: Pod, others: Sequence[Pod], node: NodeView) -> Waiting | None:
    short = shortage(pod_requests(pod), others, node)
    if short is None:
        return None
    name, requested, used, capacity = short
    return Waiting(f"OutOf{name}", insufficient(name, requested, used, capacity))


def insufficient(name: str, requested: int, used: int, capacity: int) -> str:
    """Upstream's sentence."""
    return f"Node didn't have enough resource: {name}, requested: {requested}, used: {used}, capacity: {capacity}"


def shortage(
    wanted: Mapping[str, int], others: Sequence[Pod], node: NodeView, *, pods: int = 1
) -> tuple[str, int, int, int] | None:
    """(resource, requested, used, capacity) of the first resource that does not suffice."""
    most = amount("pods", node.allocatable.get("pods", "0"))
    if most and len(others) + pods > most:
        return "pods", pods, len(others), most
    used: dict[str, int] = {}
    for other in others:
        for name, number in pod_requests(other).items():
            used[name] = used.get(name, 0) + number
    for name in sorted(wanted):
        capacity = amount(name, node.allocatable.get(name, "0"))
        if wanted[name] and wanted[name] + used.get(name, 0) > capacity:
            return name, wanted[name], used.get(name, 0), capacity
    return None


def _placement(pod: Pod, node: NodeView) -> Waiting | None:
    if pod.spec.nodeName and pod.spec.nodeName != node.name:
        return _predicate("NodeName", "node(s) didn't match the requested node name")
    if not matches_node(pod, node):
        return _predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector")
    for taint in node.taints:
        if taint.effect == "NoExecute" and not is_static(pod) and not _tolerated(taint, pod.spec.tolerations):
            return _predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate")
    return None


def _predicate(name: str, text: str) -> Waiting:
    return Waiting(name, f"Predicate {name} failed: {text}")


def matches_node(pod: Pod, node: NodeView) -> bool:
    """nodeSelector and the required node affinity."""
    if any(node.labels.get(key) != text for key, text in pod.spec.nodeSelector.items()):
        return False
    affinity = pod.spec.affinity.nodeAffinity if pod.spec.affinity is not None else None
    required = affinity.requiredDuringSchedulingIgnoredDuringExecution if affinity is not None else None
    if required is None:
        return True
    return any(_term(term, node) for term in required.nodeSelectorTerms)


def _term(term: NodeSelectorTerm, node: NodeView) -> bool:
    if not term.matchExpressions and not term.matchFields:
        return False
    fields = {"metadata.name": node.name}
    return _all(term.matchExpressions, node.labels) and _all(term.matchFields, fields)


def _all(requirements: Iterable[NodeSelectorRequirement], labels: Mapping[str, str]) -> bool:
    return all(Requirement(item.key, item.operator, frozenset(item.values)).matches(labels) for item in requirements)


def _tolerated(taint: Taint, tolerations: Iterable[Toleration]) -> bool:
    return any(
        one.effect in ("", taint.effect)
        and one.key in ("", taint.key)
        and (one.operator == "Exists" or (one.key != "" and one.operator in ("", "Equal") and one.value == taint.value))
        for one in tolerations
    )


def _ports(pod: Pod, others: Sequence[Pod]) -> Waiting | None:
    taken = [port for other in others for port in host_ports(other)]
    for protocol, ip, number in host_ports(pod):
        for other_protocol, other_ip, other_number in taken:
            same = (protocol, number) == (other_protocol, other_number)
            if same and (ip == other_ip or "0.0.0.0" in (ip, other_ip)):
                return _predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports")
    return None


def host_ports(pod: Pod) -> list[tuple[str, str, int]]:
    """(protocol, address of the node, port) of every port of the node the pod takes."""
    containers = [*pod.spec.containers, *(c for c in pod.spec.initContainers if c.restartPolicy == "Always")]
    return [
        (port.protocol or "TCP", port.hostIP or "0.0.0.0", port.hostPort)
        for container in containers
        for port in container.ports
        if port.hostPort
    ]
