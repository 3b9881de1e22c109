"""How replication controllers are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, WORKLOAD, age_of, container_cells, labels_text, name_of

columns = (
    NAME,
    Column("Desired", "integer", description="Pods wanted."),
    Column("Current", "integer", description="Pods that exist."),
    Column("Ready", "integer", description="Pods that are ready."),
    AGE,
    *WORKLOAD,
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    return [
        name_of(obj),
        spec.get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        age_of(obj, now),
        *container_cells(spec),
        labels_text(spec.get("selector")),
    ]
