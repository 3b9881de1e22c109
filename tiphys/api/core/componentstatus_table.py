"""How component statuses are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import NAME, name_of

columns = (
    NAME,
    Column("Status", description="Healthy or not."),
    Column("Message", description="What the component said."),
    Column("Error", description="What went wrong when it was asked."),
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    healthy: dict[str, Any] = next((item for item in obj.get("conditions") or [] if item.get("type") == "Healthy"), {})
    status = {"True": "Healthy", "False": "Unhealthy"}.get(healthy.get("status", ""), "Unknown")
    return [name_of(obj), status, healthy.get("message", ""), healthy.get("error", "")]
