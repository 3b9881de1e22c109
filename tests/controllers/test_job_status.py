"""Counting each pod once, and saying so in the right order."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.job_plan import Verdict, census
from controllers.job_status import MAX_UNCOUNTED, account, conclude, settle, suspension
from controllers.ttlafterfinished import due_seconds
from tests.controllers.objects import NOW, ago
from tests.controllers.test_job_plan import indexed, job, pod
from tiphys.api.batch.job import JobStatus, UncountedTerminatedPods

DONE = Verdict("SuccessCriteriaMet", "CompletionsReached", "m")
LOST = Verdict("FailureTarget", "BackoffLimitExceeded", "m")


def test_a_pod_is_named_then_released_then_counted() -> None:
    wanted = job(completions=3)
    pods = [pod("a", "Succeeded"), pod("b", "Failed"), pod("c")]
    booked = account(wanted, census(wanted, pods), settle(wanted.status, set()), None, NOW)
    parked = booked.status.uncountedTerminatedPods
    assert parked == UncountedTerminatedPods(succeeded=["uid-a"], failed=["uid-b"])
    assert (booked.status.succeeded, booked.status.failed) == (0, 0)
    assert [one.metadata.name for one in booked.release] == ["a", "b"]
    half = settle(booked.status, {"uid-b", "uid-c"})
    assert (half.succeeded, half.failed) == (1, 0)
    assert half.uncountedTerminatedPods == UncountedTerminatedPods(failed=["uid-b"])
    whole = settle(half, {"uid-c"})
    assert (whole.succeeded, whole.failed, whole.uncountedTerminatedPods) == (1, 1, UncountedTerminatedPods())


def test_a_crash_after_naming_counts_nothing_twice() -> None:
    wanted = job({"uncountedTerminatedPods": {"succeeded": ["uid-a"], "failed": ["uid-b"]}}, completions=3)
    pods = [pod("a", "Succeeded"), pod("b", "Failed")]
    booked = account(wanted, census(wanted, pods), settle(wanted.status, {"uid-a", "uid-b"}), None, NOW)
    assert booked.status.uncountedTerminatedPods == wanted.status.uncountedTerminatedPods
    assert len(booked.release) == 2


def test_when_a_job_has_failed_every_pod_it_had_counts_as_failed_but_not_when_it_succeeded() -> None:
    wanted = job(completions=3)
    counted = census(wanted, [pod("a")])
    for verdict, failed in ((LOST, ["uid-a"]), (DONE, [])):
        booked = account(wanted, counted, settle(wanted.status, set()), verdict, NOW)
        parked = booked.status.uncountedTerminatedPods
        assert parked is not None and (parked.failed, len(booked.release)) == (failed, 1)
        assert [one.type for one in booked.status.conditions] == [verdict.type]


def test_the_last_failed_pod_of_an_index_is_kept_until_it_is_replaced() -> None:
    wanted = indexed(backoffLimitPerIndex=3)
    failed = pod("a", "Failed", index=0, failures=0)
    assert account(wanted, census(wanted, [failed]), wanted.status, None, NOW).release == []
    next_one = pod("b", index=0, failures=1)
    assert account(wanted, census(wanted, [failed, next_one]), wanted.status, None, NOW).release == [failed]


def test_the_status_names_a_limited_number_of_pods() -> None:
    wanted = job(completions=1000)
    pods = [pod(f"p{number}", "Succeeded") for number in range(MAX_UNCOUNTED + 1)]
    booked = account(wanted, census(wanted, pods), wanted.status, None, NOW)
    assert booked.more and len(booked.release) == MAX_UNCOUNTED


@pytest.mark.parametrize(
    ("status", "ends"),
    [({}, True), ({"terminating": 1}, False), ({"uncountedTerminatedPods": {"failed": ["u"]}}, False)],
)
def test_a_job_is_said_to_be_over_when_nothing_is_left_to_count(status: dict[str, Any], ends: bool) -> None:
    before = JobStatus.model_validate(status)
    over = conclude(before, DONE, NOW)
    assert (over is not None) is ends
    if over is not None:
        assert (over.completionTime, over.conditions[-1].type) == (ago(0), "Complete")
        assert conclude(before, LOST, NOW) is not None
    assert conclude(before, None, NOW) is None


def test_resuming_starts_the_clock_anew_and_says_nothing_if_it_was_never_suspended() -> None:
    assert suspension(job(), NOW) is None
    held = suspension(job(suspend=True), NOW)
    assert held is not None and held.conditions[0].reason == "JobSuspended"
    resumed = suspension(job({"conditions": [one.to_dict() for one in held.conditions]}), NOW)
    assert resumed is not None and resumed.startTime == ago(0)
    assert (resumed.conditions[0].status, resumed.conditions[0].reason) == ("False", "JobResumed")


@pytest.mark.parametrize(
    ("ttl", "ended_ago", "due"), [(10, 4, 6), (10, 10, 0), (0, 0, 0), (None, 99, None), (10, None, None)]
)
def test_a_job_is_due_its_ttl_after_its_end(ttl: int | None, ended_ago: float | None, due: float | None) -> None:
    status: dict[str, Any] = {}
    if ended_ago is not None:
        end = {"type": "Failed", "status": "True", "lastTransitionTime": ago(ended_ago)}
        status["conditions"] = [{"type": "FailureTarget", "status": "True", "lastTransitionTime": ago(9999)}, end]
    assert due_seconds(job(status, ttlSecondsAfterFinished=ttl), NOW) == due
