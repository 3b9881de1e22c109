"""The default profile decides as upstream's does, and says why in upstream's words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.framework import Decision, choose
from scheduler.plugins import FILTERS, SCORERS
from scheduler.podinfo import PodInfo
from scheduler.snapshot import Snapshot
from tests.scheduler.objects import make_node, make_pod
from tiphys.api.core.node import Node


def decide(pod: PodInfo, *nodes: Node, placed: tuple[tuple[PodInfo, str], ...] = (), **options: Any) -> Decision:
    snapshot = Snapshot()
    for node in nodes:
        snapshot.set_node(node)
    for other, name in placed:
        snapshot.add_pod(other, name)
    return choose(pod, snapshot, FILTERS, SCORERS, 0, **options)


def preemption(nodes: int, helpful: bool) -> str:
    text = "No preemption victims found for incoming pod" if helpful else "Preemption is not helpful for scheduling"
    return f" no new claims to deallocate, preemption: 0/{nodes} nodes are available: {nodes} {text}."


NO_SCHEDULE = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
REFUSALS = [
    (make_pod(requests={"cpu": "5"}), make_node("a"), "1 Insufficient cpu.", False),
    (
        make_pod(requests={"cpu": "5", "memory": "9Gi"}),
        make_node("a"),
        "1 Insufficient cpu, 1 Insufficient memory.",
        False,
    ),
    (make_pod(requests={"example.com/gpu": "1"}), make_node("a"), "1 Insufficient example.com/gpu.", False),
    (make_pod(), make_node("a", taints=[NO_SCHEDULE]), "1 node(s) had untolerated taint(s).", False),
    (make_pod(), make_node("a", unschedulable=True), "1 node(s) were unschedulable.", False),
    (make_pod(nodeSelector={"d": "x"}), make_node("a"), "1 node(s) didn't match Pod's node affinity/selector.", False),
    (make_pod(nodeName="b"), make_node("a"), "1 node(s) didn't match the requested node name.", False),
    (make_pod(), make_node("a", pods="0"), "1 Too many pods.", True),
]


@pytest.mark.parametrize(("pod", "node", "text", "helpful"), REFUSALS, ids=[row[2][2:30] for row in REFUSALS])
def test_a_refusal_is_told_in_upstreams_words(pod: PodInfo, node: Node, text: str, helpful: bool) -> None:
    decision = decide(pod, node)
    assert decision.node == ""
    assert decision.message() == f"0/1 nodes are available: {text}{preemption(1, helpful)}"


def test_different_refusals_are_counted_and_sorted() -> None:
    nodes = [make_node("a", cpu="1"), make_node("b", cpu="1"), make_node("c", taints=[NO_SCHEDULE])]
    message = decide(make_pod(requests={"cpu": "2"}), *nodes).message()
    head = "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu."
    assert message == head + preemption(3, helpful=False)


def test_without_nodes_the_message_says_so() -> None:
    assert decide(make_pod()).message() == "no nodes available to schedule pods"


def test_a_host_port_is_taken_once() -> None:
    other = make_pod("other", host_ports=[80])
    refused = decide(make_pod(host_ports=[80]), make_node("a"), placed=((other, "a"),))
    assert "1 node(s) didn't have free ports for the requested pod ports." in refused.message()
    assert decide(make_pod(host_ports=[81]), make_node("a"), placed=((other, "a"),)).node == "a"


TOLERATIONS = [
    ({"operator": "Exists"}, "a"),
    ({"key": "dedicated", "operator": "Exists"}, "a"),
    ({"key": "dedicated", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"}, "a"),
    ({"key": "dedicated", "value": "gpu"}, "a"),
    ({"key": "dedicated", "value": "cpu"}, ""),
    ({"key": "dedicated", "operator": "Exists", "effect": "NoExecute"}, ""),
    ({"key": "other", "operator": "Exists"}, ""),
]


@pytest.mark.parametrize(("toleration", "want"), TOLERATIONS)
def test_a_toleration_opens_what_it_names(toleration: dict[str, str], want: str) -> None:
    assert decide(make_pod(tolerations=[toleration]), make_node("a", taints=[NO_SCHEDULE])).node == want


def test_a_cordoned_node_takes_pods_that_tolerate_it() -> None:
    toleration = {"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"}
    assert decide(make_pod(tolerations=[toleration]), make_node("a", unschedulable=True)).node == "a"


def required(*terms: dict[str, Any]) -> dict[str, Any]:
    rule = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return {"nodeAffinity": rule}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, "values": list(values)}


AFFINITIES = [
    (required({"matchExpressions": [expression("zone", "In", "z1", "z2")]}), "a"),
    (required({"matchExpressions": [expression("zone", "NotIn", "z1")]}), ""),
    (required({"matchExpressions": [expression("cores", "Gt", "7")]}), "a"),
    (required({"matchExpressions": [expression("cores", "Lt", "7")]}), ""),
    (required({"matchFields": [expression("metadata.name", "In", "a")]}), "a"),
    (required({}), ""),
    (
        required(
            {"matchExpressions": [expression("zone", "DoesNotExist")]},
            {"matchExpressions": [expression("zone", "Exists")]},
        ),
        "a",
    ),
]


@pytest.mark.parametrize(("affinity", "want"), AFFINITIES)
def test_required_node_affinity(affinity: dict[str, Any], want: str) -> None:
    assert decide(make_pod(affinity=affinity), make_node("a", labels={"zone": "z1", "cores": "8"})).node == want


def test_the_emptier_node_wins() -> None:
    busy = make_pod("busy", requests={"cpu": "2", "memory": "4Gi"})
    decision = decide(make_pod(requests={"cpu": "1"}), make_node("a"), make_node("b"), placed=((busy, "a"),))
    assert decision.node == "b"


def test_a_preferred_node_wins_over_an_equal_one() -> None:
    preference = {"weight": 10, "preference": {"matchExpressions": [expression("disk", "In", "ssd")]}}
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [preference]}}
    decision = decide(make_pod(affinity=affinity), make_node("a"), make_node("b", labels={"disk": "ssd"}))
    assert decision.node == "b"


def test_a_node_with_a_prefer_no_schedule_taint_is_the_second_choice() -> None:
    taint = {"key": "busy", "effect": "PreferNoSchedule"}
    assert decide(make_pod(), make_node("a", taints=[taint]), make_node("b")).node == "b"
    assert decide(make_pod(), make_node("a", taints=[taint])).node == "a"


def test_an_explained_decision_names_every_node() -> None:
    decision = decide(make_pod(), make_node("a"), make_node("b"), make_node("c", unschedulable=True), explain=True)
    assert set(decision.scores) == {"a", "b"}
    assert decision.refusals["c"].plugin == "NodeUnschedulable"
    assert set(decision.scores["a"]) == {"NodeResourcesFit"}


sizes = st.sampled_from(["100m", "500m", "1", "2", "3500m"])
memories = st.sampled_from(["64Mi", "1Gi", "3Gi", "7Gi"])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(sizes, memories), min_size=1, max_size=6),
    st.lists(st.tuples(sizes, memories), max_size=20),
)
def test_no_node_is_ever_overcommitted_and_the_columns_agree_with_a_plain_count(
    nodes: list[tuple[str, str]], pods: list[tuple[str, str]]
) -> None:
    """A scalar reference: filter by subtraction, score by LeastAllocated and balance, one node at a time."""
    snapshot = Snapshot()
    free: dict[str, list[int]] = {}
    for number, (cpu, memory) in enumerate(nodes):
        node = make_node(f"n{number}", cpu=cpu, memory=memory)
        snapshot.set_node(node)
        row = snapshot.row_of[node.metadata.name]
        free[node.metadata.name] = [int(snapshot.allocatable[row, 0]), int(snapshot.allocatable[row, 1])]
    total = {name: list(values) for name, values in free.items()}
    for cpu, memory in pods:
        info = make_pod(requests={"cpu": cpu, "memory": memory})
        want = (info.requests["cpu"], info.requests["memory"])
        fits = {name for name, left in free.items() if left[0] >= want[0] and left[1] >= want[1]}
        decision = choose(info, snapshot, FILTERS, SCORERS, 0)
        assert (decision.node in fits) if fits else decision.node == ""
        if not fits:
            continue
        scores = {name: reference_score(total[name], free[name], want) for name in fits}
        assert scores[decision.node] == max(scores.values())
        snapshot.add_pod(info, decision.node)
        for index in (0, 1):
            free[decision.node][index] -= want[index]


def reference_score(total: list[int], free: list[int], want: tuple[int, int]) -> int:
    shares, least = [], 0
    for index in (0, 1):
        used = total[index] - free[index] + want[index]
        least += (total[index] - used) * 100 // total[index]
        shares.append(used / total[index])
    return least // 2 + int((1.0 - abs(shares[0] - shares[1]) / 2) * 100)
