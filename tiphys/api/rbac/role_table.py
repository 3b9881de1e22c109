"""How roles and cluster roles are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import NAME, name_of

columns = (NAME, Column("Created At", "date", description="When it was created."))


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    return [name_of(obj), obj.get("metadata", {}).get("creationTimestamp", "")]
