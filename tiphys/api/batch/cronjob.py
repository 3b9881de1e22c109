"""CronJob: a Job at certain times."""

from typing import Annotated

from tiphys.api.batch.job import JobTemplateSpec
from tiphys.api.core.references import ObjectReference
from tiphys.api.declaration import At, Int32, Model, Object, Time, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import ListMeta, ObjectMeta


class CronJobSpec(Model, name="io.k8s.api.batch.v1.CronJobSpec"):
    """Which jobs are to run when."""

    schedule: Annotated[str, At(1, required=True)] = ""
    timeZone: Annotated[str | None, At(8)] = None
    startingDeadlineSeconds: Annotated[int | None, At(2)] = None
    concurrencyPolicy: Annotated[str, At(3, enum=("Allow", "Forbid", "Replace"))] = ""
    suspend: Annotated[bool | None, At(4)] = None
    jobTemplate: Annotated[JobTemplateSpec, At(5, required=True)] = default(JobTemplateSpec)
    successfulJobsHistoryLimit: Annotated[Int32 | None, At(6)] = None
    failedJobsHistoryLimit: Annotated[Int32 | None, At(7)] = None


class CronJobStatus(Model, name="io.k8s.api.batch.v1.CronJobStatus"):
    """Which jobs run, and when the last one started."""

    active: Annotated[list[ObjectReference], At(1)] = []
    lastScheduleTime: Annotated[Time | None, At(4)] = None
    lastSuccessfulTime: Annotated[Time | None, At(5)] = None


@kind(
    plural="cronjobs",
    short_names=("cj",),
    categories=("all",),
    generation=True,
    subresources=(SubresourceInfo("status"),),
)
class CronJob(Object, name="io.k8s.api.batch.v1.CronJob"):
    """Starts a job at certain times."""

    apiVersion: str = "batch/v1"
    kind: str = "CronJob"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[CronJobSpec, At(2, required=True, always=False)] = default(CronJobSpec)
    status: Annotated[CronJobStatus, At(3)] = default(CronJobStatus)


class CronJobList(Object, name="io.k8s.api.batch.v1.CronJobList"):
    """A list of CronJob objects."""

    apiVersion: str = "batch/v1"
    kind: str = "CronJobList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[CronJob], At(2, required=True, list_type="")] = []
