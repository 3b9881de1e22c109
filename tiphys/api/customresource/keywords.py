"""Which keywords a schema may use and how they go together; that its defaults are values of it; that its rules compile.

Upstream's ValidateCustomResourceDefinitionOpenAPISchema, with its paths and words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tiphys.api.customresource.reading import prune
from tiphys.api.customresource.structural import (
    LIST_MAP_KEYS,
    LIST_TYPE,
    MAP_TYPE,
    PRESERVE,
    Structural,
)
from tiphys.api.customresource.validation import validate
from tiphys.api.declaration import copy_json
from tiphys.api.status import FieldError, forbidden_field, invalid, not_supported, required

Schema = Mapping[str, Any]
Found = Iterator[FieldError]

TYPES = ("array", "boolean", "integer", "number", "object", "string")
_NOT_SUPPORTED = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")


def keyword_errors(schema: Schema, path: str) -> list[FieldError]:
    return list(_walk(schema, path))


def _walk(schema: Schema, path: str) -> Found:
    yield from _keywords(schema, path)
    yield from _lists_and_maps(schema, path)
    for name in ("additionalProperties", "not"):
        if isinstance(schema.get(name), dict):
            yield from _walk(schema[name], f"{path}.{name}")
    for name, below in (schema.get("properties") or {}).items():
        yield from _walk(below, f"{path}.properties[{name}]")
    for name in ("allOf", "oneOf", "anyOf"):
        for index, below in enumerate(schema.get(name) or ()):
            yield from _walk(below, f"{path}.{name}[{index}]")
    items = schema.get("items")
    if isinstance(items, dict):
        yield from _walk(items, f"{path}.items")


def _keywords(schema: Schema, path: str) -> Found:
    for name in _NOT_SUPPORTED:
        if schema.get(name) is not None and schema.get(name) != "":
            yield forbidden_field(f"{path}.{name}", f"{name} is not supported")
    if schema.get("uniqueItems"):
        text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden_field(f"{path}.uniqueItems", text)
    if isinstance(schema.get("items"), list):
        yield forbidden_field(f"{path}.items", "items must be a schema object and not an array")
    elif schema.get("items") is not None and not isinstance(schema["items"], dict):
        yield invalid(f"{path}.items", schema["items"], "must be a schema")
    kind = schema.get("type") or ""
    if kind == "null":
        yield forbidden_field(f"{path}.type", "type cannot be set to null, use nullable as an alternative")
    elif kind and kind not in TYPES:
        yield not_supported(f"{path}.type", kind, TYPES)
    if schema.get(PRESERVE) is False:
        yield invalid(f"{path}.{PRESERVE}", False, "must be true or undefined")
    additional = schema.get("additionalProperties")
    if additional is not None:
        if schema.get("properties") and additional is not True:
            text = "additionalProperties and properties are mutual exclusive"
            yield forbidden_field(f"{path}.additionalProperties", text)
        elif additional is False:
            yield forbidden_field(f"{path}.additionalProperties", "additionalProperties cannot be set to false")
        elif not isinstance(additional, bool | dict):
            yield invalid(f"{path}.additionalProperties", additional, "must be a schema or a bool")


def _lists_and_maps(schema: Schema, path: str) -> Found:
    kind, list_type, map_type = schema.get("type") or "", schema.get(LIST_TYPE), schema.get(MAP_TYPE)
    keys = schema.get(LIST_MAP_KEYS) or []
    if list_type is not None and kind != "array":
        text = f"must be array if {LIST_TYPE} is specified"
        yield invalid(f"{path}.type", kind, text) if kind else required(f"{path}.type", text)
    if list_type is not None and list_type not in ("atomic", "set", "map"):
        yield not_supported(f"{path}.{LIST_TYPE}", list_type, ("atomic", "map", "set"))
    if keys and list_type != "map":
        text = f"must be map if {LIST_MAP_KEYS} is non-empty"
        where = f"{path}.{LIST_TYPE}"
        yield required(where, text) if list_type is None else invalid(where, list_type, text)
    items = schema.get("items")
    if list_type == "map":
        yield from _keyed_list(schema, items, keys, path)
    elif list_type == "set" and isinstance(items, dict):
        yield from _set_items(items, f"{path}.items")
    if map_type is not None and kind != "object":
        text = f"must be object if {MAP_TYPE} is specified"
        yield invalid(f"{path}.type", kind, text) if kind else required(f"{path}.type", text)
    if map_type is not None and map_type not in ("atomic", "granular"):
        yield not_supported(f"{path}.{MAP_TYPE}", map_type, ("atomic", "granular"))


def _keyed_list(schema: Schema, items: Any, keys: list[str], path: str) -> Found:
    if not keys:
        yield required(f"{path}.{LIST_MAP_KEYS}", f"must not be empty if {LIST_TYPE} is map")
    if not isinstance(items, dict):
        yield required(f"{path}.items", f"must have a schema if {LIST_TYPE} is map")
        return
    if items.get("type") != "object":
        text = f"must be object if parent array's {LIST_TYPE} is map"
        yield invalid(f"{path}.items.type", items.get("type", ""), text)
    if items.get("nullable"):
        yield forbidden_field(f"{path}.items.nullable", f"cannot be nullable when {LIST_TYPE} is map")
    properties = items.get("properties") or {}
    for key in dict.fromkeys(keys):
        where = f"{path}.items.properties[{key}]"
        found = properties.get(key)
        if found is None:
            yield invalid(f"{path}.{LIST_MAP_KEYS}", keys, "entries must all be names of item properties")
            continue
        if found.get("type") in ("array", "object"):
            text = f"must be a scalar type if parent array's {LIST_TYPE} is map"
            yield invalid(f"{where}.type", found["type"], text)
        if key not in (items.get("required") or ()) and "default" not in found:
            text = f"this property is in {LIST_MAP_KEYS}, so it must have a default or be a required property"
            yield required(f"{where}.default", text)
    if len(set(keys)) != len(keys):
        yield invalid(f"{path}.{LIST_MAP_KEYS}", keys, "must not contain duplicate entries")


def _set_items(items: Schema, path: str) -> Found:
    if items.get("nullable"):
        yield forbidden_field(f"{path}.nullable", f"cannot be nullable when {LIST_TYPE} is set")
    if items.get("type") == "object" and items.get(MAP_TYPE) != "atomic":
        text = f"must be atomic as item of a list with {LIST_TYPE}=set"
        yield required(f"{path}.{MAP_TYPE}", text)
    if items.get("type") == "array" and items.get(LIST_TYPE) not in (None, "atomic"):
        text = f"must be atomic as item of a list with {LIST_TYPE}=set"
        yield invalid(f"{path}.{LIST_TYPE}", items[LIST_TYPE], text)


# --- defaults ---------------------------------------------------------------------------------------------------------


def default_errors(node: Structural, path: str, *, in_metadata: bool = False) -> list[FieldError]:
    """Every default must be a value of its schema with no field the schema does not know."""
    errors: list[FieldError] = []
    if "default" in node.text:
        errors += _default(node, f"{path}.default", forbidden=in_metadata)
    for name, below in node.properties.items():
        inside = in_metadata or (name == "metadata" and (path.endswith("openAPIV3Schema") or node.embedded))
        errors += default_errors(below, f"{path}.properties[{name}]", in_metadata=inside)
    if node.items is not None:
        errors += default_errors(node.items, f"{path}.items", in_metadata=in_metadata)
    if node.additional is not None:
        errors += default_errors(node.additional, f"{path}.additionalProperties", in_metadata=in_metadata)
    return errors


def _default(node: Structural, path: str, *, forbidden: bool) -> list[FieldError]:
    if forbidden:
        return [forbidden_field(path, "must not be set in top-level metadata")]
    if not path.count("].") and path.count("openAPIV3Schema.default"):
        return [forbidden_field(path, "must not be set at the root")]
    value = copy_json(node.default)
    if prune(value, node, root=node.embedded):
        return [invalid(path, node.default, "must not have unknown fields")]
    errors = validate(node.default, node.text)
    return [FieldError(f"{path}.{one.field}" if one.field else path, one.reason, one.detail) for one in errors]
