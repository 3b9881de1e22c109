"""One pod of a job: whether it is counted yet, whether it failed and when, and how the next one is made.  Pure.

A pod carries TRACKING_FINALIZER from its creation until the job's status accounts for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from controllers.job_indexes import INDEX_ANNOTATION, completion_index
from controllers.job_policies import ruling
from controllers.podconditions import condition
from controllers.podtemplate import pod_from_template
from tiphys.api.batch.job import Job
from tiphys.api.core.pod import Pod
from tiphys.api.times import parse_time

TRACKING_FINALIZER = "batch.kubernetes.io/job-tracking"
FAILURES_ANNOTATION = "batch.kubernetes.io/job-index-failure-count"
IGNORED_ANNOTATION = "batch.kubernetes.io/job-index-ignored-failure-count"
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"
BACKOFF_FIRST_SECONDS, BACKOFF_LAST_SECONDS = 10.0, 600.0
MAX_GENERATED_NAME = 58


def is_indexed(job: Job) -> bool:
    return job.spec.completionMode == "Indexed"


def replaces_failed_only(job: Job) -> bool:
    """A pod that is being deleted is neither failed nor replaced before it has ended."""
    return job.spec.podReplacementPolicy == "Failed" or job.spec.podFailurePolicy is not None


def is_tracked(pod: Pod) -> bool:
    return TRACKING_FINALIZER in pod.metadata.finalizers


def is_terminating(pod: Pod) -> bool:
    return bool(pod.metadata.deletionTimestamp) and pod.status.phase not in ("Succeeded", "Failed")


def is_failed(job: Job, pod: Pod) -> bool:
    """A pod that is deleted may never get to report how it ended, so it counts as failed unless the policy waits."""
    return pod.status.phase == "Failed" or (is_terminating(pod) and not replaces_failed_only(job))


def has_place(job: Job, pod: Pod) -> bool:
    """In an Indexed job, the pod has one of its indexes."""
    index = completion_index(pod)
    return not is_indexed(job) or (index is not None and index < (job.spec.completions or 0))


def finished_at(pod: Pod) -> datetime:
    """When the pod ended, as well as its status tells."""
    ends = [status.state.terminated for status in pod.status.containerStatuses]
    times = [parse_time(end.finishedAt) for end in ends if end is not None and end.finishedAt]
    if times and len(times) == len(ends):
        return max(times)
    ready = condition(pod, "Ready")
    if ready is not None and ready.status == "False" and ready.lastTransitionTime:
        return parse_time(ready.lastTransitionTime)
    meta = pod.metadata
    if meta.deletionTimestamp:
        return parse_time(meta.deletionTimestamp) - timedelta(seconds=meta.deletionGracePeriodSeconds or 0)
    return parse_time(meta.creationTimestamp or "1970-01-01T00:00:00Z")


# Back-off


def backoff_seconds(failures: int, last: datetime, now: datetime) -> float:
    """What is left of the delay after `failures` in a row, the last of them at `last`."""
    delay = min(BACKOFF_FIRST_SECONDS * 2.0 ** min(failures - 1, 16), BACKOFF_LAST_SECONDS)
    return max(0.0, delay - (now - last).total_seconds())


def job_backoff_seconds(job: Job, pods: Iterable[Pod], now: datetime) -> float:
    """0: pods may be created.  Counts the failures since the last success among the pods that still exist.

    Pods that the controller itself deleted have lost the finalizer by then: they failed nobody."""
    known = [pod for pod in pods if has_place(job, pod)]
    successes = [finished_at(pod) for pod in known if pod.status.phase == "Succeeded"]
    since = max(successes, default=None)
    failures = [
        at
        for pod in known
        if is_failed(job, pod) and (is_tracked(pod) or not pod.metadata.deletionTimestamp)
        if (at := finished_at(pod)) and (since is None or at > since)
    ]
    return backoff_seconds(len(failures), max(failures), now) if failures else 0.0


def index_failures(pod: Pod) -> tuple[int, int]:
    """(counted, ignored) failures of the pod's index before this pod."""
    annotations = pod.metadata.annotations
    counted, ignored = (annotations.get(name, "") for name in (FAILURES_ANNOTATION, IGNORED_ANNOTATION))
    return int(counted) if counted.isdecimal() else 0, int(ignored) if ignored.isdecimal() else 0


def index_backoff_seconds(failed: Pod, now: datetime) -> float:
    return backoff_seconds(sum(index_failures(failed)) + 1, finished_at(failed), now)


def fails_index(job: Job, pod: Pod) -> bool:
    """No other pod is made for the index of this failed pod."""
    rule = ruling(job, pod)
    limit = job.spec.backoffLimitPerIndex or 0
    return rule.action == "FailIndex" or (rule.counts and index_failures(pod)[0] >= limit)


def restarts_exceed(job: Job, pods: Sequence[Pod]) -> bool:
    """With restartPolicy OnFailure, containers that were restarted in place count as failures too."""
    if job.spec.template.spec.restartPolicy != "OnFailure":
        return False
    limit = 6 if job.spec.backoffLimit is None else job.spec.backoffLimit
    restarts = sum(
        status.restartCount
        for pod in pods
        if pod.status.phase in ("Running", "Pending")
        for status in (*pod.status.containerStatuses, *pod.status.initContainerStatuses)
    )
    return restarts > 0 if limit == 0 else restarts >= limit


# Making pods


def new_pod(job: Job, index: int | None, replaced: Pod | None) -> Pod:
    """A pod to create, for `index` of an Indexed job; `replaced` is the failed pod whose failures it inherits."""
    pod = pod_from_template(job, job.spec.template)
    meta: dict[str, Any] = {"finalizers": list(dict.fromkeys([*pod.metadata.finalizers, TRACKING_FINALIZER]))}
    if index is None:
        return pod.model_copy(update={"metadata": pod.metadata.model_copy(update=meta)})
    ending = f"-{index}-"
    meta["generateName"] = job.metadata.name[: MAX_GENERATED_NAME - len(ending)] + ending
    meta["labels"] = {**pod.metadata.labels, INDEX_ANNOTATION: str(index)}
    meta["annotations"] = {
        **pod.metadata.annotations,
        INDEX_ANNOTATION: str(index),
        **(_inherited(job, replaced) if job.spec.backoffLimitPerIndex is not None else {}),
    }
    spec = pod.spec.to_dict()
    spec["hostname"] = f"{job.metadata.name}-{index}"
    for container in (*spec.get("initContainers", ()), *spec.get("containers", ())):
        container["env"] = _with_index(container.get("env", []))
    changed = pod.metadata.model_copy(update=meta)
    return Pod.model_validate({**pod.to_dict(), "metadata": changed.to_dict(), "spec": spec})


def _with_index(env: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if any(variable.get("name") == INDEX_VARIABLE for variable in env):
        return env
    source = {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX_ANNOTATION}']"}}
    return [*env, {"name": INDEX_VARIABLE, "valueFrom": source}]


def _inherited(job: Job, replaced: Pod | None) -> dict[str, str]:
    if replaced is None:
        return {FAILURES_ANNOTATION: "0"}
    counted, ignored = index_failures(replaced)
    if ruling(job, replaced).counts:
        counted += 1
    else:
        ignored += 1
    return {FAILURES_ANNOTATION: str(counted), **({IGNORED_ANNOTATION: str(ignored)} if ignored else {})}
