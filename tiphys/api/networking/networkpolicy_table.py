"""How network policies are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, age_of, name_of, selector_text

columns = (NAME, Column("Pod-Selector", description="Which pods it is about."), AGE)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    return [name_of(obj), selector_text(obj.get("spec", {}).get("podSelector")), age_of(obj, now)]
