"""How priority levels are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, NONE, age_of, name_of

columns = (
    NAME,
    Column("Type", description="Limited or Exempt."),
    Column("NominalConcurrencyShares", description="Its share of the requests served at once."),
    Column("Queues", description="How many queues it has."),
    Column("HandSize", description="From how many queues a flow chooses."),
    Column("QueueLengthLimit", description="How many requests may wait in a queue."),
    AGE,
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    level = spec.get("limited") or spec.get("exempt") or {}
    queuing = (level.get("limitResponse") or {}).get("queuing") or {}
    return [
        name_of(obj),
        spec.get("type", ""),
        level.get("nominalConcurrencyShares", NONE),
        queuing.get("queues", NONE),
        queuing.get("handSize", NONE),
        queuing.get("queueLengthLimit", NONE),
        age_of(obj, now),
    ]
