"""The printed table of a custom resource: its name, then what its author named by JSONPath, or its age."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from tiphys.api.customresource.jsonpath import PathError, compile_path
from tiphys.api.kinds import Column
from tiphys.api.table import NAME, age, name_of
from tiphys.api.times import parse_time

JsonObject = dict[str, Any]
Cells = Callable[[JsonObject, datetime], list[Any]]
_AGE = {
    "name": "Age",
    "type": "date",
    "jsonPath": ".metadata.creationTimestamp",
    "description": "When the object was created.",
}


def table_of(declared: Sequence[Mapping[str, Any]]) -> tuple[tuple[Column, ...], Cells]:
    """The columns and the function of the cells for additionalPrinterColumns."""
    declared = declared or (_AGE,)
    columns = tuple(
        Column(
            str(one.get("name", "")),
            str(one.get("type", "")),
            str(one.get("format", "")),
            int(one.get("priority", 0)),
            str(one.get("description", "")),
        )
        for one in declared
    )
    readers = [_reader(one) for one in declared]

    def cells(obj: JsonObject, now: datetime) -> list[Any]:
        return [name_of(obj), *(read(obj, now) for read in readers)]

    return (NAME, *columns), cells


def _reader(column: Mapping[str, Any]) -> Callable[[JsonObject, datetime], Any]:
    try:
        find = compile_path(str(column.get("jsonPath", "")))
    except PathError:
        return lambda obj, now: None
    kind = column.get("type", "")

    def read(obj: JsonObject, now: datetime) -> Any:
        found = find(obj)
        if not found:
            return None
        if kind == "string":
            return " ".join(_text(one) for one in found)
        return _cell(kind, found[0], now)

    return read


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "<nil>"
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def _cell(kind: str, value: Any, now: datetime) -> Any:
    """A value as the column's type takes it; None where it is of another."""
    if kind == "date":
        if not isinstance(value, str):
            return None
        try:
            parse_time(value)
        except ValueError:
            return "<invalid>"
        return age(value, now)
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if kind == "integer" else value
