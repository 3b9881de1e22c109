"""The status of a job: conditions, and counting each pod exactly once.  Pure.

A pod is counted in three steps, so that a crash between any two loses and doubles nothing: `account` writes the uids of
ended pods into uncountedTerminatedPods; then their finalizer is removed; then `settle` moves the uids that no longer
have it into the counts.  The succeeded indexes of an Indexed job need no uids: a set cannot count twice.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from controllers.job_plan import FAILURE, SUCCESS, Census, Verdict, is_suspended
from controllers.job_pods import has_place, is_failed, is_indexed, is_tracked
from controllers.job_policies import ruling
from tiphys.api.batch.job import Job, JobCondition, JobStatus, UncountedTerminatedPods
from tiphys.api.core.pod import Pod
from tiphys.api.times import format_time

MAX_UNCOUNTED = 500  # keeps the status below 20 KB
FINAL = {SUCCESS: "Complete", FAILURE: "Failed"}


def finished(job: Job) -> JobCondition | None:
    """The Complete or Failed condition that says the job is over."""
    for one in job.status.conditions:
        if one.type in FINAL.values() and one.status == "True":
            return one
    return None


def with_condition(
    status: JobStatus, type: str, value: str, reason: str, message: str, now: datetime
) -> JobStatus | None:
    """The status with the condition; None where it says so already, or where False is to be said of what never was."""
    at = format_time(now)
    wanted = JobCondition(
        type=type, status=value, reason=reason, message=message, lastProbeTime=at, lastTransitionTime=at
    )
    before = [one for one in status.conditions if one.type == type]
    if any((one.status, one.reason, one.message) == (value, reason, message) for one in before):
        return None
    if not before:
        return None if value == "False" else status.model_copy(update={"conditions": [*status.conditions, wanted]})
    changed = [wanted if one.type == type else one for one in status.conditions]
    return status.model_copy(update={"conditions": changed})


def suspension(job: Job, now: datetime) -> JobStatus | None:
    """The status after the job was suspended or resumed; None when nothing changed.  Resuming starts the clock anew."""
    if is_suspended(job):
        return with_condition(job.status, "Suspended", "True", "JobSuspended", "Job suspended", now)
    resumed = with_condition(job.status, "Suspended", "False", "JobResumed", "Job resumed", now)
    return None if resumed is None else resumed.model_copy(update={"startTime": format_time(now)})


def settle(status: JobStatus, tracked: Collection[str]) -> JobStatus:
    """Count the uncounted pods whose uid is not among `tracked`, those with the finalizer."""
    parked = status.uncountedTerminatedPods
    if parked is None:
        return status.model_copy(update={"uncountedTerminatedPods": UncountedTerminatedPods()})
    left = UncountedTerminatedPods(
        succeeded=[uid for uid in parked.succeeded if uid in tracked],
        failed=[uid for uid in parked.failed if uid in tracked],
    )
    return status.model_copy(
        update={
            "succeeded": status.succeeded + len(parked.succeeded) - len(left.succeeded),
            "failed": status.failed + len(parked.failed) - len(left.failed),
            "uncountedTerminatedPods": left,
        }
    )


@dataclass(frozen=True)
class Account:
    """`status` is to be written first, then `release` lose the finalizer.  `more`: there are pods for another turn."""

    status: JobStatus
    release: Sequence[Pod]
    more: bool


def account(job: Job, counted: Census, status: JobStatus, verdict: Verdict | None, now: datetime) -> Account:
    """`status` has been settled already."""
    parked = status.uncountedTerminatedPods or UncountedTerminatedPods()
    succeeded, failed, release, more = list(parked.succeeded), list(parked.failed), list[Pod](), False
    # The last failed pod of an index carries the count of its failures: it stays until its replacement has that.
    held = {pod.metadata.uid for pod in counted.held.values()} if verdict is None else set()
    ended_badly = verdict is not None and verdict.type == FAILURE  # then every pod it had counts as failed
    over = verdict is not None or bool(job.metadata.deletionTimestamp)
    for pod in counted.pods:
        releasable = over or pod.status.phase == "Succeeded" or (is_failed(job, pod) and pod.metadata.uid not in held)
        if not is_tracked(pod) or not releasable:
            continue
        if len(succeeded) + len(failed) >= MAX_UNCOUNTED:
            more = True
            break
        release.append(pod)
        uid = pod.metadata.uid
        if uid in failed or uid in succeeded or not has_place(job, pod):
            continue
        if pod.status.phase == "Succeeded":
            if not is_indexed(job):
                succeeded.append(uid)
        elif (is_failed(job, pod) or ended_badly) and ruling(job, pod).counts:
            failed.append(uid)
    update: dict[str, object] = {"uncountedTerminatedPods": UncountedTerminatedPods(succeeded=succeeded, failed=failed)}
    if is_indexed(job):
        lost = counted.failed_indexes
        update |= {"succeeded": counted.done.total, "completedIndexes": str(counted.done)}
        update["failedIndexes"] = None if lost is None else str(lost)
    status = status.model_copy(update=update)
    if verdict is not None:
        status = with_condition(status, verdict.type, "True", verdict.reason, verdict.message, now) or status
    return Account(status, release, more)


def conclude(status: JobStatus, verdict: Verdict | None, now: datetime) -> JobStatus | None:
    """The status with Complete or Failed; None while pods are uncounted or have not ended."""
    parked = status.uncountedTerminatedPods
    if verdict is None or status.terminating or (parked is not None and (parked.succeeded or parked.failed)):
        return None
    type = FINAL[verdict.type]
    over = with_condition(status, type, "True", verdict.reason, verdict.message, now)
    if over is None or type != "Complete":
        return over
    return over.model_copy(update={"completionTime": format_time(now)})
