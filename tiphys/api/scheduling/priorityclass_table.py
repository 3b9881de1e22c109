"""How priority classes are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, age_of, name_of

columns = (
    NAME,
    Column("Value", "integer", description="How important pods of the class are."),
    Column("Global-Default", "boolean", description="Whether pods without a class are of this one."),
    AGE,
    Column("PreemptionPolicy", description="Whether pods of the class may push others out."),
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    policy = obj.get("preemptionPolicy") or "<unset>"
    return [name_of(obj), obj.get("value", 0), bool(obj.get("globalDefault")), age_of(obj, now), policy]
