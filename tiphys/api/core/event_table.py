"""How events are printed: when last seen, of what, and what happened."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import UNKNOWN, age, name_of

JsonObject = dict[str, Any]

columns = (
    Column("Last Seen", description="How long ago it last happened."),
    Column("Type", description="Normal or Warning."),
    Column("Reason", description="Why, in one word."),
    Column("Object", description="What it happened to."),
    Column("Subobject", priority=1, description="The part of the object it happened to."),
    Column("Source", priority=1, description="Who saw it."),
    Column("Message", description="What happened."),
    Column("First Seen", priority=1, description="How long ago it first happened."),
    Column("Count", priority=1, description="How often it happened."),
    Column("Name", format="name", priority=1, description="The name of the event."),
)


def cells(event: JsonObject, now: datetime) -> list[Any]:
    involved = event.get("involvedObject") or {}
    first = age(event.get("firstTimestamp"), now)
    if not event.get("firstTimestamp"):
        first = age(event.get("eventTime"), now)
    last = age(event.get("lastTimestamp"), now) if event.get("lastTimestamp") else first
    count = event.get("count") or 1
    if (series := event.get("series")) is not None:
        last = age(series.get("lastObservedTime"), now)
        count = series.get("count", 0)
    kind, name = involved.get("kind", "").lower(), involved.get("name", "")
    return [
        last,
        event.get("type", ""),
        event.get("reason", ""),
        f"{kind}/{name}" if name else kind,
        involved.get("fieldPath", ""),
        source_text(event),
        event.get("message", "").strip(),
        first if first else UNKNOWN,
        count,
        name_of(event),
    ]


def source_text(event: JsonObject) -> str:
    """kubelet, node-1"""
    source = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent") or ""
    instance = source.get("host") or event.get("reportingInstance") or ""
    return f"{component}, {instance}" if instance else component
