"""How secrets are printed: never their values."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, age_of, name_of

columns = (
    NAME,
    Column("Type", description="What kind of secret it is."),
    Column("Data", description="How many keys it has."),
    AGE,
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    return [name_of(obj), obj.get("type", ""), len(obj.get("data") or ()), age_of(obj, now)]
