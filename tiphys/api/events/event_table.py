"""Events of events.k8s.io are printed as the core group's."""

from datetime import datetime
from typing import Any

from tiphys.api.core import event_table
from tiphys.api.events.event_conversion import to_storage

columns = event_table.columns


def cells(event: dict[str, Any], now: datetime) -> list[Any]:
    return event_table.cells(to_storage(event), now)
