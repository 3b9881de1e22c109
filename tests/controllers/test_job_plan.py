"""What a job does about its pods, as tables."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.job_indexes import INDEX_ANNOTATION, completion_index
from controllers.job_plan import Plan, census, plan
from controllers.job_pods import FAILURES_ANNOTATION, IGNORED_ANNOTATION, TRACKING_FINALIZER, new_pod
from tests.controllers.objects import NOW, ago
from tests.controllers.objects import pod as any_pod
from tiphys.api.batch.job import Job
from tiphys.api.core.pod import Pod

CODE_3 = {"onExitCodes": {"operator": "In", "values": [3]}}


def job(status: dict[str, Any] | None = None, deleting: bool = False, **spec: Any) -> Job:
    wanted = {"parallelism": 1, "backoffLimit": 6, "template": template(), **spec}
    meta = {"name": "work", "namespace": "default", "uid": "uid-work"}
    if deleting:
        meta["deletionTimestamp"] = ago(1)
    return Job.model_validate({"metadata": meta, "spec": wanted, "status": {"startTime": ago(1000), **(status or {})}})


def template(policy: str = "Never") -> dict[str, Any]:
    return {"spec": {"restartPolicy": policy, "containers": [{"name": "c", "image": "i"}]}}


def pod(
    name: str,
    phase: str = "Running",
    index: int | None = None,
    tracked: bool = True,
    ended_ago: float = 5000,
    code: int = 1,
    failures: int | None = None,
    going: bool = False,
    **fields: Any,
) -> Pod:
    notes = {} if index is None else {INDEX_ANNOTATION: str(index)}
    if failures is not None:
        notes[FAILURES_ANNOTATION] = str(failures)
    if going:
        fields["deletionTimestamp"] = ago(1)
    made = any_pod(name, phase=phase, annotations=notes, finalizers=[TRACKING_FINALIZER] if tracked else [], **fields)
    if phase not in ("Failed", "Succeeded"):
        return made
    state = {"terminated": {"exitCode": code if phase == "Failed" else 0, "finishedAt": ago(ended_ago)}}
    status = made.to_dict()["status"] | {"containerStatuses": [{"name": "c", "state": state}]}
    return Pod.model_validate({**made.to_dict(), "status": status})


def planned(wanted: Job, *pods: Pod) -> Plan:
    return plan(wanted, census(wanted, pods), NOW)


def indexed(**spec: Any) -> Job:
    return job(completionMode="Indexed", **{"completions": 3, "parallelism": 3, **spec})


@pytest.mark.parametrize(
    ("spec", "pods", "create", "drop"),
    [
        ({"completions": 5, "parallelism": 2}, [], 2, 0),
        ({"completions": 1, "parallelism": 2}, [], 1, 0),
        ({"completions": 5, "parallelism": 2}, ["Running"], 1, 0),
        ({"completions": 2, "parallelism": 2}, ["Succeeded", "Running"], 0, 0),
        ({"completions": 5, "parallelism": 1}, ["Running", "Running"], 0, 1),
        ({"completions": 5, "parallelism": 0}, ["Running"], 0, 1),
        ({"parallelism": 3}, [], 3, 0),
        ({"parallelism": 3}, ["Succeeded", "Running"], 0, 0),
        ({"completions": 2, "suspend": True}, ["Running"], 0, 1),
        ({"completions": 900, "parallelism": 900}, [], 500, 0),
    ],
)
def test_pods_follow_parallelism_and_what_is_still_to_do(
    spec: dict[str, Any], pods: list[str], create: int, drop: int
) -> None:
    todo = planned(job(**spec), *(pod(f"p{number}", phase) for number, phase in enumerate(pods)))
    assert (len(todo.create), len(todo.drop), todo.verdict, list(todo.end)) == (create, drop, None, [])


def test_a_job_being_deleted_makes_no_pods() -> None:
    assert planned(job(deleting=True, completions=3, parallelism=3)).create == ()


@pytest.mark.parametrize(
    ("policy", "create"), [("TerminatingOrFailed", 1), ("Failed", 0)], ids=["replaced at once", "waited for"]
)
def test_a_pod_that_is_going_is_replaced_as_the_policy_says(policy: str, create: int) -> None:
    wanted = job(completions=1, podReplacementPolicy=policy)
    counted = census(wanted, [pod("p", going=True, ready=False, ready_ago=100)])
    assert counted.failed == (1 if create else 0)
    assert len(plan(wanted, counted, NOW).create) == create


@pytest.mark.parametrize(
    ("spec", "pods", "type", "reason"),
    [
        ({"completions": 2}, ["Succeeded", "Succeeded"], "SuccessCriteriaMet", "CompletionsReached"),
        ({"completions": 0}, [], "SuccessCriteriaMet", "CompletionsReached"),
        ({"parallelism": 2}, ["Succeeded", "Failed"], "SuccessCriteriaMet", "CompletionsReached"),
        ({"backoffLimit": 0, "completions": 1}, ["Failed"], "FailureTarget", "BackoffLimitExceeded"),
        ({"backoffLimit": 1, "completions": 1}, ["Failed", "Failed"], "FailureTarget", "BackoffLimitExceeded"),
        ({"activeDeadlineSeconds": 1000, "completions": 1}, ["Running"], "FailureTarget", "DeadlineExceeded"),
    ],
)
def test_a_job_is_over(spec: dict[str, Any], pods: list[str], type: str, reason: str) -> None:
    todo = planned(job(**spec), *(pod(f"p{number}", phase) for number, phase in enumerate(pods)))
    assert todo.verdict is not None and (todo.verdict.type, todo.verdict.reason) == (type, reason)
    assert len(todo.end) == pods.count("Running")


def test_what_was_decided_stands() -> None:
    target = {"type": "FailureTarget", "status": "True", "reason": "PodFailurePolicy", "message": "m"}
    todo = planned(job({"conditions": [target]}, completions=1), pod("p", "Succeeded"))
    assert todo.verdict is not None and (todo.verdict.reason, todo.verdict.message) == ("PodFailurePolicy", "m")


def test_a_deadline_that_is_still_ahead_is_waited_for_but_not_while_suspended() -> None:
    running = pod("p")
    assert planned(job(activeDeadlineSeconds=1010, completions=1), running).wait_seconds == 10
    assert planned(job(activeDeadlineSeconds=10, completions=1, suspend=True)).verdict is None


@pytest.mark.parametrize(
    ("ends", "wait"),
    [([4], 6), ([11], None), ([25, 4], 16), ([35, 25], None), ([9000, 8000, 700, 30], 50)],
    ids=["10 s after one", "over", "20 s after two", "20 s are over", "80 s after four"],
)
def test_failures_delay_the_next_pod_longer_and_longer(ends: list[float], wait: float | None) -> None:
    failed = [pod(f"p{number}", "Failed", ended_ago=end) for number, end in enumerate(ends)]
    todo = planned(job(completions=1), *failed)
    assert (todo.wait_seconds, len(todo.create)) == (wait, 0 if wait else 1)


def test_a_success_ends_the_delay_and_suspended_pods_cause_none() -> None:
    failed, then = pod("a", "Failed", ended_ago=5), pod("b", "Succeeded", ended_ago=3)
    assert len(planned(job(completions=2), failed, then).create) == 1
    dropped = pod("c", going=True, tracked=False, ready=False, ready_ago=1)
    assert len(planned(job(completions=1), dropped).create) == 1


def test_restarts_in_place_count_against_the_limit() -> None:
    wanted = job(completions=1, backoffLimit=3, template=template("OnFailure"))
    assert planned(wanted, pod("p", restarts=2)).verdict is None
    over = planned(wanted, pod("p", restarts=3)).verdict
    assert over is not None and over.reason == "BackoffLimitExceeded"


def test_counted_pods_are_not_counted_again() -> None:
    parked = {"succeeded": ["uid-b"], "failed": ["uid-c"]}
    wanted = job({"succeeded": 2, "failed": 1, "uncountedTerminatedPods": parked}, completions=9)
    pods = [
        pod("a", "Succeeded", tracked=False),
        pod("b", "Succeeded"),
        pod("c", "Failed"),
        pod("d", "Succeeded"),
        pod("e", "Failed", tracked=False),
    ]
    counted = census(wanted, pods)
    assert (counted.succeeded, counted.failed) == (4, 2)


# Policies


@pytest.mark.parametrize(
    ("action", "failed", "verdict"), [("Count", 1, None), ("Ignore", 0, None), ("FailJob", 1, "PodFailurePolicy")]
)
def test_the_failure_policy_decides_what_an_exit_code_means(action: str, failed: int, verdict: str | None) -> None:
    wanted = job(completions=1, podFailurePolicy={"rules": [{"action": action, **CODE_3}]})
    counted = census(wanted, [pod("p", "Failed", code=3)])
    assert counted.failed == failed
    found = plan(wanted, counted, NOW).verdict
    assert (found.reason if found else None) == verdict


def test_a_failure_policy_looks_at_conditions() -> None:
    rule = {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    wanted = job(completions=1, podFailurePolicy={"rules": [rule]})
    hit = pod("p", "Failed").to_dict()
    hit["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True"}]
    found = planned(wanted, Pod.model_validate(hit)).verdict
    assert found is not None
    assert found.message == "Pod default/p has condition DisruptionTarget matching FailJob rule at index 0"
    assert planned(wanted, pod("p", "Failed")).verdict is None


@pytest.mark.parametrize(
    ("rules", "met"),
    [
        ([{"succeededIndexes": "0,2"}], True),
        ([{"succeededIndexes": "0,1"}], False),
        ([{"succeededIndexes": "0,1", "succeededCount": 1}], True),
        ([{"succeededCount": 2}], True),
        ([{"succeededCount": 3}], False),
        ([{"succeededIndexes": "1"}, {"succeededCount": 2}], True),
    ],
)
def test_a_success_policy_is_met_by_indexes_or_by_their_number(rules: list[dict[str, Any]], met: bool) -> None:
    wanted = indexed(successPolicy={"rules": rules})
    pods = [pod("a", "Succeeded", index=0), pod("b", "Succeeded", index=2), pod("c", index=1)]
    todo = planned(wanted, *pods)
    assert (todo.verdict is not None and todo.verdict.reason == "SuccessPolicy") is met
    assert len(todo.end) == met


# Indexes


@pytest.mark.parametrize(
    ("pods", "create"),
    [
        ([], [0, 1, 2]),
        ([("Running", 1)], [0, 2]),
        ([("Succeeded", 0), ("Running", 2)], [1]),
        ([("Failed", 0), ("Running", 1)], [0, 2]),
    ],
)
def test_each_index_has_one_pod(pods: list[tuple[str, int]], create: list[int]) -> None:
    made = [pod(f"p{number}", phase, index=index) for number, (phase, index) in enumerate(pods)]
    assert planned(indexed(), *made).create == create


def test_pods_without_a_place_and_doubles_go() -> None:
    pods = [pod("a", index=0), pod("b", index=0, ready=False), pod("c", index=7), pod("d")]
    assert {one.metadata.name for one in planned(indexed(), *pods).drop} == {"b", "c", "d"}


def test_an_index_past_its_limit_fails_and_the_job_when_nothing_is_left() -> None:
    wanted = indexed(backoffLimitPerIndex=1, completions=2, parallelism=2, backoffLimit=99)
    pods = [pod("a", "Failed", index=0, failures=1), pod("b", index=1, failures=0)]
    counted = census(wanted, pods)
    todo = plan(wanted, counted, NOW)
    assert str(counted.failed_indexes) == "0" and todo.verdict is None and not todo.create
    last = planned(wanted, pods[0], pod("b", "Succeeded", index=1)).verdict
    assert last is not None and last.reason == "FailedIndexes"


def test_too_many_failed_indexes_end_the_job() -> None:
    wanted = indexed(backoffLimitPerIndex=0, maxFailedIndexes=1, backoffLimit=99)
    pods = [pod(name, "Failed", index=index, failures=0) for index, name in enumerate("ab")]
    over = planned(wanted, *pods, pod("c", index=2)).verdict
    assert over is not None and over.reason == "MaxFailedIndexesExceeded"


def test_the_failures_of_an_index_go_over_to_its_next_pod_after_its_own_delay() -> None:
    rules = [{"action": "Ignore", **CODE_3}]
    wanted = indexed(backoffLimitPerIndex=2, backoffLimit=99, podFailurePolicy={"rules": rules})
    early = pod("a", "Failed", index=0, failures=1, ended_ago=5)
    late = pod("b", "Failed", index=1, failures=0, code=3)
    counted = census(wanted, [early, late])
    assert set(counted.held) == {0, 1}
    todo = plan(wanted, counted, NOW)
    assert (list(todo.create), todo.wait_seconds) == ([1, 2], 15)
    ignored = new_pod(wanted, 1, counted.held[1]).metadata.annotations
    assert (ignored[FAILURES_ANNOTATION], ignored[IGNORED_ANNOTATION]) == ("0", "1")
    assert new_pod(wanted, 0, early).metadata.annotations[FAILURES_ANNOTATION] == "2"


def test_a_rule_fails_an_index_at_once() -> None:
    wanted = indexed(backoffLimitPerIndex=5, podFailurePolicy={"rules": [{"action": "FailIndex", **CODE_3}]})
    assert str(census(wanted, [pod("a", "Failed", index=2, failures=0, code=3)]).failed_indexes) == "2"


def test_a_long_name_leaves_room_for_the_index() -> None:
    wanted = indexed().model_copy(update={"metadata": indexed().metadata.model_copy(update={"name": "n" * 70})})
    made = new_pod(wanted, 12, None)
    assert made.metadata.generateName == "n" * 54 + "-12-" and completion_index(made) == 12


def test_an_index_variable_of_the_users_own_stays() -> None:
    own = {"name": "JOB_COMPLETION_INDEX", "value": "mine"}
    containers = [{"name": "c", "image": "i", "env": [own]}, {"name": "d", "image": "i"}]
    wanted = indexed(template={"spec": {"containers": containers, "restartPolicy": "Never"}})
    first, second = new_pod(wanted, 0, None).spec.containers
    assert [one.value for one in first.env] == ["mine"]
    source = second.env[0].valueFrom
    assert source is not None and source.fieldRef is not None
    assert source.fieldRef.fieldPath == f"metadata.labels['{INDEX_ANNOTATION}']"
