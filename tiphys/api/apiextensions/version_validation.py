"""One version of a definition: its schema, subresources, columns and selectable fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tiphys.api.customresource.jsonpath import PathError, compile_path, simple_path
from tiphys.api.customresource.keywords import default_errors, keyword_errors
from tiphys.api.customresource.rulecheck import rule_errors
from tiphys.api.customresource.structural import Structural
from tiphys.api.customresource.structurality import structural_errors
from tiphys.api.status import FieldError, invalid, required, too_many

Found = Iterator[FieldError]
Schema = Mapping[str, Any]

COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
SELECTABLE_LIMIT = 8
_NOT_AT_ROOT = ("default", "enum", "allOf", "oneOf", "anyOf", "not", "additionalProperties", "nullable",
                "maxProperties", "minProperties")  # fmt: skip


def schema_errors(schema: Schema, path: str, *, has_status: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    if has_status and (found := [name for name in _NOT_AT_ROOT if name in schema]):
        text = "is not allowed at the root of the schema if the status subresource is enabled"
        errors.append(invalid(path, "", f"{', '.join(found)} {text}"))
    errors += keyword_errors(schema, path)
    errors += structural_errors(schema, path)
    if errors:
        return errors
    node = Structural.of(schema)
    return [*default_errors(node, path), *rule_errors(node, path)]


def subresource_errors(subresources: Mapping[str, Any], path: str) -> Found:
    scale = subresources.get("scale")
    if scale is None:
        return
    yield from _scale_path(scale.get("specReplicasPath", ""), ".spec", f"{path}.scale.specReplicasPath")
    yield from _scale_path(scale.get("statusReplicasPath", ""), ".status", f"{path}.scale.statusReplicasPath")
    selector, where = scale.get("labelSelectorPath"), f"{path}.scale.labelSelectorPath"
    if selector:
        wrong = list(_dotted(selector, where))
        yield from wrong
        if not wrong and not selector.startswith((".spec.", ".status.")):
            yield invalid(where, selector, "should be a json path under either .spec or .status")


def _scale_path(text: str, below: str, path: str) -> Found:
    if not text:
        yield required(path)
        return
    wrong = list(_dotted(text, path))
    yield from wrong
    if not wrong and not text.startswith(f"{below}."):
        yield invalid(path, text, f"should be a json path under {below}")


def _dotted(text: str, path: str) -> Found:
    if not text.startswith("."):
        yield invalid(path, text, "must be a simple json path starting with .")
    elif not simple_path(text):
        yield invalid(path, text, "must be a json path in the dot notation")


def column_errors(columns: Sequence[Mapping[str, Any]], path: str) -> Found:
    for index, column in enumerate(columns):
        where = f"{path}[{index}]"
        if not column.get("name"):
            yield required(f"{where}.name")
        kind, form, json_path = column.get("type", ""), column.get("format", ""), column.get("jsonPath", "")
        if not kind:
            yield required(f"{where}.type", f"must be one of {','.join(COLUMN_TYPES)}")
        elif kind not in COLUMN_TYPES:
            yield invalid(f"{where}.type", kind, f"must be one of {','.join(COLUMN_TYPES)}")
        if form and form not in COLUMN_FORMATS:
            yield invalid(f"{where}.format", form, f"must be one of {','.join(COLUMN_FORMATS)}")
        if not json_path:
            yield required(f"{where}.JSONPath")
        elif not json_path.startswith((".", "[")):
            yield invalid(f"{where}.JSONPath", json_path, "must be a simple json path starting with .")
        else:
            try:
                compile_path(json_path)
            except PathError as error:
                yield invalid(f"{where}.JSONPath", json_path, str(error))


def selectable_errors(fields: Sequence[Mapping[str, Any]], schema: Schema, path: str) -> Found:
    if len(fields) > SELECTABLE_LIMIT:
        yield too_many(path, len(fields), SELECTABLE_LIMIT)
    seen = set()
    for index, field in enumerate(fields):
        where, text = f"{path}[{index}].jsonPath", field.get("jsonPath", "")
        if not text:
            yield required(where)
            continue
        if text in seen:
            yield FieldError(where, "FieldValueDuplicate", f'Duplicate value: "{text}"')
        seen.add(text)
        names = simple_path(text) if text.startswith(".") else ()
        found = _schema_at(schema, names)
        if found is None:
            yield invalid(where, text, "is an invalid path: does not refer to a valid field")
        elif names[0] == "metadata":
            yield invalid(where, text, "must not point to fields in metadata")
        elif found.get("type") not in ("string", "boolean", "integer"):
            kinds = "string, boolean or integer. Enum string fields and strings with formats are allowed."
            yield invalid(where, text, f"must point to a field of type {kinds}")


def _schema_at(schema: Schema, names: Sequence[str]) -> Schema | None:
    if not names:
        return None
    for name in names:
        schema = (schema.get("properties") or {}).get(name)  # type: ignore[assignment]
        if schema is None:
            return None
    return schema
