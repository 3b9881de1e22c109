"""How pod templates are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import NAME, container_cells, labels_text, name_of

columns = (
    NAME,
    Column("Containers", description="Names of the containers in the template."),
    Column("Images", description="Images of the containers in the template."),
    Column("Pod Labels", description="The labels pods of this template get."),
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    labels = ((obj.get("template") or {}).get("metadata") or {}).get("labels")
    return [name_of(obj), *container_cells(obj), labels_text(labels)]
