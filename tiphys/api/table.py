"""Tables: what the server prints for `get`, so that every client shows the same columns.

A kind's `columns` and `cells` stand beside it in <kind>_table.py; this module builds the Table object around them and
has the small forms many kinds share: ages, label lists, container names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column, KindInfo
from tiphys.api.times import human_duration, parse_time

JsonObject = dict[str, Any]

API_VERSION = "meta.k8s.io/v1"
NONE = "<none>"
UNKNOWN = "<unknown>"
NAME = Column("Name", format="name", description="The name of the object, unique within its namespace.")
AGE = Column("Age", description="How long ago the object was created.")
WORKLOAD = (
    Column("Containers", priority=1, description="Names of the containers in the pod template."),
    Column("Images", priority=1, description="Images of the containers in the pod template."),
    Column("Selector", priority=1, description="Which pods are counted as its own."),
)


def build_table(
    info: KindInfo,
    objects: Iterable[JsonObject],
    list_metadata: Mapping[str, Any] | None,
    now: datetime,
    *,
    include_object: str = "Metadata",
    headers: bool = True,
) -> JsonObject:
    """The Table of some objects of one kind.

    `list_metadata` is the list's (for one object: the object's resourceVersion).  `include_object` is None, Metadata or
    Object as the client asked; in a watch only the first event has headers.
    """
    return {
        "kind": "Table",
        "apiVersion": API_VERSION,
        "metadata": dict(list_metadata or {}),
        "columnDefinitions": column_definitions(info.columns) if headers else None,
        "rows": [row(info, obj, now, include_object) for obj in objects],
    }


def column_definitions(columns: Iterable[Column]) -> list[JsonObject]:
    return [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": column.description,
            "priority": column.priority,
        }
        for column in columns
    ]


def row(info: KindInfo, obj: JsonObject, now: datetime, include_object: str) -> JsonObject:
    built: JsonObject = {"cells": info.cells(obj, now)}
    if conditions := info.row_conditions(obj):
        built["conditions"] = conditions
    if include_object == "Object":
        built["object"] = {"apiVersion": info.api_version, "kind": info.kind, **obj}
    elif include_object == "None":
        built["object"] = None
    else:
        built["object"] = partial_metadata(obj)
    return built


def partial_metadata(obj: JsonObject) -> JsonObject:
    """The object with nothing but its metadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": API_VERSION, "metadata": obj.get("metadata", {})}


# --- forms that many kinds share --------------------------------------------------------------------------------------


def age(timestamp: str | None, now: datetime) -> str:
    """The time since a wire timestamp as kubectl writes it; <unknown> where there is none."""
    if not timestamp:
        return UNKNOWN
    try:
        return human_duration((now - parse_time(timestamp)).total_seconds())
    except ValueError:
        return UNKNOWN


def name_of(obj: JsonObject) -> str:
    return str(obj.get("metadata", {}).get("name", ""))


def age_of(obj: JsonObject, now: datetime) -> str:
    return age(obj.get("metadata", {}).get("creationTimestamp"), now)


def labels_text(labels: Mapping[str, str] | None) -> str:
    """a=b,c=d in the order of keys, or <none>."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


_OPERATORS = {"In": "in", "NotIn": "notin"}


def selector_text(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector as `-l` would take it: app=x,tier in (a,b),!old."""
    if not selector:
        return NONE
    parts = [(key, f"{key}={value}") for key, value in (selector.get("matchLabels") or {}).items()]
    for rule in selector.get("matchExpressions") or ():
        key, operator, values = rule.get("key", ""), rule.get("operator", ""), rule.get("values") or ()
        if operator in _OPERATORS:
            parts.append((key, f"{key} {_OPERATORS[operator]} ({','.join(sorted(values))})"))
        elif operator in ("Exists", "DoesNotExist"):
            parts.append((key, key if operator == "Exists" else f"!{key}"))
        else:
            return "<error>"
    return ",".join(text for _, text in sorted(parts, key=lambda part: part[0])) or NONE


def workload_cells(spec: JsonObject) -> list[str]:
    """The cells of `WORKLOAD` for a spec with a template and a LabelSelector."""
    return [*container_cells(spec), selector_text(spec.get("selector"))]


def container_cells(spec: JsonObject) -> list[str]:
    """Names and images of the containers of a template."""
    containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or ()
    return [
        ",".join(item.get("name", "") for item in containers),
        ",".join(item.get("image", "") for item in containers),
    ]
