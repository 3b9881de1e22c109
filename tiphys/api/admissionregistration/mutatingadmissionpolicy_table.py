"""How mutating policies are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, age_of, name_of

UNSET = "<unset>"

columns = (
    NAME,
    Column("Mutations", type="integer", description="How many expressions it has."),
    Column("ParamKind", description="The kind of its parameters."),
    AGE,
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    kind = spec.get("paramKind")
    text = UNSET if kind is None else f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}"
    return [name_of(obj), len(spec.get("mutations") or []), text, age_of(obj, now)]
