"""How resource quotas are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, age_of, name_of

columns = (
    NAME,
    Column("Request", description="What is requested, of what may be."),
    Column("Limit", description="The limits there are, of what they may be."),
    AGE,
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    status = obj.get("status", {})
    hard, used = status.get("hard") or {}, status.get("used") or {}
    limits = [name for name in sorted(hard) if name.startswith("limits.")]
    requests = [name for name in sorted(hard) if not name.startswith("limits.")]
    texts = [", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in names) for names in (requests, limits)]
    return [name_of(obj), *texts, age_of(obj, now)]
