"""How claims of devices are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, age_of, name_of

columns = (
    NAME,
    Column("State", description="pending, allocated, reserved; deleted while it goes."),
    AGE,
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    status = obj.get("status") or {}
    states = ["deleted"] if (obj.get("metadata") or {}).get("deletionTimestamp") else []
    if status.get("allocation") is None:
        states += [] if states else ["pending"]
    else:
        states.append("allocated")
        states += ["reserved"] if status.get("reservedFor") else []
    return [name_of(obj), ",".join(states), age_of(obj, now)]
