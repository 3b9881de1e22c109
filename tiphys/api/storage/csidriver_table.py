"""How storage drivers are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, NONE, age_of, name_of

UNSET = "<unset>"

columns = (
    NAME,
    Column("AttachRequired", type="boolean", description="Volumes are attached before they are mounted."),
    Column("PodInfoOnMount", type="boolean", description="The driver is told about the pod."),
    Column("StorageCapacity", type="boolean", description="The driver says how much is left."),
    Column("TokenRequests", description="The audiences of the tokens the driver asks for."),
    Column("RequiresRepublish", type="boolean", description="Volumes are published again and again."),
    Column("Modes", description="Persistent, Ephemeral or both."),
    AGE,
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    audiences = [item.get("audience", "") for item in spec.get("tokenRequests") or []]
    return [
        name_of(obj),
        spec.get("attachRequired", True),
        bool(spec.get("podInfoOnMount")),
        bool(spec.get("storageCapacity")),
        ",".join(audiences) if audiences else UNSET,
        bool(spec.get("requiresRepublish")),
        ",".join(spec.get("volumeLifecycleModes") or []) or NONE,
        age_of(obj, now),
    ]
