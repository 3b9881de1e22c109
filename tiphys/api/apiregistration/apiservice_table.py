"""How API services are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, age_of, name_of

columns = (
    NAME,
    Column("Service", description="The service that answers, or Local."),
    Column("Available", description="Whether it can be used, and why not."),
    AGE,
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    service = (obj.get("spec") or {}).get("service")
    text = "Local" if service is None else f"{service.get('namespace', '')}/{service.get('name', '')}"
    conditions = (obj.get("status") or {}).get("conditions") or []
    available = next((item for item in conditions if item.get("type") == "Available"), None)
    if available is None:
        state = "Unknown"
    elif available.get("status") == "True":
        state = "True"
    else:
        state = f"{available.get('status', '')} ({available.get('reason', '')})"
    return [name_of(obj), text, state, age_of(obj, now)]
