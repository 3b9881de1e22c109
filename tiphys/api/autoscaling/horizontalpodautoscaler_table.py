"""Autoscalers of version 1 are printed as those of version 2."""

from datetime import datetime
from typing import Any

from tiphys.api.autoscaling import horizontalpodautoscaler_v2_table as stored
from tiphys.api.autoscaling.horizontalpodautoscaler_conversion import to_storage

columns = stored.columns


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    return stored.cells(to_storage(obj), now)
