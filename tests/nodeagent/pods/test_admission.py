"""Which pods a node takes, which resizes it grants, who ends first at a shutdown: tables."""

from __future__ import annotations

from typing import Any

import pytest

from nodeagent.pods.admission import NodeView, admit
from nodeagent.pods.admissions import Admissions
from nodeagent.pods.allocation import Allocation, decide, desired, needs_restart, with_resources
from nodeagent.pods.observed import Ending, Waiting
from nodeagent.pods.podrequests import pod_requests
from nodeagent.pods.preemption import victims
from nodeagent.pods.shutdown import groups, parse_periods, periods
from tiphys.api.core.container import Container
from tiphys.api.core.pod import Pod
from tiphys.api.core.scheduling import Taint

NODE = NodeView("n1", {"cpu": "2", "memory": "1Gi", "pods": "3"}, {"disk": "ssd"})


def pod(cpu: str = "", memory: str = "", *, uid: str = "u", name: str = "p", **spec: Any) -> Pod:
    requests = {key: text for key, text in (("cpu", cpu), ("memory", memory)) if text}
    containers = [{"name": "c", "image": "x", "resources": {"requests": requests}}]
    return Pod.model_validate(
        {"metadata": {"name": name, "uid": uid, "generation": 2}, "spec": {"containers": containers, **spec}}
    )


def port(number: int, address: str = "") -> dict[str, Any]:
    ports = [{"containerPort": number, "hostPort": number, "hostIP": address, "protocol": "TCP"}]
    return {"containers": [{"name": "c", "image": "x", "ports": ports}]}


def wants(key: str, operator: str, *values: str) -> dict[str, Any]:
    terms = [{"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}]
    return {
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    }


TAINTED = NodeView("n1", NODE.allocatable, {}, (Taint(key="gone", effect="NoExecute"),))


@pytest.mark.parametrize(
    ("new", "others", "node", "reason", "text"),
    [
        (pod("1"), [pod("1")], NODE, "", ""),
        (
            pod("1500m"),
            [pod("1")],
            NODE,
            "OutOfcpu",
            "Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000",
        ),
        (
            pod(memory="1Gi"),
            [pod(memory="1Mi")],
            NODE,
            "OutOfmemory",
            "Node didn't have enough resource: memory, requested: 1073741824, used: 1048576, capacity: 1073741824",
        ),
        (
            pod(),
            [pod(), pod(), pod()],
            NODE,
            "OutOfpods",
            "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3",
        ),
        (pod(nodeSelector={"disk": "ssd"}), [], NODE, "", ""),
        (
            pod(nodeSelector={"disk": "hdd"}),
            [],
            NODE,
            "NodeAffinity",
            "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
        ),
        (pod(**wants("disk", "In", "ssd")), [], NODE, "", ""),
        (pod(**wants("disk", "DoesNotExist")), [], NODE, "NodeAffinity", ""),
        (pod(**port(80)), [pod(**port(80, "10.0.0.1"))], NODE, "NodePorts", ""),
        (pod(**port(80, "10.0.0.2")), [pod(**port(80, "10.0.0.1"))], NODE, "", ""),
        (pod(), [], TAINTED, "TaintToleration", ""),
        (pod(tolerations=[{"operator": "Exists"}]), [], TAINTED, "", ""),
        (pod(os={"name": "windows"}), [], NODE, "PodOSNotSupported", ""),
        (pod(nodeName="other"), [], NODE, "NodeName", ""),
    ],
)
def test_a_pod_is_taken_or_refused(new: Pod, others: list[Pod], node: NodeView, reason: str, text: str) -> None:
    refused = admit(new, others, node)
    assert (refused.reason if refused else "") == reason
    assert not text or (refused is not None and refused.message == text)


async def test_two_pods_never_get_the_same_room_and_who_is_here_stays() -> None:
    here = [pod("1500m", uid="a"), pod("1500m", uid="b"), pod("1500m", uid="c")]
    admissions = Admissions(lambda: NODE, _nothing, lambda: here, _end)
    assert admissions.take(here[0]) is None
    assert admissions.take(here[1]) == admissions.take(here[1]) != None  # noqa: E711 - the same refusal again
    admissions.taken_already("c")  # an agent before this one took it
    assert admissions.take(here[2]) is None
    admissions.forget("a")
    assert [other.metadata.uid for other in admissions.others("x")] == ["c"]


async def test_a_refusal_for_a_label_is_checked_against_the_node_of_now() -> None:
    labels: dict[str, str] = {}

    async def look() -> None:
        labels["disk"] = "ssd"

    admissions = Admissions(lambda: NodeView("n1", NODE.allocatable, dict(labels)), look, list, _end)
    assert await admissions.ask(pod(nodeSelector={"disk": "ssd"}, uid="a")) is None
    refused = await admissions.ask(pod(nodeSelector={"disk": "hdd"}, uid="b"))
    assert refused is not None and refused.reason == "NodeAffinity"


async def _nothing() -> None:
    return None


def _end(pod_uid: str, ending: Ending) -> None:
    ENDED.append((pod_uid, ending.reason))


ENDED: list[tuple[str, str]] = []


def test_a_critical_pod_gets_room_by_the_end_of_the_least_important() -> None:
    ENDED.clear()
    guaranteed = {"limits": {"cpu": "1", "memory": "1Mi"}, "requests": {"cpu": "1", "memory": "1Mi"}}
    firm = pod(uid="firm", containers=[{"name": "c", "image": "x", "resources": guaranteed}])
    here = [firm, pod("600m", uid="burst"), pod("300m", uid="system", priority=2_000_000_000)]
    roomy = NodeView("n1", {"cpu": "2", "memory": "1Gi", "pods": "9"})
    admissions = Admissions(lambda: roomy, _nothing, lambda: here, _end)
    for one in here:
        assert admissions.take(one) is None
    assert admissions.take(pod("500m", uid="new")) is not None  # an ordinary one is refused
    assert admissions.take(pod("500m", uid="critical", priority=2_000_000_001)) is None
    assert ENDED == [("burst", "Preempting")]
    assert [one.metadata.uid for one in admissions.others("x")] == ["firm", "system"]


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ("500m", ["best"]),  # frees no CPU, but only pods are short
        ("1500m", ["big"]),
        ("1900m", ["small", "big"]),
        ("3", None),
    ],
)
def test_as_few_pods_as_possible_are_preempted(asked: str, chosen: list[str] | None) -> None:
    here = [pod(name="best"), pod("400m", name="small"), pod("900m", name="big")]
    node = NodeView("n1", {"cpu": "2", "memory": "1Gi", "pods": "3"})
    found = victims(pod(asked, priority=2_000_000_000), here, node)
    assert (None if found is None else sorted(one.metadata.name for one in found)) == (
        None if chosen is None else sorted(chosen)
    )


