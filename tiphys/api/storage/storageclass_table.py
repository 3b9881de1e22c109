"""How storage classes are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, age_of, name_of

IS_DEFAULT = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")

columns = (
    NAME,
    Column("Provisioner", description="Who makes the volumes."),
    Column("ReclaimPolicy", description="What becomes of a volume after its claim."),
    Column("VolumeBindingMode", description="When a claim is bound."),
    Column("AllowVolumeExpansion", description="Whether volumes can grow."),
    AGE,
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    annotations = obj.get("metadata", {}).get("annotations") or {}
    is_default = any(annotations.get(name) == "true" for name in IS_DEFAULT)
    return [
        name_of(obj) + (" (default)" if is_default else ""),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy") or "Delete",
        obj.get("volumeBindingMode") or "<unset>",
        bool(obj.get("allowVolumeExpansion")),
        age_of(obj, now),
    ]
