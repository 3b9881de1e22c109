"""Node health: conditions, taints, evictions."""

from datetime import timedelta
from typing import Any

import pytest

from controllers.nodelifecycle import silent_conditions, wanted_taints
from controllers.tainteviction import eviction_due, tolerates
from tests.controllers.objects import NOW, ago, node
from tiphys.api.core.scheduling import Taint, Toleration

NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"


def test_a_silent_node_becomes_unknown_and_says_which_conditions_it_never_had() -> None:
    told = {condition.type: condition for condition in silent_conditions(node(), NOW)}
    assert (told["Ready"].status, told["Ready"].reason, told["Ready"].message) == (
        "Unknown",
        "NodeStatusUnknown",
        "Kubelet stopped posting node status.",
    )
    assert told["Ready"].lastHeartbeatTime == ago(10), "the last heartbeat stays visible"
    assert told["DiskPressure"].reason == "NodeStatusNeverUpdated"
    assert set(told) == {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"}


def test_a_node_that_is_unknown_already_stays_as_it_is() -> None:
    known = node(ready="Unknown")
    assert silent_conditions(known, NOW)[0] == known.status.conditions[0]


@pytest.mark.parametrize(
    ("ready", "spec", "expected"),
    [
        ("True", {}, []),
        ("False", {}, [(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")]),
        ("Unknown", {}, [(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")]),
        ("", {}, [(NOT_READY, "NoSchedule")]),
        ("True", {"unschedulable": True}, [("node.kubernetes.io/unschedulable", "NoSchedule")]),
    ],
)
def test_the_taints_follow_the_conditions(ready: str, spec: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert [(taint.key, taint.effect) for taint in wanted_taints(node(ready=ready, **spec), NOW)] == expected


def test_taints_of_others_stay_and_ours_keep_their_time_or_go() -> None:
    theirs = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
    ours = {"key": UNREACHABLE, "effect": "NoExecute", "timeAdded": ago(60)}
    silent = wanted_taints(node(ready="Unknown", taints=(theirs, ours)), NOW)
    assert [taint.key for taint in silent] == ["dedicated", UNREACHABLE, UNREACHABLE]
    assert silent[1].timeAdded == ago(60)
    assert [taint.key for taint in wanted_taints(node(taints=(theirs, ours)), NOW)] == ["dedicated"]


def taint(key: str = UNREACHABLE, effect: str = "NoExecute", added: float = 0, value: str = "") -> Taint:
    return Taint(key=key, effect=effect, timeAdded=ago(added), value=value)


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists", "effect": "NoSchedule"}, False),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "operator": "Equal", "value": "w"}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({"value": "v"}, False),
    ],
)
def test_toleration(toleration: dict[str, str], expected: bool) -> None:
    assert tolerates(Toleration.model_validate(toleration), taint("k", value="v")) is expected


@pytest.mark.parametrize(
    ("taints", "seconds", "due_in"),
    [
        ([], None, None),
        ([taint(effect="NoSchedule")], "none", None),
        ([taint()], "none", 0),
        ([taint()], None, None),
        ([taint(added=100)], 300, 200),
        ([taint(added=400)], 300, -100),
        ([taint(), taint("other")], 300, 0),
    ],
)
def test_when_a_pod_has_to_go(taints: list[Taint], seconds: int | str | None, due_in: float | None) -> None:
    limit = seconds if isinstance(seconds, int) else None
    tolerations = [Toleration(key=UNREACHABLE, operator="Exists", tolerationSeconds=limit)]
    due = eviction_due(taints, [] if seconds == "none" else tolerations, NOW)
    assert due == (None if due_in is None else NOW + timedelta(seconds=due_in))
