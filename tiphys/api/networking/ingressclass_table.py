"""How ingress classes are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, NONE, age_of, name_of

columns = (
    NAME,
    Column("Controller", description="Who serves ingresses of the class."),
    Column("Parameters", description="The object with its parameters."),
    AGE,
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    spec = obj.get("spec", {})
    parameters = spec.get("parameters") or {}
    kind = ".".join(word for word in (parameters.get("kind", ""), parameters.get("apiGroup") or "") if word)
    text = f"{kind}/{parameters.get('name', '')}" if parameters else NONE
    return [name_of(obj), spec.get("controller", ""), text, age_of(obj, now)]
