"""How taken addresses are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import NAME, name_of

columns = (
    NAME,
    Column("ParentRef", description="The object the address belongs to."),
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    parent = (obj.get("spec") or {}).get("parentRef") or {}
    words = (parent.get("resource", ""), parent.get("group", ""))
    kind = ".".join(word for word in words if word)
    namespace = f"{parent['namespace']}/" if parent.get("namespace") else ""
    return [name_of(obj), f"{kind}/{namespace}{parent.get('name', '')}"]
