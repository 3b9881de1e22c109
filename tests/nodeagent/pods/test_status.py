"""The status of a pod: phase, container states, conditions, and the patch that writes them."""

from datetime import timedelta
from typing import Any

import pytest

from nodeagent.pods.conditions import conditions
from nodeagent.pods.observed import Ending, Memory, Observed, ObservedContainer, ProbeView, ResizeView, Waiting
from nodeagent.pods.status import NodeAddresses, generate
from nodeagent.pods.statuspatch import status_patch
from tests.nodeagent.pods.test_plan import INIT, NOW, TWO, exited, pod, running, world
from tiphys.api.core.pod import Pod

NODE = NodeAddresses(("192.0.2.7",))


def status_of(the_pod: Pod, observed: Observed, memory: Memory | None = None) -> dict[str, Any]:
    return generate(the_pod, observed, memory or Memory(), NODE, NOW)


def condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(c for c in status["conditions"] if c["type"] == kind)


DELETED = {"deletionTimestamp": "2026-01-02T03:04:35Z", "deletionGracePeriodSeconds": 5}


@pytest.mark.parametrize(
    ("case", "spec", "meta", "observed", "phase"),
    [
        ("nothing made yet", {}, {}, world(sandbox=None), "Pending"),
        ("it runs", {}, {}, world(running("a")), "Running"),
        ("one of two runs", TWO, {}, world(running("a")), "Pending"),
        ("one ended, one runs", TWO, {}, world(exited("a"), running("b")), "Running"),
        ("init still to do", INIT, {}, world(running("i")), "Pending"),
        ("init failed for good", {**INIT, "restartPolicy": "Never"}, {}, world(exited("i", 1)), "Failed"),
        ("init failed, again", INIT, {}, world(exited("i", 1)), "Pending"),
        ("restarting", {}, {}, world(exited("a", 1)), "Running"),
        ("all succeeded", {"restartPolicy": "Never"}, {}, world(exited("a")), "Succeeded"),
        ("failed", {"restartPolicy": "Never"}, {}, world(exited("a", 3)), "Failed"),
        ("OnFailure failed", {"restartPolicy": "OnFailure"}, {}, world(exited("a", 3)), "Running"),
        ("deleted and stopped by a signal", {}, DELETED, world(exited("a", 137)), "Failed"),
        ("deleted and ended well", {}, DELETED, world(exited("a", 0)), "Succeeded"),
        ("deleted and still alive", {}, DELETED, world(running("a")), "Running"),
    ],
)
def test_the_phase(case: str, spec: dict[str, Any], meta: dict[str, Any], observed: Observed, phase: str) -> None:
    assert status_of(pod(spec, **meta), observed)["phase"] == phase, case