def test_a_gate_refuses_before_anything_else() -> None:
    admissions = Admissions(lambda: NODE, _nothing, list, _end)
    admissions.gates.append(lambda pod: Waiting("NodeShutdown", "down"))
    assert admissions.take(pod()) == Waiting("NodeShutdown", "down")


def test_the_largest_moment_of_the_init_phase_counts_and_sidecars_go_on() -> None:
    def one(cpu: str, **more: Any) -> dict[str, Any]:
        return {"name": f"c{cpu}", "image": "x", "resources": {"requests": {"cpu": cpu}}, **more}

    init = [one("1", restartPolicy="Always"), one("4"), one("2")]
    big = pod(initContainers=init, containers=[one("3")], overhead={"cpu": "100m"})
    assert pod_requests(big)["cpu"] == 5100  # the sidecar and the init container of 4
    small = pod(initContainers=init[:1], containers=[one("3")])
    assert pod_requests(small)["cpu"] == 4000


def container(policy: str) -> Container:
    return Container.model_validate(
        {"name": "c", "resizePolicy": [{"resourceName": "memory", "restartPolicy": policy}]}
    )


BEFORE = {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}}


@pytest.mark.parametrize(
    ("policy", "after", "restart"),
    [
        ("RestartContainer", {"requests": {"cpu": "2"}, "limits": {"memory": "1Gi"}}, False),
        ("RestartContainer", {"requests": {"cpu": "1"}, "limits": {"memory": "2Gi"}}, True),
        ("NotRequired", {"requests": {"cpu": "1"}, "limits": {"memory": "2Gi"}}, False),
    ],
)
def test_a_restart_follows_from_the_policy_of_what_changes(policy: str, after: Any, restart: bool) -> None:
    assert needs_restart(container(policy), BEFORE, after) is restart


@pytest.mark.parametrize(
    ("asked", "others", "pending", "text"),
    [
        ("1", [], "", ""),
        ("3", [], "Infeasible", "Node didn't have enough capacity: cpu, requested: 3000, capacity: 2000"),
        (
            "1",
            [pod("1500m", uid="o")],
            "Deferred",
            "Node didn't have enough resource: cpu, requested: 1000, used: 1500, capacity: 2000",
        ),
        ("400m", [pod("2", uid="o")], "", ""),  # who asks for less always gets it
    ],
)
def test_a_resize_is_granted_whole_or_not_at_all(asked: str, others: list[Pod], pending: str, text: str) -> None:
    old = desired(pod("500m", "1Mi"))
    new = pod(asked, "1Mi")
    allocation, waiting = decide(new, Allocation(old, old), others, NODE)
    assert (waiting.reason if waiting else "") == pending
    assert not text or (waiting is not None and waiting.message == text)
    assert allocation.allocated == (old if pending else desired(new))
    assert allocation.actuated == old and (allocation.generation == 2) is not bool(pending)
    assert desired(with_resources(new, allocation.allocated)) == allocation.allocated


def test_pods_end_by_priority_and_critical_ones_last() -> None:
    many = [
        pod(name="low", priority=0),
        pod(name="system", priority=2_000_000_500),
        pod(name="mid", priority=5000),
        pod(name="none"),
        pod(name="negative", priority=-7),
    ]
    table = groups(many, parse_periods("0=20,1000=10,2000000000=5"))
    assert [(seconds, [one.metadata.name for one in members]) for seconds, members in table] == [
        (20.0, ["low", "none", "negative"]),
        (10.0, ["mid"]),
        (5.0, ["system"]),
    ]
    assert [seconds for seconds, _ in groups(many, periods(30, 10))] == [20.0, 10.0]
    with pytest.raises(ValueError, match="no priority"):
        parse_periods("nonsense")
