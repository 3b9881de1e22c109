"""How published devices are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, age_of, name_of

UNSET = "<unset>"

columns = (
    NAME,
    Column("Node", description="The node that has the devices."),
    Column("Driver", description="The driver that published them."),
    Column("Pool", description="The pool they belong to."),
    AGE,
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    pool = (spec.get("pool") or {}).get("name", "")
    return [name_of(obj), spec.get("nodeName") or UNSET, spec.get("driver", ""), pool, age_of(obj, now)]
