"""How bindings of mutating policies are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, age_of, name_of

UNSET = "<unset>"

columns = (
    NAME,
    Column("PolicyName", description="The policy."),
    Column("ParamRef", description="Its parameters."),
    AGE,
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    reference = spec.get("paramRef")
    text = UNSET
    if reference is not None:
        name = reference.get("name") or "*"
        text = f"{reference['namespace']}/{name}" if reference.get("namespace") else name
    return [name_of(obj), spec.get("policyName", ""), text, age_of(obj, now)]
