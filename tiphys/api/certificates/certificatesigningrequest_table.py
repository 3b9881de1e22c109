"""How requests for certificates are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, NONE, age_of, name_of
from tiphys.api.times import human_duration

columns = (
    NAME,
    AGE,
    Column("SignerName", description="Who is to sign."),
    Column("Requestor", description="Who asked."),
    Column("RequestedDuration", description="For how long."),
    Column("Condition", description="Pending, or what was decided."),
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    seconds = spec.get("expirationSeconds")
    return [
        name_of(obj),
        age_of(obj, now),
        spec.get("signerName") or NONE,
        spec.get("username", ""),
        NONE if seconds is None else human_duration(seconds),
        condition_text(obj.get("status") or {}),
    ]


def condition_text(status: dict[str, Any]) -> str:
    """Approved,Issued"""
    words = [item.get("type", "") for item in status.get("conditions") or []]
    if not words:
        words = ["Pending"]
    return ",".join([*words, *(["Issued"] if status.get("certificate") else [])])
