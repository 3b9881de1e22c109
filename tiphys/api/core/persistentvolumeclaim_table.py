"""How persistent volume claims are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, age_of, name_of

SHORT = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
UNSET = "<unset>"

columns = (
    NAME,
    Column("Status", description="Pending, Bound or Lost."),
    Column("Volume", description="The volume it is bound to."),
    Column("Capacity", description="How much it got."),
    Column("Access Modes", description="Who may mount it, and how."),
    Column("StorageClass", description="The class it asks for."),
    Column("VolumeAttributesClass", description="The attributes class it asks for."),
    AGE,
    Column("VolumeMode", priority=1, description="Filesystem or Block."),
)


def access_modes_text(modes: list[str]) -> str:
    """RWO,RWX"""
    return ",".join(SHORT[mode] for mode in SHORT if mode in modes)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    phase = "Terminating" if obj.get("metadata", {}).get("deletionTimestamp") else status.get("phase", "")
    bound = bool(spec.get("volumeName"))
    annotations = obj.get("metadata", {}).get("annotations") or {}
    return [
        name_of(obj),
        phase,
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", "0") if bound else "",
        access_modes_text(status.get("accessModes") or []) if bound else "",
        annotations.get("volume.beta.kubernetes.io/storage-class") or spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName") or UNSET,
        age_of(obj, now),
        spec.get("volumeMode") or UNSET,
    ]
