"""Jobs with ttlSecondsAfterFinished go, with their pods, that long after they have ended."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from controllers.job_status import finished
from tiphys.api.batch.job import Job
from tiphys.api.times import parse_time
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Writes
from tiphys.client.errors import ApiError


def due_seconds(job: Job, now: datetime) -> float | None:
    """Seconds until the job is to be deleted, 0 when it is time; None: it is not to be deleted."""
    end, ttl = finished(job), job.spec.ttlSecondsAfterFinished
    if end is None or ttl is None or job.metadata.deletionTimestamp or not end.lastTransitionTime:
        return None
    return max(0.0, ttl - (now - parse_time(end.lastTransitionTime)).total_seconds())


class TTLAfterFinishedController(Controller):
    name: ClassVar = "ttl-after-finished-controller"
    kind = Job
    writes = (Writes(Job, ("get", "delete")),)

    async def reconcile(self, key: Key) -> float | None:
        job = self.cache(Job).get(*key)
        due = None if job is None else due_seconds(job, self.clock.now())
        if due != 0:
            return due
        try:
            # The cache may be behind a change of the ttl: the live job decides.
            live = await self.client.get(Job, key.name, key.namespace)
            due = due_seconds(live, self.clock.now())
            if due == 0:
                meta = live.metadata
                await self.client.delete(
                    Job,
                    meta.name,
                    meta.namespace,
                    propagation="Foreground",
                    uid=meta.uid,
                    resource_version=meta.resourceVersion,
                )
                return None
        except ApiError as error:
            if not error.not_found:
                raise
            return None
        return due
