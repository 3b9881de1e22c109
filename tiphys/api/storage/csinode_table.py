"""How the storage drivers of a node are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, age_of, name_of

columns = (
    NAME,
    Column("Drivers", type="integer", description="How many drivers run on the node."),
    AGE,
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    return [name_of(obj), len((obj.get("spec") or {}).get("drivers") or []), age_of(obj, now)]
