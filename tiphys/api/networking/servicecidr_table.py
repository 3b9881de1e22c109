"""How ranges of service addresses are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, age_of, name_of

columns = (
    NAME,
    Column("CIDRs", description="The ranges."),
    AGE,
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    return [name_of(obj), ",".join((obj.get("spec") or {}).get("cidrs") or []), age_of(obj, now)]
