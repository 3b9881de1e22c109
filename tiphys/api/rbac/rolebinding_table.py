"""How role bindings and cluster role bindings are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, age_of, name_of

columns = (
    NAME,
    Column("Role", description="What is allowed."),
    AGE,
    Column("Users", priority=1, description="The users who may."),
    Column("Groups", priority=1, description="The groups who may."),
    Column("ServiceAccounts", priority=1, description="The service accounts that may."),
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    role, subjects = obj.get("roleRef") or {}, obj.get("subjects") or []
    return [
        name_of(obj),
        f"{role.get('kind', '')}/{role.get('name', '')}",
        age_of(obj, now),
        ", ".join(item.get("name", "") for item in subjects if item.get("kind") == "User"),
        ", ".join(item.get("name", "") for item in subjects if item.get("kind") == "Group"),
        ", ".join(
            f"{item.get('namespace', '')}/{item.get('name', '')}"
            for item in subjects
            if item.get("kind") == "ServiceAccount"
        ),
    ]
