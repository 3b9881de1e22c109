"""What the server fills in for jobs and cron jobs."""

from typing import Any

from tiphys.api.declaration import sets_defaults

JsonObject = dict[str, Any]

NO_LIMIT = 2**31 - 1


@sets_defaults("io.k8s.api.batch.v1.Job")
def job(obj: JsonObject) -> None:
    spec, metadata = obj.setdefault("spec", {}), obj.setdefault("metadata", {})
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", NO_LIMIT if spec.get("backoffLimitPerIndex") is not None else 6)
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels and not metadata.get("labels"):
        metadata["labels"] = dict(labels)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("manualSelector", False)
    spec.setdefault("podReplacementPolicy", "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed")


@sets_defaults("io.k8s.api.batch.v1.PodFailurePolicyOnPodConditionsPattern")
def pod_conditions_pattern(pattern: JsonObject) -> None:
    if not pattern.get("status"):
        pattern["status"] = "True"


@sets_defaults("io.k8s.api.batch.v1.CronJob")
def cron_job(obj: JsonObject) -> None:
    spec = obj.setdefault("spec", {})
    if not spec.get("concurrencyPolicy"):
        spec["concurrencyPolicy"] = "Allow"
    spec.setdefault("suspend", False)
    spec.setdefault("successfulJobsHistoryLimit", 3)
    spec.setdefault("failedJobsHistoryLimit", 1)
