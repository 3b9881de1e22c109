"""How volume attachments are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, age_of, name_of

columns = (
    NAME,
    Column("Attacher", format="name", description="The driver that attaches the volume."),
    Column("PV", description="The volume."),
    Column("Node", description="The node it is attached to."),
    Column("Attached", type="boolean", description="Whether it is attached."),
    AGE,
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    volume = (spec.get("source") or {}).get("persistentVolumeName") or ""
    attached = bool(status.get("attached"))
    return [name_of(obj), spec.get("attacher", ""), volume, spec.get("nodeName", ""), attached, age_of(obj, now)]
