"""How flow schemas are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, NONE, age_of, name_of

columns = (
    NAME,
    Column("PriorityLevel", description="The priority level its requests belong to."),
    Column("MatchingPrecedence", description="Of the schemas that fit, the one with the lowest number counts."),
    Column("DistinguisherMethod", description="What tells its flows apart."),
    AGE,
    Column("MissingPL", description="Whether the priority level is missing."),
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    dangling = next(
        (item for item in (obj.get("status") or {}).get("conditions") or [] if item.get("type") == "Dangling"), None
    )
    return [
        name_of(obj),
        (spec.get("priorityLevelConfiguration") or {}).get("name", ""),
        spec.get("matchingPrecedence", 0),
        (spec.get("distinguisherMethod") or {}).get("type") or NONE,
        age_of(obj, now),
        dangling.get("status", "") if dangling is not None else "?",
    ]
