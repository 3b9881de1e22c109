"""How volume attributes classes are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, age_of, name_of

columns = (
    NAME,
    Column("DriverName", description="The driver that understands the attributes."),
    AGE,
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    return [name_of(obj), obj.get("driverName", ""), age_of(obj, now)]
