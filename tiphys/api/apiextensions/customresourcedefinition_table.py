"""How definitions are listed: name and the moment of creation, as upstream does."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import NAME, name_of

columns = (NAME, Column("Created At", type="date", description="When the definition was created."))


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    return [name_of(obj), obj.get("metadata", {}).get("creationTimestamp", "")]
