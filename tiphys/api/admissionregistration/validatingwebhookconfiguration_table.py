"""How webhooks that may refuse requests are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, age_of, name_of

columns = (
    NAME,
    Column("Webhooks", type="integer", description="How many webhooks there are."),
    AGE,
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    return [name_of(obj), len(obj.get("webhooks") or []), age_of(obj, now)]
