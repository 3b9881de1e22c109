"""CronJob: a Job at each time of the schedule.  What and when is decided in cronjob_plan.py and cronjob_times.py."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from controllers.cronjob_plan import SCHEDULED_ANNOTATION, Happening, Plan, forgotten, job_for, job_name, plan
from controllers.job_status import finished
from tiphys.api.batch.cronjob import CronJob, CronJobStatus
from tiphys.api.batch.job import Job
from tiphys.api.core.references import ObjectReference
from tiphys.api.times import TimeError, format_time, parse_time
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Writes
from tiphys.client.errors import ApiError
from tiphys.client.ownership import CONTROLLER_INDEX, is_controlled_by


class CronJobController(Controller):
    name: ClassVar = "cronjob-controller"
    kind = CronJob
    owns = (Job,)
    writes = (
        Writes(Job, ("get", "create", "delete")),
        Writes(CronJob, ("update",), "status"),
        Writes(CronJob, ("update",), "finalizers"),
    )

    async def reconcile(self, key: Key) -> float | None:
        cron = self.cache(CronJob).get(*key)
        if cron is None:
            return None
        jobs = self.cache(Job).by_index(CONTROLLER_INDEX, cron.metadata.uid)
        cron = await self._observe(cron, jobs)
        todo = plan(cron, self.clock.now())
        self._tell(cron, todo.happenings)
        if todo.start is not None:
            await self._start(cron, todo, todo.start)
        for job in forgotten(cron, jobs):
            await self._delete(cron, job.metadata.name, job.metadata.uid)
        return todo.wait_seconds

    async def _observe(self, cron: CronJob, jobs: Sequence[Job]) -> CronJob:
        """The cron job with its status brought up to date with its jobs."""
        missing = {one.uid for one in cron.status.active} - {job.metadata.uid for job in jobs}
        gone = {one.uid for one in cron.status.active if one.uid in missing and not await self._exists(one)}
        status, told = observed(cron, jobs, gone)
        self._tell(cron, told)
        return await self._write(cron, status)

    async def _exists(self, reference: ObjectReference) -> bool:
        try:
            live = await self.client.get(Job, reference.name, reference.namespace)
        except ApiError as error:
            if error.not_found:
                return False
            raise
        return live.metadata.uid == reference.uid

    async def _start(self, cron: CronJob, todo: Plan, at: datetime) -> None:
        active = list(cron.status.active)
        if todo.replace:
            await asyncio.gather(*(self._delete(cron, one.name, one.uid) for one in active))
            active = []
        try:
            job = await self.client.create(job_for(cron, at))
            self._tell(cron, [Happening("Normal", "SuccessfulCreate", f"Created job {job.metadata.name}")])
        except ApiError as error:
            if not error.already_exists:
                if not error.namespace_terminating:
                    self._tell(cron, [Happening("Warning", "FailedCreate", f"Error creating job: {error}")])
                raise
            job = await self.client.get(Job, job_name(cron, at), cron.metadata.namespace)
        if is_controlled_by(job, cron) and finished(job) is None:
            active.append(reference_to(job))
        update = {"active": active, "lastScheduleTime": format_time(at)}
        await self._write(cron, cron.status.model_copy(update=update))

    async def _delete(self, cron: CronJob, name: str, uid: str) -> None:
        try:
            await self.client.delete(Job, name, cron.metadata.namespace, propagation="Background", uid=uid)
        except ApiError as error:
            if error.not_found:
                return
            if error.conflict:
                raise  # not deleted: a job in its place must wait
            self._tell(cron, [Happening("Warning", "FailedDelete", f"Deleted job: {error}")])
            raise
        self._tell(cron, [Happening("Normal", "SuccessfulDelete", f"Deleted job {name}")])

    async def _write(self, cron: CronJob, status: CronJobStatus) -> CronJob:
        if status == cron.status:
            return cron
        return await self.client.update(cron.model_copy(update={"status": status}), subresource="status")

    def _tell(self, cron: CronJob, happenings: Sequence[Happening]) -> None:
        for one in happenings:
            self.events.event(cron, one.type, one.reason, one.message, source=self.name)


def reference_to(job: Job) -> ObjectReference:
    meta = job.metadata
    return ObjectReference(
        apiVersion="batch/v1",
        kind="Job",
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        resourceVersion=meta.resourceVersion,
    )


def observed(cron: CronJob, jobs: Sequence[Job], gone: set[str]) -> tuple[CronJobStatus, list[Happening]]:
    """The status after what happened to the jobs; `gone` are uids of active ones that exist no more.

    A job of the schedule that the status does not know was started just before its status write failed."""
    active, told, last = list(cron.status.active), list[Happening](), cron.status.lastSuccessfulTime
    scheduled = cron.status.lastScheduleTime
    for job in jobs:
        name, end, at = job.metadata.name, finished(job), scheduled_at(cron, job)
        listed = any(one.uid == job.metadata.uid for one in active)
        if at:
            scheduled = max(scheduled or "", format_time(at))
        if end is None and not listed and at:
            active += [] if job.metadata.deletionTimestamp else [reference_to(job)]
        elif end is None and not listed:
            text = f"Saw a job that the controller did not create or forgot: {name}"
            told.append(Happening("Warning", "UnexpectedJob", text))
        elif end is not None and listed:
            active = [one for one in active if one.uid != job.metadata.uid]
            text = f"Saw completed job: {name}, condition: {end.type}"
            told.append(Happening("Normal", "SawCompletedJob", text))
        if end is not None and end.type == "Complete" and job.status.completionTime:
            last = max(last or "", job.status.completionTime)
    for one in active:
        if one.uid in gone:
            told.append(Happening("Normal", "MissingJob", f"Active job went missing: {one.name}"))
    active = [one for one in active if one.uid not in gone]
    update = {"active": active, "lastSuccessfulTime": last, "lastScheduleTime": scheduled}
    return cron.status.model_copy(update=update), told


def scheduled_at(cron: CronJob, job: Job) -> datetime | None:
    """The time of the schedule the job was made for; None for one that somebody else made."""
    try:
        at = parse_time(job.metadata.annotations.get(SCHEDULED_ANNOTATION, ""))
    except TimeError:
        return None
    return at if job.metadata.name == job_name(cron, at) else None
