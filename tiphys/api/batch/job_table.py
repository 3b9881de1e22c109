"""How jobs are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, WORKLOAD, age_of, name_of, workload_cells
from tiphys.api.times import human_duration, parse_time

columns = (
    NAME,
    Column("Status", description="How the job is doing."),
    Column("Completions", description="Pods that succeeded, of those needed."),
    Column("Duration", description="How long the job took, or has been running."),
    AGE,
    *WORKLOAD,
)
CONDITIONS = ("Suspended", "FailureTarget", "SuccessCriteriaMet")


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    return [
        name_of(obj),
        status_text(obj),
        completions_text(spec, status),
        duration_text(status, now),
        age_of(obj, now),
        *workload_cells(spec),
    ]


def status_text(obj: dict[str, Any]) -> str:
    conditions = obj.get("status", {}).get("conditions") or ()
    true = {condition.get("type") for condition in conditions if condition.get("status") == "True"}
    for ended in ("Complete", "Failed"):
        if ended in true:
            return ended
    if obj.get("metadata", {}).get("deletionTimestamp"):
        return "Terminating"
    return next((condition for condition in CONDITIONS if condition in true), "Running")


def completions_text(spec: dict[str, Any], status: dict[str, Any]) -> str:
    succeeded, parallelism = status.get("succeeded", 0), spec.get("parallelism") or 0
    if spec.get("completions") is not None:
        return f"{succeeded}/{spec['completions']}"
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def duration_text(status: dict[str, Any], now: datetime) -> str:
    if not status.get("startTime"):
        return ""
    end = parse_time(status["completionTime"]) if status.get("completionTime") else now
    return human_duration((end - parse_time(status["startTime"])).total_seconds())
