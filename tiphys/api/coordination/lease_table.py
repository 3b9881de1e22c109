"""How leases are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, age_of, name_of

columns = (NAME, Column("Holder", description="Who holds it."), AGE)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    return [name_of(obj), obj.get("spec", {}).get("holderIdentity", ""), age_of(obj, now)]
