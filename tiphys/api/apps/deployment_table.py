"""How deployments are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, WORKLOAD, age_of, name_of, workload_cells

columns = (
    NAME,
    Column("Ready", description="Pods that are ready, of those wanted."),
    Column("Up-to-date", description="Pods of the newest template."),
    Column("Available", description="Pods that have been ready long enough."),
    AGE,
    *WORKLOAD,
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    return [
        name_of(obj),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        age_of(obj, now),
        *workload_cells(spec),
    ]
