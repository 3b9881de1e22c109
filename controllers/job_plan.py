"""What to do about a job: count its pods, say whether it is over, choose pods to delete and to create.  Pure.

The order of the questions is upstream's: what was decided before stands; then the failure policy, the limits, the
deadline, the indexes, the success policy; then the count of completions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from controllers.job_indexes import Indexes, completion_index, first_missing, parse_indexes
from controllers.job_pods import (
    fails_index,
    has_place,
    index_backoff_seconds,
    index_failures,
    is_failed,
    is_indexed,
    is_terminating,
    is_tracked,
    job_backoff_seconds,
    replaces_failed_only,
    restarts_exceed,
)
from controllers.job_policies import ruling, success_rule
from controllers.replicaset import BURST, is_active
from controllers.replicaset_ranking import deletion_order
from tiphys.api.batch.job import Job, JobStatus
from tiphys.api.core.pod import Pod
from tiphys.api.times import parse_time

SUCCESS, FAILURE = "SuccessCriteriaMet", "FailureTarget"


@dataclass(frozen=True)
class Verdict:
    """The job is to end: `type` is SUCCESS or FAILURE."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True)
class Census:
    """The pods of a job, counted; `succeeded` and `failed` include those the status does not have yet."""

    pods: Sequence[Pod]
    active: Sequence[Pod]
    terminating: Sequence[Pod]
    succeeded: int
    failed: int
    done: Indexes = field(default_factory=Indexes)  # the succeeded indexes
    failed_indexes: Indexes | None = None  # with backoffLimitPerIndex
    held: Mapping[int, Pod] = field(default_factory=dict)  # last failed pod per index that waits for its replacement


@dataclass(frozen=True)
class Plan:
    verdict: Verdict | None = None
    end: Sequence[Pod] = ()  # delete and count as failed, because the job is over
    drop: Sequence[Pod] = ()  # delete without counting: suspended or too many
    create: Sequence[int | None] = ()  # one pod each, for that index of an Indexed job
    wait_seconds: float | None = None  # look again then


def census(job: Job, pods: Sequence[Pod]) -> Census:
    uncounted = job.status.uncountedTerminatedPods
    known = {*uncounted.succeeded, *uncounted.failed} if uncounted is not None else set()
    fresh = [pod for pod in pods if is_tracked(pod) and pod.metadata.uid not in known and has_place(job, pod)]
    succeeded = [pod for pod in fresh if pod.status.phase == "Succeeded"]
    failed = [pod for pod in fresh if is_failed(job, pod)]
    parked_succeeded, parked_failed = (
        (len(uncounted.succeeded), len(uncounted.failed)) if uncounted is not None else (0, 0)
    )
    counted = Census(
        pods,
        [pod for pod in pods if is_active(pod)],
        [pod for pod in pods if is_terminating(pod)],
        job.status.succeeded + len(succeeded) + parked_succeeded,
        job.status.failed + sum(ruling(job, pod).counts for pod in failed) + parked_failed,
    )
    return _indexed(job, counted) if is_indexed(job) else counted


def _indexed(job: Job, counted: Census) -> Census:
    completions = job.spec.completions or 0
    tracked = [pod for pod in counted.pods if is_tracked(pod) and has_place(job, pod)]
    before = parse_indexes(job.status.completedIndexes, completions)
    done = before.plus(index_of(pod) for pod in tracked if pod.status.phase == "Succeeded")
    lost: Indexes | None = None
    held: dict[int, Pod] = {}
    if job.spec.backoffLimitPerIndex is not None:
        failed = [pod for pod in tracked if is_failed(job, pod)]
        was = parse_indexes(job.status.failedIndexes or "", completions)
        lost = was.plus(index_of(pod) for pod in failed if fails_index(job, pod))
        active = {completion_index(pod) for pod in counted.active}
        for pod in sorted(failed, key=lambda one: sum(index_failures(one))):
            index = index_of(pod)
            if index not in active and index not in done and index not in lost:
                held[index] = pod
    return Census(counted.pods, counted.active, counted.terminating, done.total, counted.failed, done, lost, held)


def index_of(pod: Pod) -> int:
    index = completion_index(pod)
    assert index is not None, "callers leave out pods without a place"
    return index


def is_suspended(job: Job) -> bool:
    return bool(job.spec.suspend)


def plan(job: Job, counted: Census, now: datetime) -> Plan:
    """`job.status.startTime` must be set unless the job is suspended."""
    end = _ended_before(job.status) or _verdict(job, counted, now)
    if end is not None:
        return Plan(end, end=counted.active)
    todo = Plan() if job.metadata.deletionTimestamp else _manage(job, counted, now)
    left = len(counted.active) - len(todo.drop) + len(todo.create)
    completions = job.spec.completions
    enough = counted.succeeded > 0 if completions is None else counted.succeeded >= completions
    if enough and left == 0:
        reached = Verdict(SUCCESS, "CompletionsReached", "Reached expected number of succeeded pods")
        return Plan(reached, drop=todo.drop)
    waits = [seconds for seconds in (todo.wait_seconds, deadline_seconds(job, now)) if seconds is not None]
    return Plan(None, (), todo.drop, todo.create, min(waits, default=None))


