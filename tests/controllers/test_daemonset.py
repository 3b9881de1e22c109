"""DaemonSet: which nodes, which step comes next, what the status counts."""

from typing import Any

import pytest

from controllers.daemonset import Failures
from controllers.daemonset_plan import Plan, Situation, by_node, manage, roll
from controllers.daemonset_pods import node_of, pod_for, should_run
from controllers.daemonset_status import next_status
from tests.controllers.objects import NOW, node, pod
from tests.controllers.workloads import daemon_set
from tiphys.api.apps.daemonset import DaemonSet
from tiphys.api.core.node import Node
from tiphys.api.core.pod import Pod
from tiphys.client.cache import Key

NODES = [node(f"n{number}") for number in (1, 2, 3)]
CORDONED = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
UNREACHABLE = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}


def daemon(where: str, revision: str = "new", age: float = 100, **fields: Any) -> Pod:
    return pod(f"{where}-{revision}-{age:g}", node=where, age=age, labels=labels(revision), **fields)


def labels(revision: str) -> dict[str, str]:
    return {"app": "web", "controller-revision-hash": revision}


def situation(wanted: DaemonSet, *pods: Pod, nodes: list[Node] = NODES) -> Situation:
    return Situation(wanted, nodes, by_node(pods), "new", NOW)


def shown(plan: Plan) -> str:
    doomed = [f"-{pod.metadata.name}" for pod in [*plan.delete, *plan.ended]]
    return " ".join([f"+{name}" for name in plan.create] + sorted(doomed))


@pytest.mark.parametrize(
    ("taint", "pod_spec", "start", "stay"),
    [
        (None, {}, True, True),
        (CORDONED, {}, True, True),
        (UNREACHABLE, {}, True, True),
        ({"key": "mine", "effect": "NoSchedule"}, {}, False, True),
        ({"key": "mine", "effect": "NoExecute"}, {}, False, False),
        ({"key": "mine", "effect": "PreferNoSchedule"}, {}, True, True),
        ({"key": "mine", "effect": "NoExecute"}, {"tolerations": [{"operator": "Exists"}]}, True, True),
        ({"key": "node.kubernetes.io/network-unavailable", "effect": "NoSchedule"}, {}, False, True),
        ({"key": "node.kubernetes.io/network-unavailable", "effect": "NoSchedule"}, {"hostNetwork": True}, True, True),
        (None, {"nodeSelector": {"disk": "fast"}}, False, False),
        (None, {"nodeName": "n2"}, False, False),
        (None, {"nodeName": "n1"}, True, True),
    ],
)
def test_nodes_are_chosen_by_selector_and_taints(
    taint: dict[str, Any] | None, pod_spec: dict[str, Any], start: bool, stay: bool
) -> None:
    there = node("n1", taints=(taint,) if taint else ())
    assert should_run(daemon_set(**pod_spec), there) == (start, stay)


@pytest.mark.parametrize(
    ("rule", "start"),
    [
        ({"matchExpressions": [{"key": "disk", "operator": "In", "values": ["fast"]}]}, True),
        ({"matchExpressions": [{"key": "disk", "operator": "DoesNotExist"}]}, False),
        ({"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["n1"]}]}, False),
        ({}, False),
    ],
)
def test_nodes_are_chosen_by_required_affinity(rule: dict[str, Any], start: bool) -> None:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [rule]}}
    there = Node.model_validate({"metadata": {"name": "n1", "labels": {"disk": "fast"}}})
    wanted = daemon_set(affinity={"nodeAffinity": required})
    assert should_run(wanted, there) == (start, start)


def test_a_pod_names_its_node_and_tolerates_what_a_daemon_must() -> None:
    other = {"weight": 1, "preference": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}
    wanted = daemon_set(affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [other]}})
    made = pod_for(wanted, "n2", "new")
    assert node_of(made) == "n2" and made.spec.nodeName == "" and made.metadata.generateName == "agent-"
    assert made.metadata.labels == labels("new")
    affinity = made.spec.to_dict()["affinity"]["nodeAffinity"]
    assert affinity["preferredDuringSchedulingIgnoredDuringExecution"] == [other]
    assert affinity["requiredDuringSchedulingIgnoredDuringExecution"] == {
        "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n2"]}]}]
    }
    assert [(one.key.removeprefix("node.kubernetes.io/"), one.effect) for one in made.spec.tolerations] == [
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    ]


GOING: dict[str, Any] = {"deletionTimestamp": "2026-01-02T03:04:05Z"}


