"""How persistent volumes are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.core.persistentvolumeclaim_table import UNSET, access_modes_text
from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, age_of, name_of

columns = (
    NAME,
    Column("Capacity", description="How much it holds."),
    Column("Access Modes", description="Who may mount it, and how."),
    Column("Reclaim Policy", description="What becomes of it after its claim."),
    Column("Status", description="Where it is in its life."),
    Column("Claim", description="The claim it is bound to."),
    Column("StorageClass", description="Its class."),
    Column("VolumeAttributesClass", description="Its attributes class."),
    Column("Reason", description="Why it failed."),
    AGE,
    Column("VolumeMode", priority=1, description="Filesystem or Block."),
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    claim = spec.get("claimRef") or {}
    annotations = obj.get("metadata", {}).get("annotations") or {}
    return [
        name_of(obj),
        (spec.get("capacity") or {}).get("storage", "0"),
        access_modes_text(spec.get("accessModes") or []),
        spec.get("persistentVolumeReclaimPolicy", ""),
        "Terminating" if obj.get("metadata", {}).get("deletionTimestamp") else status.get("phase", ""),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        annotations.get("volume.beta.kubernetes.io/storage-class") or spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName") or UNSET,
        status.get("reason", ""),
        age_of(obj, now),
        spec.get("volumeMode") or UNSET,
    ]
