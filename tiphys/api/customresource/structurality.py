"""The rules that make a schema structural: the type of everything is said once, outside allOf, anyOf, oneOf and not.

Works on the text of a schema, with upstream's paths and words; the errors come sorted as upstream sorts them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tiphys.api.customresource.regex import PatternError, check_pattern
from tiphys.api.customresource.structural import (
    EMBEDDED,
    INT_OR_STRING,
    LIST_MAP_KEYS,
    LIST_TYPE,
    MAP_TYPE,
    OF_EVERY_RESOURCE,
    PRESERVE,
    VALIDATIONS,
)
from tiphys.api.status import FieldError, forbidden_field, invalid, required

Schema = Mapping[str, Any]
Found = Iterator[FieldError]

_ROOT, _ITEM, _FIELD = "must not be empty at the root", "must not be empty for specified array items", (
    "must not be empty for specified object fields"
)  # fmt: skip
_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]


def structural_errors(schema: Schema, path: str) -> list[FieldError]:
    errors = [*_invariants(schema, _ROOT, path), *_completeness(schema, path)]
    return sorted(dict.fromkeys(errors), key=str)


def _objects(schema: Schema, name: str) -> Mapping[str, Schema]:
    found = schema.get(name)
    return {key: one for key, one in found.items() if isinstance(one, dict)} if isinstance(found, dict) else {}


def _lists(schema: Schema, name: str) -> list[Schema]:
    found = schema.get(name)
    return [one if isinstance(one, dict) else {} for one in found] if isinstance(found, list) else []


def _invariants(schema: Schema, level: str, path: str) -> Found:
    kind, items, additional = schema.get("type", ""), schema.get("items"), schema.get("additionalProperties")
    embedded, preserve, mixed = schema.get(EMBEDDED), schema.get(PRESERVE), schema.get(INT_OR_STRING)
    if kind == "array" and items is None:
        yield required(f"{path}.items", "must be specified")
    if isinstance(items, dict):
        yield from _invariants(items, _ITEM, f"{path}.items")
    for name, below in _objects(schema, "properties").items():
        yield from _invariants(below, _FIELD, f"{path}.properties[{name}]")
    if additional is not None and level == _ROOT:
        yield forbidden_field(f"{path}.additionalProperties", "must not be used at the root")
    if isinstance(additional, dict):
        yield from _invariants(additional, _FIELD, f"{path}.additionalProperties")
    if mixed and preserve:
        yield invalid(f"{path}.{PRESERVE}", True, f"must be false if {INT_OR_STRING} is true")
    if mixed and embedded:
        yield invalid(f"{path}.{EMBEDDED}", True, f"must be false if {INT_OR_STRING} is true")
    yield from _value_validation(schema, _skips_any_of(schema), _skips_all_of(schema), path)
    if embedded and kind != "object":
        text = f"must be object if {EMBEDDED} is true"
        yield invalid(f"{path}.type", kind, text) if kind else required(f"{path}.type", text)
    elif not kind and not mixed and not preserve:
        yield required(f"{path}.type", level)
    if embedded and additional is not None:
        yield forbidden_field(f"{path}.additionalProperties", f"must not be used if {EMBEDDED} is set")
    if level == _ROOT and kind and kind != "object":
        yield invalid(f"{path}.type", kind, "must be object at the root")
    yield from _type_meta(schema, level, path)
    if embedded and not preserve and not schema.get("properties"):
        text = f"must not be empty if {EMBEDDED} is true without {PRESERVE}"
        yield required(f"{path}.properties", text)


def _type_meta(schema: Schema, level: str, path: str) -> Found:
    properties = _objects(schema, "properties")
    checks = level == _ROOT or bool(schema.get(EMBEDDED))
    for name in ("kind", "apiVersion"):
        if checks and name in properties and properties[name].get("type") != "string":
            where = f"{path}.properties[{name}].type"
            yield invalid(where, properties[name].get("type", ""), "must be string")
    metadata = properties.get("metadata")
    if metadata is None:
        return
    where = f"{path}.properties[metadata]"
    if checks and metadata.get("type") != "object":
        yield invalid(f"{where}.type", metadata.get("type", ""), "must be object")
    allowed = set(_objects(metadata, "properties")) <= {"name", "generateName"}
    extra = [name for name in metadata if name not in ("type", "properties", "default", "description")]
    if level == _ROOT and (not allowed or extra):
        text = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        yield forbidden_field(where, text)


def _skips_any_of(schema: Schema) -> bool:
    return bool(schema.get(INT_OR_STRING)) and schema.get("anyOf") == _INT_OR_STRING


def _skips_all_of(schema: Schema) -> bool:
    first = next(iter(_lists(schema, "allOf")), {})
    return bool(schema.get(INT_OR_STRING)) and first.get("anyOf") == _INT_OR_STRING


def _value_validation(schema: Schema, skip_any_of: bool, skip_first: bool, path: str) -> Found:
    if not skip_any_of:
        for index, one in enumerate(_lists(schema, "anyOf")):
            yield from _nested(one, False, f"{path}.anyOf[{index}]")
    for index, one in enumerate(_lists(schema, "allOf")):
        yield from _nested(one, skip_first and index == 0, f"{path}.allOf[{index}]")
    for index, one in enumerate(_lists(schema, "oneOf")):
        yield from _nested(one, False, f"{path}.oneOf[{index}]")
    if isinstance(schema.get("not"), dict):
        yield from _nested(schema["not"], False, f"{path}.not")
    pattern = schema.get("pattern")
    if pattern:
        try:
            check_pattern(pattern)
        except PatternError as error:
            yield invalid(f"{path}.pattern", pattern, f"must be a valid regular expression, but isn't: {error}")


_FORBIDDEN = (
    ("type", "must be empty to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    ("externalDocs", "must be undefined to be structural"),
    (PRESERVE, "must be false to be structural"),
    (EMBEDDED, "must be false to be structural"),
    (INT_OR_STRING, "must be false to be structural"),
    (LIST_MAP_KEYS, "must be empty to be structural"),
    (LIST_TYPE, "must be undefined to be structural"),
    (MAP_TYPE, "must be undefined to be structural"),
    (VALIDATIONS, "must be empty to be structural"),
)


def _nested(schema: Schema, skip_any_of: bool, path: str) -> Found:
    """What stands inside allOf, anyOf, oneOf and not may only restrict values."""
    yield from _value_validation(schema, skip_any_of, False, path)
    if isinstance(schema.get("items"), dict):
        yield from _nested(schema["items"], False, f"{path}.items")
    for name, below in _objects(schema, "properties").items():
        yield from _nested(below, False, f"{path}.properties[{name}]")
    for name, text in _FORBIDDEN:
        if schema.get(name) or (name in ("default", "additionalProperties") and name in schema):
            yield forbidden_field(f"{path}.{name}", text)
    if "metadata" in _objects(schema, "properties"):
        yield forbidden_field(f"{path}.properties[metadata]", "must not be specified in a nested context")


def _completeness(schema: Schema, path: str) -> Found:
    """What is restricted somewhere must be declared outside."""
    yield from _restrictions_declared(schema, schema, path, path)
    if isinstance(schema.get("items"), dict):
        yield from _completeness(schema["items"], f"{path}.items")
    for name, below in _objects(schema, "properties").items():
        yield from _completeness(below, f"{path}.properties[{name}]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _completeness(schema["additionalProperties"], f"{path}.additionalProperties")


def _restrictions_declared(restricting: Schema, schema: Schema | None, path: str, where: str) -> Found:
    for name in ("allOf", "anyOf", "oneOf"):
        for index, one in enumerate(_lists(restricting, name)):
            yield from _declared(one, schema, path, f"{where}.{name}[{index}]")
    if isinstance(restricting.get("not"), dict):
        yield from _declared(restricting["not"], schema, path, f"{where}.not")


def _declared(restricting: Schema, schema: Schema | None, path: str, where: str) -> Found:
    if schema is None:
        yield required(path, f"because it is defined in {where}")
        return
    yield from _restrictions_declared(restricting, schema, path, where)
    items = restricting.get("items")
    if isinstance(items, dict):
        found = schema.get("items")
        declared = found if isinstance(found, dict) else None
        yield from _declared(items, declared, f"{path}.items", f"{where}.items")
    known = _objects(schema, "properties")
    for name, below in _objects(restricting, "properties").items():
        if name not in known and name in OF_EVERY_RESOURCE:
            continue
        place = f"properties[{name}]"
        yield from _declared(below, known.get(name), f"{path}.{place}", f"{where}.{place}")
