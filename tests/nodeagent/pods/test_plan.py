"""What the plan does for a pod, as tables: state of the world in, actions out."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nodeagent.pods.observed import (
    BackoffEntry,
    Ending,
    Memory,
    Observed,
    ObservedContainer,
    ObservedSandbox,
    ProbeView,
    ResizeView,
    Waiting,
)
from nodeagent.pods.plan import Actions, Start, plan
from nodeagent.pods.restart import spec_hash
from nodeagent.pods.states import TRANSITIONS, PodState, diagram
from tiphys.api.core.pod import Pod

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SANDBOX = ObservedSandbox(ips=("10.244.0.2",))


def pod(spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **metadata: Any) -> Pod:
    return Pod.model_validate(
        {
            "metadata": {"name": "web", "namespace": "default", "uid": "u1", "generation": 1, **metadata},
            "spec": {"containers": [{"name": "a", "image": "x"}], "restartPolicy": "Always", **(spec or {})},
            "status": status or {},
        }
    )


def running(name: str, attempt: int = 0, **more: Any) -> ObservedContainer:
    return ObservedContainer(f"{name}-{attempt}", name, attempt, "running", 7, NOW, **more)


def exited(name: str, code: int = 0, attempt: int = 0, ago: float = 1.0) -> ObservedContainer:
    end = NOW - timedelta(seconds=ago)
    return ObservedContainer(f"{name}-{attempt}", name, attempt, "exited", 0, end, end, code)


def world(*containers: ObservedContainer, sandbox: ObservedSandbox | None = SANDBOX) -> Observed:
    return Observed(tuple(containers), sandbox)


def do(the_pod: Pod | None, observed: Observed, memory: Memory | None = None) -> Actions:
    return plan(the_pod, observed, memory or Memory(), NOW)


TWO = {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "x"}]}
INIT = {"initContainers": [{"name": "i", "image": "x"}, {"name": "j", "image": "x"}]}
SIDECAR = {"initContainers": [{"name": "s", "image": "x", "restartPolicy": "Always"}, {"name": "j", "image": "x"}]}


@pytest.mark.parametrize(
    ("case", "spec", "observed", "state", "starts"),
    [
        ("a new pod needs a sandbox first", {}, world(sandbox=None), PodState.WAITING, []),
        ("then its container", {}, world(), PodState.RUNNING, [Start("a")]),
        ("all containers start together", TWO, world(), PodState.RUNNING, [Start("a"), Start("b")]),
        ("only the missing one starts", TWO, world(running("a")), PodState.RUNNING, [Start("b")]),
        ("nothing to do when it runs", {}, world(running("a")), PodState.RUNNING, []),
        ("the first init container first", INIT, world(), PodState.INITIALIZING, [Start("i", kind="init")]),
        ("a running init container is waited for", INIT, world(running("i")), PodState.INITIALIZING, []),
        ("the next init container", INIT, world(exited("i")), PodState.INITIALIZING, [Start("j", kind="init")]),
        ("then the containers", INIT, world(exited("i"), exited("j")), PodState.RUNNING, [Start("a")]),
        ("init records may be gone later", INIT, world(running("a")), PodState.RUNNING, []),
        ("a failed init container again", INIT, world(exited("i", 1)), PodState.INITIALIZING, [Start("i", 1, "init")]),
        (
            "a failed init container ends a Never pod",
            {**INIT, "restartPolicy": "Never"},
            world(exited("i", 1)),
            PodState.FINISHED,
            [],
        ),
        ("a sidecar starts first", SIDECAR, world(), PodState.INITIALIZING, [Start("s", kind="sidecar")]),
        ("then the next", SIDECAR, world(running("s")), PodState.INITIALIZING, [Start("j", kind="init")]),
        (
            "a dead sidecar comes back while the pod runs",
            SIDECAR,
            world(exited("s"), exited("j"), running("a")),
            PodState.RUNNING,
            [Start("s", 1, "sidecar")],
        ),
        ("Always restarts a success", {}, world(exited("a")), PodState.RUNNING, [Start("a", 1)]),
        ("OnFailure leaves a success", {"restartPolicy": "OnFailure"}, world(exited("a")), PodState.FINISHED, []),
        (
            "OnFailure restarts a failure",
            {"restartPolicy": "OnFailure"},
            world(exited("a", 2)),
            PodState.RUNNING,
            [Start("a", 1)],
        ),
        ("Never leaves a failure", {"restartPolicy": "Never"}, world(exited("a", 2)), PodState.FINISHED, []),
        (
            "a pod with one container left is not finished",
            {**TWO, "restartPolicy": "Never"},
            world(exited("a"), running("b")),
            PodState.RUNNING,
            [],
        ),
        (
            "a container made but not started goes on with its attempt",
            {},
            world(ObservedContainer("a-3", "a", 3, "created")),
            PodState.RUNNING,
            [Start("a", 3)],
        ),
    ],
)
def test_what_is_started(
    case: str, spec: dict[str, Any], observed: Observed, state: PodState, starts: list[Start]
) -> None:
    actions = do(pod(spec), observed)
    assert (actions.state, actions.start) == (state, starts), case
    assert actions.create_sandbox == (observed.sandbox is None)
    assert not actions.kill


def test_the_first_restart_is_immediate_and_the_next_wait_longer() -> None:
    first = do(pod(), world(exited("a", 1)))
    assert first.start == [Start("a", 1)]
    assert first.backoff["a"].seconds == 10
    second = do(pod(), world(exited("a", 1, attempt=1, ago=3)), Memory(backoff={"a": BackoffEntry(10, NOW)}))
    assert second.start == []
    assert second.waiting["a"] == Waiting(
        "CrashLoopBackOff", "back-off 10s restarting failed container=a pod=web_default(u1)"
    )
    assert second.wake_after_seconds == pytest.approx(7)
    third = do(pod(), world(exited("a", 1, attempt=1, ago=11)), Memory(backoff={"a": BackoffEntry(10, NOW)}))
    assert third.start == [Start("a", 2)]
    assert third.backoff["a"].seconds == 20


@pytest.mark.parametrize(("before", "after"), [(10, 20), (160, 300), (300, 300)])
def test_the_back_off_doubles_up_to_five_minutes(before: float, after: float) -> None:
    memory = Memory(backoff={"a": BackoffEntry(before, NOW - timedelta(seconds=400))})
    assert do(pod(), world(exited("a", 1, ago=301)), memory).backoff["a"].seconds == after


def test_the_back_off_is_forgotten_after_ten_quiet_minutes() -> None:
    memory = Memory(backoff={"a": BackoffEntry(300, NOW - timedelta(seconds=700))})
    actions = do(pod(), world(exited("a", 1)), memory)
    assert actions.start == [Start("a", 1)]
    assert actions.backoff["a"].seconds == 10


def test_a_deleted_pod_is_stopped_with_the_deletions_grace() -> None:
    deleted = pod(deletionTimestamp="2026-01-02T03:04:35Z", deletionGracePeriodSeconds=5)
    actions = do(deleted, world(running("a")))
    assert actions.state is PodState.TERMINATING
    assert [(k.container_id, k.message, k.grace_seconds) for k in actions.kill] == [("a-0", "Stopping container a", 5)]
    assert not do(deleted, world(running("a")), Memory(stopping=frozenset({"a-0"}))).kill
    after = do(deleted, world(exited("a")))
    assert (after.state, after.remove_sandbox, after.start) == (PodState.TERMINATED, True, [])


def test_sidecars_are_stopped_after_the_containers_in_reverse_order() -> None:
    spec = {"initContainers": [{"name": n, "image": "x", "restartPolicy": "Always"} for n in ("s", "t")]}
    deleted = pod(spec, deletionTimestamp="2026-01-02T03:04:35Z", deletionGracePeriodSeconds=5)
    assert [k.name for k in do(deleted, world(running("s"), running("t"), running("a"))).kill] == ["a"]
    assert [k.name for k in do(deleted, world(running("s"), running("t"), exited("a"))).kill] == ["t"]
    assert [k.name for k in do(deleted, world(running("s"), exited("t"), exited("a"))).kill] == ["s"]


def test_a_pod_the_api_has_forgotten_is_stopped_and_its_sandbox_removed() -> None:
    assert [k.grace_seconds for k in do(None, world(running("a"))).kill] == [-1]
    assert do(None, world(exited("a"))).remove_sandbox


def test_a_lost_sandbox_takes_its_containers_with_it() -> None:
    actions = do(pod(), world(running("a"), sandbox=None))
    assert [k.name for k in actions.kill] == ["a"]
    assert not actions.create_sandbox
    assert do(pod(), world(exited("a"), sandbox=None)).create_sandbox


def test_a_failed_liveness_probe_stops_the_container_once() -> None:
    reason = "Container a failed liveness probe, will be restarted"
    memory = Memory(probes={"a": ProbeView(True, True, reason)})
    assert [k.message for k in do(pod(), world(running("a")), memory).kill] == [reason]
    assert not do(pod(), world(running("a")), Memory(probes=memory.probes, stopping=frozenset({"a-0"}))).kill


def test_a_changed_image_restarts_the_container() -> None:
    container = pod().spec.containers[0]
    assert not do(pod(), world(running("a", spec_hash=spec_hash(container)))).kill
    assert do(pod(), world(running("a", spec_hash="other"))).kill


def test_a_startup_probe_of_a_sidecar_holds_back_the_rest() -> None:
    memory = Memory(probes={"s": ProbeView(started=False, ready=False)})
    assert do(pod(SIDECAR), world(running("s")), memory).start == []


def test_a_pod_past_its_deadline_is_stopped() -> None:
    late = pod({"activeDeadlineSeconds": 5}, {"phase": "Running", "startTime": "2026-01-02T03:04:00Z"})
    actions = do(late, world(running("a")))
    assert (actions.state, [k.name for k in actions.kill]) == (PodState.FINISHED, ["a"])
    young = pod({"activeDeadlineSeconds": 8}, {"phase": "Running", "startTime": "2026-01-02T03:04:00Z"})
    assert do(young, world(running("a"))).wake_after_seconds == 3


def test_only_the_two_newest_attempts_are_kept() -> None:
    actions = do(pod(), world(exited("a", 1, 0), exited("a", 1, 1), running("a", 2)))
    assert actions.prune == ["a-0"]


def test_attempts_go_on_counting_when_the_records_are_lost() -> None:
    status = {"containerStatuses": [{"name": "a", "restartCount": 4, "containerID": "tiphys://1", "image": "x"}]}
    assert do(pod(status=status), world()).start == [Start("a", 5)]


def test_no_state_leads_from_an_ending_to_a_start() -> None:
    ending = {PodState.FINISHED, PodState.TERMINATING, PodState.TERMINATED, PodState.REMOVED}
    for state in ending:
        assert TRANSITIONS[state] <= ending


RULES = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]


@pytest.mark.parametrize(
    ("case", "spec", "container", "ended", "starts"),
    [
        ("its own Never beats the pod's Always", {}, {"restartPolicy": "Never"}, exited("a", 1), []),
        (
            "its own Always beats the pod's Never",
            {"restartPolicy": "Never"},
            {"restartPolicy": "Always"},
            exited("a"),
            [1],
        ),
        ("a rule beats Never", {}, {"restartPolicy": "Never", "restartPolicyRules": RULES}, exited("a", 42), [1]),
        (
            "a rule that does not match",
            {},
            {"restartPolicy": "Never", "restartPolicyRules": RULES},
            exited("a", 41),
            [],
        ),
        (
            "a rule by NotIn",
            {},
            {
                "restartPolicy": "Never",
                "restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "NotIn", "values": [3]}}],
            },
            exited("a", 41),
            [1],
        ),
    ],
)
def test_rules_come_before_policies(
    case: str, spec: dict[str, Any], container: dict[str, Any], ended: ObservedContainer, starts: list[int]
) -> None:
    containers = [{"name": "a", "image": "x", **container}]
    actions = do(pod({**spec, "containers": containers}), world(ended))
    assert [start.attempt for start in actions.start] == starts, case
    assert (actions.state is PodState.FINISHED) is not bool(starts), case


def test_what_was_stopped_to_be_replaced_is_started_again_even_after_a_success() -> None:
    on_failure = pod({"restartPolicy": "OnFailure"})
    assert do(on_failure, world(exited("a"))).start == []
    assert do(on_failure, world(exited("a")), Memory(replaced=frozenset({"a-0"}))).start == [Start("a", 1)]
    never = pod({"restartPolicy": "Never"})
    assert do(never, world(exited("a")), Memory(replaced=frozenset({"a-0"}))).start == []


def test_a_probe_may_have_a_grace_of_its_own() -> None:
    view = ProbeView(kill_reason="Container a failed liveness probe, will be restarted", kill_grace_seconds=3)
    (kill,) = do(pod(), world(running("a")), Memory(probes={"a": view})).kill
    assert (kill.grace_seconds, kill.replace) == (3, True)


def test_an_ephemeral_container_starts_once() -> None:
    debugged = {"ephemeralContainers": [{"name": "d", "image": "x"}]}
    assert Start("d", kind="ephemeral") in do(pod(debugged), world(running("a"))).start
    assert do(pod(debugged), world(running("a"), running("d"))).start == []
    assert do(pod(debugged), world(running("a"), exited("d", 1))).start == []
    ran = {"ephemeralContainerStatuses": [{"name": "d", "containerID": "tiphys://gone"}]}
    assert do(pod(debugged, ran), world(running("a"))).start == []  # its record is gone


def test_a_node_that_ends_a_pod_shortens_its_grace_and_starts_nothing() -> None:
    actions = do(pod(), world(running("a")), Memory(ending=Ending("Evicted", "low on memory", 2)))
    assert actions.state is PodState.FINISHED and actions.start == []
    assert [kill.grace_seconds for kill in actions.kill] == [2]


def test_a_resize_that_needs_a_restart_stops_the_container() -> None:
    (kill,) = do(pod(), world(running("a")), Memory(resize=ResizeView(restart=frozenset({"a"})))).kill
    assert (kill.message, kill.replace) == ("Container a resize requires restart", True)


def test_the_diagram_draws_every_transition_of_the_table() -> None:
    drawn = {tuple(line.split(" --> ")) for line in diagram().splitlines()[1:]}
    drawn = {(before.strip(), after) for before, after in drawn}
    table = {(str(before), str(after)) for before, follow in TRANSITIONS.items() for after in follow}
    assert drawn == table | {("[*]", "Waiting"), ("Removed", "[*]")}


def test_the_document_shows_the_diagram_of_the_table() -> None:
    document = Path(__file__).parents[3] / "docs" / "pods.md"
    if document.exists():
        assert f"```mermaid\n{diagram()}```" in document.read_text()
