"""How storage that is left is printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import NAME, name_of

columns = (
    NAME,
    Column("Created At", type="date", description="When it was first reported."),
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    return [name_of(obj), (obj.get("metadata") or {}).get("creationTimestamp")]
