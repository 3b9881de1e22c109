"""Job: pods that run to their end."""

from typing import Annotated

from tiphys.api.core.pod import PodTemplateSpec
from tiphys.api.declaration import At, Int32, Model, Object, Time, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import LabelSelector, ListMeta, ObjectMeta


class PodFailurePolicyOnExitCodesRequirement(Model, name="io.k8s.api.batch.v1.PodFailurePolicyOnExitCodesRequirement"):
    """Which exit codes of which container a rule is about."""

    containerName: Annotated[str | None, At(1)] = None
    operator: Annotated[str, At(2, required=True, enum=("In", "NotIn"))] = ""
    values: Annotated[list[Int32], At(3, required=True, list_type="set")] = []


class PodFailurePolicyOnPodConditionsPattern(Model, name="io.k8s.api.batch.v1.PodFailurePolicyOnPodConditionsPattern"):
    """Which pod condition a rule is about."""

    type: Annotated[str, At(1, required=True)] = ""
    status: Annotated[str, At(2, always=True)] = ""


class PodFailurePolicyRule(Model, name="io.k8s.api.batch.v1.PodFailurePolicyRule"):
    """What a failed pod of a certain kind means for its job."""

    action: Annotated[str, At(1, required=True, enum=("Count", "FailIndex", "FailJob", "Ignore"))] = ""
    onExitCodes: Annotated[PodFailurePolicyOnExitCodesRequirement | None, At(2)] = None
    onPodConditions: Annotated[list[PodFailurePolicyOnPodConditionsPattern], At(3)] = []


class PodFailurePolicy(Model, name="io.k8s.api.batch.v1.PodFailurePolicy"):
    """Rules for failed pods; the first that fits decides."""

    rules: Annotated[list[PodFailurePolicyRule], At(1, required=True)] = []


class SuccessPolicyRule(Model, name="io.k8s.api.batch.v1.SuccessPolicyRule"):
    """Which indexes must succeed."""

    succeededIndexes: Annotated[str | None, At(1)] = None
    succeededCount: Annotated[Int32 | None, At(2)] = None


class SuccessPolicy(Model, name="io.k8s.api.batch.v1.SuccessPolicy"):
    """When an indexed job counts as successful before all pods have ended."""

    rules: Annotated[list[SuccessPolicyRule], At(1, required=True)] = []


class JobSpec(Model, name="io.k8s.api.batch.v1.JobSpec"):
    """What a job is to do."""

    parallelism: Annotated[Int32 | None, At(1)] = None
    completions: Annotated[Int32 | None, At(2)] = None
    activeDeadlineSeconds: Annotated[int | None, At(3)] = None
    podFailurePolicy: Annotated[PodFailurePolicy | None, At(11)] = None
    successPolicy: Annotated[SuccessPolicy | None, At(16)] = None
    backoffLimit: Annotated[Int32 | None, At(7)] = None
    backoffLimitPerIndex: Annotated[Int32 | None, At(12)] = None
    maxFailedIndexes: Annotated[Int32 | None, At(13)] = None
    selector: Annotated[LabelSelector | None, At(4)] = None
    manualSelector: Annotated[bool | None, At(5)] = None
    template: Annotated[PodTemplateSpec, At(6, required=True)] = default(PodTemplateSpec)
    ttlSecondsAfterFinished: Annotated[Int32 | None, At(8)] = None
    completionMode: Annotated[str | None, At(9, enum=("Indexed", "NonIndexed"))] = None
    suspend: Annotated[bool | None, At(10)] = None
    podReplacementPolicy: Annotated[str | None, At(14, enum=("Failed", "TerminatingOrFailed"))] = None
    managedBy: Annotated[str | None, At(15)] = None


class JobCondition(Model, name="io.k8s.api.batch.v1.JobCondition"):
    """One aspect of a job's state."""

    type: Annotated[str, At(1, required=True)] = ""
    status: Annotated[str, At(2, required=True)] = ""
    lastProbeTime: Annotated[Time | None, At(3, always=True)] = None
    lastTransitionTime: Annotated[Time | None, At(4, always=True)] = None
    reason: Annotated[str, At(5)] = ""
    message: Annotated[str, At(6)] = ""


class UncountedTerminatedPods(Model, name="io.k8s.api.batch.v1.UncountedTerminatedPods"):
    """Pods that have ended but are not counted yet."""

    succeeded: Annotated[list[str], At(1, list_type="set")] = []
    failed: Annotated[list[str], At(2, list_type="set")] = []


class JobStatus(Model, name="io.k8s.api.batch.v1.JobStatus"):
    """How far a job has come."""

    conditions: Annotated[list[JobCondition], At(1, merge="type")] = []
    startTime: Annotated[Time | None, At(2)] = None
    completionTime: Annotated[Time | None, At(3)] = None
    active: Annotated[Int32, At(4)] = 0
    succeeded: Annotated[Int32, At(5)] = 0
    failed: Annotated[Int32, At(6)] = 0
    terminating: Annotated[Int32 | None, At(11)] = None
    completedIndexes: Annotated[str, At(7)] = ""
    failedIndexes: Annotated[str | None, At(10)] = None
    uncountedTerminatedPods: Annotated[UncountedTerminatedPods | None, At(8)] = None
    ready: Annotated[Int32 | None, At(9)] = None


@kind(plural="jobs", categories=("all",), generation=True, subresources=(SubresourceInfo("status"),))
class Job(Object, name="io.k8s.api.batch.v1.Job"):
    """Runs pods until enough of them have succeeded."""

    apiVersion: str = "batch/v1"
    kind: str = "Job"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[JobSpec, At(2)] = default(JobSpec)
    status: Annotated[JobStatus, At(3)] = default(JobStatus)


class JobList(Object, name="io.k8s.api.batch.v1.JobList"):
    """A list of Job objects."""

    apiVersion: str = "batch/v1"
    kind: str = "JobList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[Job], At(2, required=True, list_type="")] = []


class JobTemplateSpec(Model, name="io.k8s.api.batch.v1.JobTemplateSpec"):
    """What jobs made from a template are like."""

    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[JobSpec, At(2)] = default(JobSpec)