def test_a_waiting_container_says_why() -> None:
    fresh = status_of(pod(), world(sandbox=None))
    assert fresh["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert fresh["qosClass"] == "BestEffort"
    behind = status_of(pod(INIT), world(running("i")))
    assert behind["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    message = 'Back-off pulling image "x": ErrImagePull: no'
    memory = Memory(waiting={"a": Waiting("ImagePullBackOff", message)})
    pulling = status_of(pod(), world(), memory)["containerStatuses"][0]["state"]
    assert pulling == {"waiting": {"reason": "ImagePullBackOff", "message": message}}


def test_a_crash_loop_shows_the_last_end_and_the_count() -> None:
    memory = Memory(waiting={"a": Waiting("CrashLoopBackOff", "back-off 10s")})
    shown = status_of(pod(), world(exited("a", 3, 0), exited("a", 4, 1)), memory)["containerStatuses"][0]
    assert shown["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    assert shown["lastState"]["terminated"]["exitCode"] == 4
    assert shown["restartCount"] == 1
    assert shown["ready"] is False


def test_a_terminated_container_shows_its_end() -> None:
    killed = ObservedContainer("c1", "a", 0, "exited", 0, NOW, NOW, 137, oom_killed=True, message="bye")
    shown = status_of(pod({"restartPolicy": "Never"}), world(killed))["containerStatuses"][0]
    assert shown["state"]["terminated"] == {
        "exitCode": 137,
        "reason": "OOMKilled",
        "message": "bye",
        "startedAt": "2026-01-02T03:04:05Z",
        "finishedAt": "2026-01-02T03:04:05Z",
        "containerID": "tiphys://c1",
    }


def test_a_running_pod_is_ready_with_its_addresses() -> None:
    status = status_of(pod(), world(running("a")))
    assert (status["podIP"], status["podIPs"]) == ("10.244.0.2", [{"ip": "10.244.0.2"}])
    assert (status["hostIP"], status["hostIPs"]) == ("192.0.2.7", [{"ip": "192.0.2.7"}])
    assert status["observedGeneration"] == 1
    assert [(c["type"], c["status"]) for c in status["conditions"]] == [
        ("PodReadyToStartContainers", "True"),
        ("Initialized", "True"),
        ("Ready", "True"),
        ("ContainersReady", "True"),
        ("PodScheduled", "True"),
    ]


def test_an_unready_container_is_named() -> None:
    memory = Memory(probes={"b": ProbeView(started=True, ready=False)})
    status = status_of(pod(TWO), world(running("a"), running("b")), memory)
    assert condition(status, "Ready")["reason"] == "ContainersNotReady"
    assert condition(status, "ContainersReady")["message"] == "containers with unready status: [b]"
    behind = status_of(pod(INIT), world(exited("i")))
    assert condition(behind, "Initialized")["message"] == "containers with incomplete status: [j]"


def test_a_readiness_gate_holds_back_ready_alone() -> None:
    gated = {"readinessGates": [{"conditionType": "example.com/lb"}]}
    status = status_of(pod(gated), world(running("a")))
    assert condition(status, "ContainersReady")["status"] == "True"
    assert condition(status, "Ready")["reason"] == "ReadinessGatesNotReady"
    opened = {"conditions": [{"type": "example.com/lb", "status": "True"}]}
    status = status_of(pod(gated, opened), world(running("a")))
    assert condition(status, "Ready")["status"] == "True"
    assert status["conditions"][-1]["type"] == "example.com/lb"


def test_a_completed_pod_says_so() -> None:
    status = status_of(pod({"restartPolicy": "Never"}), world(exited("a")))
    assert condition(status, "Ready")["reason"] == "PodCompleted"
    failed = status_of(pod({"restartPolicy": "Never"}), world(exited("a", 1)))
    assert condition(failed, "Ready")["reason"] == "PodFailed"


def test_a_terminal_phase_is_kept_and_not_entered_early() -> None:
    done = pod({"restartPolicy": "Never"}, {"phase": "Succeeded"})
    assert status_of(done, world(running("a")))["phase"] == "Succeeded"
    late = pod({"activeDeadlineSeconds": 1}, {"phase": "Running"})
    assert generate(late, world(running("a")), Memory(), NODE, NOW, 5)["phase"] == "Running"
    ended = generate(late, world(exited("a", 137)), Memory(), NODE, NOW, 5)
    assert (ended["phase"], ended["reason"]) == ("Failed", "DeadlineExceeded")


def test_a_finished_container_keeps_its_status_when_its_record_is_gone() -> None:
    first = status_of(pod({"restartPolicy": "Never"}), world(exited("a", 3)))
    again = status_of(pod({"restartPolicy": "Never"}, first), world(sandbox=None))
    assert again["containerStatuses"] == first["containerStatuses"]
    assert again["podIP"] == "10.244.0.2"


def test_a_container_that_vanished_is_reported_and_counted() -> None:
    first = status_of(pod(), world(running("a")))
    lost = status_of(pod(status=first), world())["containerStatuses"][0]
    assert lost["lastState"]["terminated"]["reason"] == "ContainerStatusUnknown"
    assert lost["restartCount"] == 1


def test_an_unchanged_pod_is_not_written_again() -> None:
    status = status_of(pod(), world(running("a")))
    stored = Pod.model_validate({**pod().to_dict(), "status": status})
    later = generate(stored, world(running("a")), Memory(), NODE, NOW + timedelta(seconds=60))
    assert status_patch("u1", stored.status.to_dict(), later) is None


def test_the_patch_holds_only_what_changed() -> None:
    old = {
        "phase": "Pending",
        "podIPs": [{"ip": "10.0.0.1"}],
        "conditions": [
            {"type": "Ready", "status": "False", "reason": "ContainersNotReady", "lastProbeTime": None},
            {"type": "PodScheduled", "status": "True", "lastProbeTime": None},
        ],
    }
    new = {
        "phase": "Running",
        "podIPs": [{"ip": "10.0.0.2"}],
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}],
    }
    patch = status_patch("u1", old, new)
    assert patch == {
        "metadata": {"uid": "u1"},
        "status": {
            "phase": "Running",
            "podIPs": [{"ip": "10.0.0.2"}, {"$patch": "replace"}],
            "conditions": [{"type": "Ready", "status": "True", "reason": None, "lastProbeTime": None}],
        },
    }


def test_resize_conditions_come_and_go() -> None:
    view = ResizeView(
        {"a": {"requests": {"cpu": "2"}}}, {"a": {"requests": {"cpu": "1"}}}, 4, Waiting("Deferred", "no room"), "busy"
    )
    status: dict[str, Any] = {"phase": "Running", "containerStatuses": []}
    found = {c["type"]: c for c in conditions(pod(), world(), Memory(resize=view), status, NOW)}
    pending, progress = found["PodResizePending"], found["PodResizeInProgress"]
    assert (pending["reason"], pending["message"], pending["status"]) == ("Deferred", "no room", "True")
    assert (progress["reason"], progress["message"], progress["observedGeneration"]) == ("Error", "busy", 4)
    old = {"conditions": list(found.values())}
    later = {"conditions": conditions(pod(), world(), Memory(), {**status, **old}, NOW)}
    patch = status_patch("u", old, later)
    assert patch is not None
    assert patch["status"]["conditions"] == [
        {"type": "PodResizePending", "$patch": "delete"},
        {"type": "PodResizeInProgress", "$patch": "delete"},
    ]


def test_a_pod_the_node_ends_is_failed_once_nothing_of_it_runs() -> None:
    ending = Memory(ending=Ending("Evicted", "The node was low on resource: memory."))
    assert status_of(pod(), world(running("a")), ending)["phase"] != "Failed"
    over = status_of(pod(), world(exited("a", 137), sandbox=None), ending)
    assert (over["phase"], over["reason"]) == ("Failed", "Evicted")
    target = next(c for c in over["conditions"] if c["type"] == "DisruptionTarget")
    assert (target["status"], target["reason"]) == ("True", "TerminationByKubelet")


def test_messages_of_a_pod_share_twelve_kibibytes() -> None:
    spec = {"containers": [{"name": f"c{number}", "image": "x"} for number in range(6)], "restartPolicy": "Never"}
    ended = [ObservedContainer(f"id{n}", f"c{n}", 0, "exited", exit_code=1, message="é" * 2048) for n in range(6)]
    found = status_of(pod(spec), Observed(tuple(ended)), Memory())
    messages = [s["state"]["terminated"]["message"] for s in found["containerStatuses"]]
    assert [len(message.encode()) for message in messages] == [2048] * 6
