"""How cron jobs are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, NONE, WORKLOAD, age, age_of, name_of, workload_cells

columns = (
    NAME,
    Column("Schedule", description="When jobs are started, as cron writes it."),
    Column("Timezone", description="The time zone of the schedule."),
    Column("Suspend", "boolean", description="Whether no jobs are started for now."),
    Column("Active", "integer", description="Jobs that are running."),
    Column("Last Schedule", description="How long ago a job was started."),
    AGE,
    *WORKLOAD,
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    last = status.get("lastScheduleTime")
    suspend = spec.get("suspend")
    return [
        name_of(obj),
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        "<unset>" if suspend is None else str(bool(suspend)),
        len(status.get("active") or ()),
        age(last, now) if last else NONE,
        age_of(obj, now),
        *workload_cells((spec.get("jobTemplate") or {}).get("spec") or {}),
    ]
