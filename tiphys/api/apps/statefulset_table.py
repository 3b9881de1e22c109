"""How stateful sets are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, WORKLOAD, age_of, container_cells, name_of

columns = (NAME, Column("Ready", description="Pods that are ready, of those wanted."), AGE, *WORKLOAD[:2])


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    ready = f"{obj.get('status', {}).get('readyReplicas', 0)}/{obj.get('spec', {}).get('replicas', 0)}"
    return [name_of(obj), ready, age_of(obj, now), *container_cells(obj.get("spec", {}))]
