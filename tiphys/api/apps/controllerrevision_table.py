"""How controller revisions are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, NONE, age_of, name_of

columns = (
    NAME,
    Column("Controller", description="Whose state it was."),
    Column("Revision", description="Which of its states."),
    AGE,
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    return [name_of(obj), controller_text(obj), obj.get("revision", 0), age_of(obj, now)]


def controller_text(obj: dict[str, Any]) -> str:
    """statefulset.apps/web"""
    for owner in obj.get("metadata", {}).get("ownerReferences") or ():
        if owner.get("controller"):
            group = owner.get("apiVersion", "").rpartition("/")[0]
            kind = owner.get("kind", "").lower()
            return f"{kind}.{group}/{owner.get('name', '')}" if group else f"{kind}/{owner.get('name', '')}"
    return NONE