@pytest.mark.parametrize(
    ("pods", "step"),
    [
        ([], "+n1 +n2 +n3"),
        ([daemon("n1"), daemon("n2", "old")], "+n3"),
        ([daemon("n1"), daemon("n2"), daemon("n3", **GOING)], ""),
        ([daemon("n1"), daemon("n1", age=5), daemon("n2"), daemon("n3")], "-n1-new-5"),
        ([daemon("n1"), daemon("n2"), daemon("n3", phase="Failed", ready=False)], "-n3-new-100"),
        ([daemon("n1"), daemon("n2"), daemon("n3"), daemon("n9")], ""),
        ([daemon("n1", phase="Failed", ready=False, **GOING), daemon("n2"), daemon("n3")], "+n1"),
    ],
)
def test_every_node_gets_one_pod(pods: list[Pod], step: str) -> None:
    assert shown(manage(situation(daemon_set(), *pods))) == step


def test_pods_leave_nodes_that_are_not_wanted_any_more() -> None:
    tainted = [node("n1", taints=({"key": "mine", "effect": "NoExecute"},)), *NODES[1:]]
    here = [daemon("n1"), daemon("n2"), daemon("n3")]
    assert shown(manage(situation(daemon_set(), *here, nodes=tainted))) == "-n1-new-100"


def test_a_pod_waiting_for_a_node_that_is_gone_is_deleted() -> None:
    waiting = pod_for(daemon_set(), "n9", "new")
    waiting = waiting.model_copy(update={"metadata": waiting.metadata.model_copy(update={"name": "w"})})
    here = [daemon("n1"), daemon("n2"), daemon("n3"), waiting]
    assert shown(manage(situation(daemon_set(), *here))) == "-w"


def fleet(one: str, two: str, three: str) -> list[Pod]:
    """For each node the states of its pods: n new, o old; small ones are not ready."""
    pods = []
    for where, states in (("n1", one), ("n2", two), ("n3", three)):
        for number, state in enumerate(states):
            revision = "new" if state in "nN" else "old"
            pods.append(daemon(where, revision, age=100 - number, ready=state.isupper()))
    return pods


@pytest.mark.parametrize(
    ("pods", "options", "step"),
    [
        (("O", "O", "O"), {}, "-n1-old-100"),
        (("n", "O", "O"), {}, ""),
        (("N", "O", "O"), {}, "-n2-old-100"),
        (("N", "N", "N"), {}, ""),
        (("o", "O", "O"), {}, "-n1-old-100"),
        (("", "O", "O"), {}, ""),
        (("O", "O", "O"), {"unavailable": 2}, "-n1-old-100 -n2-old-100"),
        (("O", "O", "O"), {"unavailable": "50%"}, "-n1-old-100 -n2-old-100"),
        (("O", "O", "O"), {"strategy": "OnDelete"}, ""),
        (("O", "O", "O"), {"surge": 1, "unavailable": 0}, "+n1"),
        (("On", "O", "O"), {"surge": 1, "unavailable": 0}, ""),
        (("ON", "O", "O"), {"surge": 1, "unavailable": 0}, "+n2 -n1-old-100"),
        (("o", "O", "O"), {"surge": 1, "unavailable": 0}, "+n1 +n2"),
        (("O", "O", "O"), {"surge": 0, "unavailable": 0}, "-n1-old-100"),
    ],
)
def test_an_update_keeps_within_its_bounds(pods: tuple[str, str, str], options: dict[str, Any], step: str) -> None:
    assert shown(roll(situation(daemon_set(**options), *fleet(*pods)))) == step


@pytest.mark.parametrize(
    ("first", "step"),
    [("On", ""), ("on", "-n1-old-100"), ("ON", "-n1-old-100"), ("Onn", "-n1-new-98"), ("OO", "-n1-old-99")],
)
def test_two_pods_stay_only_while_the_new_one_takes_over(first: str, step: str) -> None:
    surging = daemon_set(surge=1, unavailable=0)
    assert shown(manage(situation(surging, *fleet(first, "N", "N")))) == step


def test_the_status_counts_nodes() -> None:
    nodes = [*NODES, node("n4", taints=({"key": "mine", "effect": "NoSchedule"},))]
    pods = [*fleet("N", "o", ""), daemon("n4")]
    assert next_status(situation(daemon_set(), *pods, nodes=nodes), 0).to_dict() == {
        "desiredNumberScheduled": 3,
        "currentNumberScheduled": 2,
        "numberMisscheduled": 1,
        "numberReady": 1,
        "numberAvailable": 1,
        "numberUnavailable": 2,
        "updatedNumberScheduled": 1,
        "collisionCount": 0,
    }


def test_a_pod_that_keeps_failing_is_replaced_ever_more_slowly() -> None:
    failures, key = Failures(), Key("default", "agent")
    assert [failures.pause_seconds(key, "n1", at) for at in (0.0, 0.5, 1.0, 2.0, 3.0)] == [0, 0.5, 0, 1.0, 0]
    assert failures.pause_seconds(key, "n2", 3.0) == 0, "every node has its own pause"
