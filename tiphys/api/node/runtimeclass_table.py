"""How runtime classes are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, age_of, name_of

columns = (NAME, Column("Handler", description="What runs the containers."), AGE)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    return [name_of(obj), obj.get("handler", ""), age_of(obj, now)]
