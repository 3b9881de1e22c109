"""Job: pods until enough of them have succeeded, or too many have failed.

`plan` (job_plan.py) decides on pods and on the end of the job, job_status.py counts.  The order of the writes is what
makes the counts exact: pods are deleted and created; the status names the ended pods; their finalizers go; the status
counts them; and only then may it say that the job is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from controllers.job_plan import Census, Plan, Verdict, census, is_suspended, plan
from controllers.job_pods import TRACKING_FINALIZER, is_tracked, new_pod
from controllers.job_status import FINAL, account, conclude, finished, settle, suspension
from controllers.podconditions import is_ready
from controllers.replicaset import first_error, in_growing_batches, is_active
from tiphys.api.batch.job import Job, JobStatus
from tiphys.api.core.pod import Pod
from tiphys.api.selectors import from_label_selector
from tiphys.api.times import format_time
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Writes
from tiphys.client.errors import ApiError
from tiphys.client.ownership import claim_owned, controller_of

MANAGER = "kubernetes.io/job-controller"
NAME_LABEL = "batch.kubernetes.io/job-name"
TRACKED_INDEX = "job-tracked"


def job_of_tracked(pod: Pod) -> list[Key]:
    """The job, there or not, that must take the finalizer off the pod."""
    if not is_tracked(pod):
        return []
    owner = controller_of(pod)
    if owner is not None and owner.kind != "Job":
        return []
    name = pod.metadata.labels.get(NAME_LABEL, "") if owner is None else owner.name
    return [Key(pod.metadata.namespace, name)]


class JobController(Controller):
    name: ClassVar = "job-controller"
    kind = Job
    owns = (Pod,)
    adopts = True
    writes = (
        Writes(Pod, ("create", "delete", "patch")),
        Writes(Job, ("update",), "status"),
        Writes(Job, ("update",), "finalizers"),
    )

    def setup(self) -> None:
        self.cache(Pod).add_index(TRACKED_INDEX, lambda pod: [str(key) for key in job_of_tracked(pod)])
        self.on(Pod, job_of_tracked)

    async def reconcile(self, key: Key) -> float | None:
        job = self.cache(Job).get(*key)
        if job is not None and job.spec.managedBy not in (None, MANAGER):
            return None
        if job is None or finished(job) is not None:
            await self._release_strays(key, [])
            return None
        owned = await claim_owned(self.client, job, from_label_selector(job.spec.selector), self.cache(Pod))
        await self._release_strays(key, owned)
        return await self._sync(job, await self._track(job, owned))

    async def _sync(self, job: Job, pods: Sequence[Pod]) -> float | None:
        now = self.clock.now()
        before = job
        if job.status.startTime is None and not is_suspended(job):
            job = _with(job, job.status.model_copy(update={"startTime": format_time(now)}))
        counted = census(job, pods)
        todo = plan(job, counted, now)
        created, gone, failure = await self._act(job, counted, todo, now)
        verdict = None if failure is not None and todo.verdict is not None else todo.verdict
        job = self._with_counts(job, counted, created, gone, verdict, now)
        await self._write(before, job, counted, verdict, now)
        if failure is not None:
            raise failure
        return todo.wait_seconds

    # Pods

    async def _track(self, job: Job, pods: Sequence[Pod]) -> Sequence[Pod]:
        """Adopted pods get the finalizer while they run, or they would end uncounted."""
        if job.metadata.deletionTimestamp:
            return pods

        async def tracked(pod: Pod) -> Pod:
            if is_tracked(pod) or not is_active(pod):
                return pod
            patch = {"metadata": {"uid": pod.metadata.uid, "finalizers": [TRACKING_FINALIZER]}}
            return await self.client.patch(
                Pod, pod.metadata.name, pod.metadata.namespace, patch, patch_type="strategic"
            )

        return await asyncio.gather(*map(tracked, pods))

    async def _release_strays(self, key: Key, owned: Sequence[Pod]) -> None:
        """Nobody else takes the finalizer off pods whose job is gone, has ended, or has let go of them."""
        mine = {pod.metadata.uid for pod in owned}
        strays = [pod for pod in self.cache(Pod).by_index(TRACKED_INDEX, str(key)) if pod.metadata.uid not in mine]
        await asyncio.gather(*map(self._untrack, strays))

    async def _untrack(self, pod: Pod) -> None:
        meta = pod.metadata
        patch = {"metadata": {"uid": meta.uid, "$deleteFromPrimitiveList/finalizers": [TRACKING_FINALIZER]}}
        try:
            await self.client.patch(Pod, meta.name, meta.namespace, patch, patch_type="strategic")
        except ApiError as error:
            if not error.not_found and error.code not in (409, 422):
                raise
            if error.conflict:
                raise  # somebody wrote at the same time: the finalizer is still there

    async def _act(
        self, job: Job, counted: Census, todo: Plan, now: datetime
    ) -> tuple[int, Sequence[Pod], ApiError | None]:
        """The number of pods created, the pods deleted, and the first refusal."""
        created, gone = 0, list[Pod]()

        async def create(index: int | None) -> None:
            nonlocal created
            pod = new_pod(job, index, None if index is None else counted.held.get(index))
            try:
                made = await self.client.create(pod)
            except ApiError as error:
                if not error.namespace_terminating:
                    self._tell(job, "Warning", "FailedCreate", f"Error creating: {error}")
                raise
            created += 1
            self._tell(job, "Normal", "SuccessfulCreate", f"Created pod: {made.metadata.name}")

        async def delete(pod: Pod) -> None:
            name = pod.metadata.name
            try:
                if pod in todo.drop:
                    await self._untrack(pod)
                await self.client.delete(Pod, name, pod.metadata.namespace, uid=pod.metadata.uid)
            except ApiError as error:
                if not error.not_found:
                    self._tell(job, "Warning", "FailedDelete", f"Error deleting: {error}")
                    raise
            gone.append(pod)
            self._tell(job, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")

        results = await asyncio.gather(*map(delete, [*todo.drop, *todo.end]), return_exceptions=True)
        failure = first_error(results) or await in_growing_batches(todo.create, create)
        if failure is not None and failure.namespace_terminating:
            failure = None
        return created, gone, failure

    # Status

    def _with_counts(
        self, job: Job, counted: Census, created: int, gone: Sequence[Pod], verdict: Verdict | None, now: datetime
    ) -> Job:
        active, lost = [*counted.active], {pod.metadata.uid for pod in gone}
        left = [pod for pod in active if pod.metadata.uid not in lost]
        if verdict is None and not job.metadata.deletionTimestamp:
            changed = suspension(job, now)
            if changed is not None:
                word = "Suspended" if is_suspended(job) else "Resumed"
                self._tell(job, "Normal", word, f"Job {word.lower()}")
                job = _with(job, changed)
        counts = {
            "active": len(left) + created,
            "ready": sum(map(is_ready, left)),
            "terminating": len(counted.terminating) + len(gone),
        }
        return _with(job, job.status.model_copy(update=counts))

    async def _write(self, before: Job, job: Job, counted: Census, verdict: Verdict | None, now: datetime) -> None:
        tracked = {pod.metadata.uid for pod in counted.pods if is_tracked(pod)}
        booked = account(job, counted, settle(job.status, tracked), verdict, now)
        job = await self._write_status(before, booked.status)
        results = await asyncio.gather(*map(self._untrack, booked.release), return_exceptions=True)
        tracked -= {pod.metadata.uid for pod, result in zip(booked.release, results, strict=True) if result is None}
        status = settle(job.status, tracked)
        over = None if booked.more else conclude(status, verdict, now)
        done = await self._write_status(job, over or status)
        if over is not None and verdict is not None:
            self._tell_end(done, verdict)
        error = first_error(results)
        if error is not None:
            raise error

    async def _write_status(self, job: Job, status: JobStatus) -> Job:
        if status.to_dict() == job.status.to_dict():
            return job
        return await self.client.update(_with(job, status), subresource="status")

    def _tell_end(self, job: Job, verdict: Verdict) -> None:
        completions = job.spec.completions
        if completions is not None and job.status.succeeded > completions:
            text = "Too many succeeded pods running after completion count reached"
            self._tell(job, "Warning", "TooManySucceededPods", text)
        if FINAL[verdict.type] == "Complete":
            self._tell(job, "Normal", "Completed", "Job completed")
        else:
            self._tell(job, "Warning", verdict.reason, verdict.message)

    def _tell(self, job: Job, type: str, reason: str, message: str) -> None:
        self.events.event(job, type, reason, message, source=self.name)


def _with(job: Job, status: JobStatus) -> Job:
    return job.model_copy(update={"status": status})