def _ended_before(status: JobStatus) -> Verdict | None:
    for type in (SUCCESS, FAILURE):
        for one in status.conditions:
            if one.type == type and one.status == "True":
                return Verdict(type, one.reason, one.message)
    return None


def _verdict(job: Job, counted: Census, now: datetime) -> Verdict | None:
    """Whether the job is over for another reason than that it has run to its end."""
    spec = job.spec
    if spec.podFailurePolicy is not None:
        for pod in counted.pods:
            message = ruling(job, pod).message if is_failed(job, pod) else ""
            if message:
                return Verdict(FAILURE, "PodFailurePolicy", message)
    limit = 6 if spec.backoffLimit is None else spec.backoffLimit
    if counted.failed > limit or restarts_exceed(job, counted.pods):
        return Verdict(FAILURE, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    if deadline_seconds(job, now) == 0:
        return Verdict(FAILURE, "DeadlineExceeded", "Job was active longer than specified deadline")
    if not is_indexed(job):
        return None
    lost = counted.failed_indexes.total if counted.failed_indexes is not None else 0
    if spec.maxFailedIndexes is not None and lost > spec.maxFailedIndexes:
        text = "Job has exceeded the specified maximal number of failed indexes"
        return Verdict(FAILURE, "MaxFailedIndexesExceeded", text)
    if lost and lost + counted.succeeded >= (spec.completions or 0):
        return Verdict(FAILURE, "FailedIndexes", "Job has failed indexes")
    rule = success_rule(job, counted.done)
    return None if rule is None else Verdict(SUCCESS, "SuccessPolicy", f"Matched rules at index {rule}")


def deadline_seconds(job: Job, now: datetime) -> float | None:
    """Seconds until activeDeadlineSeconds have passed, 0 when they have; None: there is no deadline running."""
    limit, started = job.spec.activeDeadlineSeconds, job.status.startTime
    if limit is None or started is None or is_suspended(job):
        return None
    return max(0.0, limit - (now - parse_time(started)).total_seconds())


def _manage(job: Job, counted: Census, now: datetime) -> Plan:
    """Deletions or creations, never both in one turn."""
    active = counted.active
    if is_suspended(job):
        return Plan(drop=_removal(job, active, len(active), now)[:BURST])
    parallelism = 1 if job.spec.parallelism is None else job.spec.parallelism
    if job.spec.completions is not None:
        wanted = max(0, min(job.spec.completions - counted.succeeded, parallelism))
    else:
        wanted = len(active) if counted.succeeded else parallelism
    drop = _removal(job, active, max(0, len(active) - wanted), now)[:BURST]
    if drop:
        return Plan(drop=drop)
    going = len(counted.terminating) if replaces_failed_only(job) else 0
    missing = min(wanted - len(active) - going, BURST)
    if missing <= 0:
        return Plan()
    if job.spec.backoffLimitPerIndex is None:
        wait = job_backoff_seconds(job, counted.pods, now)
        if wait:
            return Plan(wait_seconds=wait)
    return _creation(job, counted, missing, now)


def _removal(job: Job, active: Sequence[Pod], at_least: int, now: datetime) -> Sequence[Pod]:
    """In an Indexed job every pod without a place and all but one per index; then the most expendable."""
    order = deletion_order(active, [], now)
    if not is_indexed(job):
        return order[:at_least]
    keep: dict[int, Pod] = {}
    for pod in order:
        if has_place(job, pod):
            keep[index_of(pod)] = pod  # the last of an index is the least expendable
    kept = {pod.metadata.uid for pod in keep.values()}
    surplus = [pod for pod in order if pod.metadata.uid not in kept]
    rest = [pod for pod in order if pod.metadata.uid in kept]
    return [*surplus, *rest[: max(0, at_least - len(surplus))]]


def _creation(job: Job, counted: Census, missing: int, now: datetime) -> Plan:
    if not is_indexed(job):
        return Plan(create=[None] * missing)
    busy = [*counted.active, *(counted.terminating if replaces_failed_only(job) else ())]
    taken = counted.done.plus(index_of(pod) for pod in busy if has_place(job, pod))
    if counted.failed_indexes is not None:
        taken = taken.union(counted.failed_indexes.runs)
    indexes = first_missing(taken, missing, job.spec.completions or 0)
    waits = {index: index_backoff_seconds(counted.held[index], now) for index in indexes if index in counted.held}
    late = [seconds for seconds in waits.values() if seconds]
    return Plan(create=[index for index in indexes if not waits.get(index)], wait_seconds=min(late, default=None))
