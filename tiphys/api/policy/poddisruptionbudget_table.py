"""How pod disruption budgets are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, age_of, name_of

columns = (
    NAME,
    Column("Min Available", description="How many pods must stay."),
    Column("Max Unavailable", description="How many pods may be missing."),
    Column("Allowed Disruptions", "integer", description="How many pods may go now."),
    AGE,
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    bounds = [str(spec[name]) if spec.get(name) is not None else "N/A" for name in ("minAvailable", "maxUnavailable")]
    return [name_of(obj), *bounds, status.get("disruptionsAllowed", 0), age_of(obj, now)]
