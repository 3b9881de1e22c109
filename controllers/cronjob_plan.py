"""What to do about a cron job now: start a job or not, and which finished jobs to forget.  Pure.

A job is named after the minute it was scheduled for, and lastScheduleTime only grows: so however clocks jump, and
whoever else acts, no time of the schedule is run twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Any

from controllers.cronjob_times import Missed, UnknownZone, missed, next_time, zone_of
from controllers.job_status import finished
from tiphys.api.batch.cron_schedule import ScheduleError, parse_schedule
from tiphys.api.batch.cronjob import CronJob
from tiphys.api.batch.job import Job
from tiphys.api.times import parse_time
from tiphys.client.ownership import owner_reference

SCHEDULED_ANNOTATION = "batch.kubernetes.io/cronjob-scheduled-timestamp"
LATE_SECONDS = 0.1  # look a little after the time, so that it is surely past
LOOK_AGAIN_SECONDS = 60.0  # timers do not see the wall clock jump; one look a minute does


@dataclass(frozen=True)
class Happening:
    """An event to record."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True)
class Plan:
    start: datetime | None = None  # create the job of this time
    replace: bool = False  # after deleting the running ones
    happenings: Sequence[Happening] = field(default_factory=list)
    wait_seconds: float | None = None


def plan(cron: CronJob, now: datetime) -> Plan:
    """`cron.status.active` must be up to date."""
    spec = cron.spec
    if cron.metadata.deletionTimestamp or spec.suspend:
        return Plan()
    try:
        schedule = parse_schedule(spec.schedule)
    except ScheduleError as error:
        return _warning("UnparseableSchedule", f'unparseable schedule: "{spec.schedule}" : {error}')
    name = spec.timeZone or schedule.zone
    try:
        zone = zone_of(name)
    except UnknownZone as error:
        return _warning("UnknownTimeZone", f'invalid timeZone: "{name}": {error}')
    since = _since(cron, None if schedule.every_seconds else now)
    found = missed(schedule, since, now, zone)
    following = next_time(schedule, found.latest or since, zone)
    wait = None
    if following is not None:
        wait = min(max(0.0, (following - now).total_seconds()) + LATE_SECONDS, LOOK_AGAIN_SECONDS)
    return _decide(cron, found, now, wait)


def _warning(reason: str, message: str) -> Plan:
    return Plan(happenings=[Happening("Warning", reason, message)])


def _since(cron: CronJob, now: datetime | None) -> datetime:
    """What came round before is none of our business any more; with `now`, nor is what is past the deadline.

    (An @every schedule counts from the last run, so there the deadline must not move the start.)"""
    since = parse_time(cron.status.lastScheduleTime or cron.metadata.creationTimestamp or "1970-01-01T00:00:00Z")
    deadline = cron.spec.startingDeadlineSeconds
    return since if deadline is None or now is None else max(since, now - timedelta(seconds=deadline))


def _decide(cron: CronJob, found: Missed, now: datetime, wait: float | None) -> Plan:
    at, told = found.latest, list[Happening]()
    if at is None or job_name(cron, at) in {one.name for one in cron.status.active}:
        return Plan(wait_seconds=wait)
    if found.many:
        text = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
        told.append(Happening("Warning", "TooManyMissedTimes", text))
    deadline = cron.spec.startingDeadlineSeconds
    if deadline is not None and at + timedelta(seconds=deadline) < now:
        missed_at = at.strftime("%a, %d %b %Y %H:%M:%S +0000")
        text = f"Missed scheduled time to start a job: {missed_at}"
        return Plan(happenings=[*told, Happening("Warning", "MissSchedule", text)], wait_seconds=wait)
    if cron.status.active and cron.spec.concurrencyPolicy == "Forbid":
        text = "Not starting job because prior execution is running and concurrency policy is Forbid"
        return Plan(happenings=[*told, Happening("Normal", "JobAlreadyActive", text)], wait_seconds=wait)
    return Plan(at, cron.spec.concurrencyPolicy == "Replace", told, wait)


def job_name(cron: CronJob, at: datetime) -> str:
    return f"{cron.metadata.name}-{int(at.timestamp()) // 60}"


def job_for(cron: CronJob, at: datetime) -> Job:
    """The job to create for the scheduled time."""
    template, zone = cron.spec.jobTemplate, _zone(cron)
    metadata: dict[str, Any] = {
        "name": job_name(cron, at),
        "namespace": cron.metadata.namespace,
        "labels": dict(template.metadata.labels),
        "annotations": {**template.metadata.annotations, SCHEDULED_ANNOTATION: _rfc3339(at, zone)},
        "ownerReferences": [owner_reference(cron)],
    }
    return Job.model_validate({"metadata": metadata, "spec": template.spec.to_dict()})


def _zone(cron: CronJob) -> tzinfo:
    return zone_of(cron.spec.timeZone or parse_schedule(cron.spec.schedule).zone)


def _rfc3339(at: datetime, zone: tzinfo) -> str:
    text = at.astimezone(zone).isoformat(timespec="seconds")
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def forgotten(cron: CronJob, jobs: Sequence[Job]) -> list[Job]:
    """The oldest finished jobs beyond the history limits."""
    spec, doomed = cron.spec, list[Job]()
    for type, limit in (("Complete", spec.successfulJobsHistoryLimit), ("Failed", spec.failedJobsHistoryLimit)):
        if limit is None:
            continue
        ended = [job for job in jobs if (end := finished(job)) is not None and end.type == type]
        ended.sort(key=lambda job: (job.status.startTime or "", job.metadata.name))
        doomed += ended[: max(0, len(ended) - limit)]
    return [job for job in doomed if not job.metadata.deletionTimestamp]
