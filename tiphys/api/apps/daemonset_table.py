"""How daemon sets are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, WORKLOAD, age_of, labels_text, name_of, workload_cells

columns = (
    NAME,
    Column("Desired", "integer", description="Nodes that should run a pod."),
    Column("Current", "integer", description="Nodes that run a pod."),
    Column("Ready", "integer", description="Nodes whose pod is ready."),
    Column("Up-to-date", "integer", description="Nodes whose pod is of the newest template."),
    Column("Available", "integer", description="Nodes whose pod has been ready long enough."),
    Column("Node Selector", description="Labels a node must have."),
    AGE,
    *WORKLOAD,
)
COUNTS = (
    "desiredNumberScheduled",
    "currentNumberScheduled",
    "numberReady",
    "updatedNumberScheduled",
    "numberAvailable",
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    node_selector = ((spec.get("template") or {}).get("spec") or {}).get("nodeSelector")
    return [
        name_of(obj),
        *(status.get(count, 0) for count in COUNTS),
        labels_text(node_selector),
        age_of(obj, now),
        *workload_cells(spec),
    ]
