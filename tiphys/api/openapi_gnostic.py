"""An OpenAPI v2 document as the protobuf message `openapi.v2.Document`, which Go clients ask for.

The tables below are the message definitions as far as our documents use them: JSON name to (field number, how it is
written).  Values without a message of their own (enums, vendor extensions) travel as text in YAML, of which JSON is a
part.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from typing import Any

from tiphys.api.protobuf_values import DOUBLE, VARINT, write_bytes, write_tag, write_varint

JsonObject = dict[str, Any]
Write = Callable[[bytearray, int, Any], None]
Table = Mapping[str, tuple[int, Write]]


def encode_document(document: JsonObject) -> bytes:
    return bytes(_message(document, _DOCUMENT, 16))


def _message(value: JsonObject, table: Table, vendor: int = 0) -> bytearray:
    """Fields by their table; `vendor` is the number of the field that takes everything that begins with x-."""
    out = bytearray()
    for name, item in value.items():
        if name in table:
            number, write = table[name]
            write(out, number, item)
        elif vendor and name.startswith("x-"):
            write_bytes(out, vendor, _named(name, _any(item)))
    return out


def _named(name: str, value: bytes | bytearray) -> bytearray:
    out = bytearray()
    write_bytes(out, 1, name.encode())
    write_bytes(out, 2, value)
    return out


def _any(value: Any) -> bytearray:
    out = bytearray()
    write_bytes(out, 2, json.dumps(value).encode())
    return out


# --- ways to write a field --------------------------------------------------------------------------------------------


def _text(out: bytearray, number: int, value: str) -> None:
    write_bytes(out, number, value.encode())


def _bool(out: bytearray, number: int, value: bool) -> None:
    if value:
        write_tag(out, number, VARINT)
        out.append(1)


def _int(out: bytearray, number: int, value: int) -> None:
    write_tag(out, number, VARINT)
    write_varint(out, int(value))


def _double(out: bytearray, number: int, value: float) -> None:
    write_tag(out, number, DOUBLE)
    out += struct.pack("<d", value)


def _texts(out: bytearray, number: int, values: list[str]) -> None:
    for value in values:
        _text(out, number, value)


def _anys(out: bytearray, number: int, values: list[Any]) -> None:
    for value in values:
        write_bytes(out, number, _any(value))


def _type(out: bytearray, number: int, value: str | list[str]) -> None:
    inner = bytearray()
    _texts(inner, 1, [value] if isinstance(value, str) else value)
    write_bytes(out, number, inner)


def _schema(out: bytearray, number: int, value: JsonObject) -> None:
    write_bytes(out, number, _message(value, _SCHEMA, 31))


def _schemas(out: bytearray, number: int, values: list[JsonObject]) -> None:
    for value in values:
        _schema(out, number, value)


def _wrapped_schema(out: bytearray, number: int, value: Any) -> None:
    """AdditionalPropertiesItem, ItemsItem and SchemaItem: the schema is field 1, a boolean field 2."""
    inner = bytearray()
    if isinstance(value, bool):
        write_tag(inner, 2, VARINT)
        inner.append(int(value))
    else:
        _schema(inner, 1, value)
    write_bytes(out, number, inner)


def _by_name(encode: Callable[[Any], bytes | bytearray], inside: int = 1) -> Write:
    """A JSON object as a list of (name, value) messages, in field `inside` of a message of its own."""

    def write(out: bytearray, number: int, values: JsonObject) -> None:
        inner = bytearray()
        for name, value in values.items():
            write_bytes(inner, inside, _named(name, encode(value)))
        write_bytes(out, number, inner)

    return write


def _each(encode: Callable[[Any], bytes | bytearray]) -> Write:
    def write(out: bytearray, number: int, values: list[Any]) -> None:
        for value in values:
            write_bytes(out, number, encode(value))

    return write


def _single(table: Table, vendor: int) -> Write:
    return lambda out, number, value: write_bytes(out, number, _message(value, table, vendor))


def _wrap(number: int, inner: bytes | bytearray) -> bytearray:
    out = bytearray()
    write_bytes(out, number, inner)
    return out


def _parameter(value: JsonObject) -> bytearray:
    """openapi.v2.Parameter: a body, or one of the others in a message of its own."""
    if value["in"] == "body":
        return _wrap(1, _message(value, _BODY_PARAMETER, 6))
    number, table, vendor = (3, _QUERY_PARAMETER, 23) if value["in"] == "query" else (4, _PATH_PARAMETER, 22)
    return _wrap(2, _wrap(number, _message(value, table, vendor)))


def _parameters_item(value: JsonObject) -> bytearray:
    if "$ref" in value:
        return _wrap(2, _message(value, {"$ref": (1, _text)}))
    return _wrap(1, _parameter(value))


def _security_definition(value: JsonObject) -> bytearray:
    table: Table = {"type": (1, _text), "name": (2, _text), "in": (3, _text), "description": (4, _text)}
    return _wrap(2, _message(value, table, 5))


def _strings(values: list[str]) -> bytearray:
    out = bytearray()
    _texts(out, 1, values)
    return out


def _requirement(value: JsonObject) -> bytearray:
    out = bytearray()
    for name, scopes in value.items():
        write_bytes(out, 1, _named(name, _strings(scopes)))
    return out


# --- the messages -----------------------------------------------------------------------------------------------------

_SCHEMA: Table = {
    "$ref": (1, _text),
    "format": (2, _text),
    "title": (3, _text),
    "description": (4, _text),
    "default": (5, lambda out, number, value: write_bytes(out, number, _any(value))),
    "multipleOf": (6, _double),
    "maximum": (7, _double),
    "exclusiveMaximum": (8, _bool),
    "minimum": (9, _double),
    "exclusiveMinimum": (10, _bool),
    "maxLength": (11, _int),
    "minLength": (12, _int),
    "pattern": (13, _text),
    "maxItems": (14, _int),
    "minItems": (15, _int),
    "uniqueItems": (16, _bool),
    "maxProperties": (17, _int),
    "minProperties": (18, _int),
    "required": (19, _texts),
    "enum": (20, _anys),
    "additionalProperties": (21, _wrapped_schema),
    "type": (22, _type),
    "items": (23, _wrapped_schema),
    "allOf": (24, _schemas),
    "properties": (25, _by_name(lambda value: _message(value, _SCHEMA, 31))),
    "example": (30, lambda out, number, value: write_bytes(out, number, _any(value))),
}
_BODY_PARAMETER: Table = {
    "description": (1, _text),
    "name": (2, _text),
    "in": (3, _text),
    "required": (4, _bool),
    "schema": (5, _schema),
}
_PATH_PARAMETER: Table = {
    "required": (1, _bool),
    "in": (2, _text),
    "description": (3, _text),
    "name": (4, _text),
    "type": (5, _text),
    "format": (6, _text),
    "uniqueItems": (19, _bool),
}
_QUERY_PARAMETER: Table = {**_PATH_PARAMETER, "type": (6, _text), "format": (7, _text), "uniqueItems": (20, _bool)}
_RESPONSE: Table = {"description": (1, _text), "schema": (2, _wrapped_schema)}
_OPERATION: Table = {
    "tags": (1, _texts),
    "summary": (2, _text),
    "description": (3, _text),
    "operationId": (5, _text),
    "produces": (6, _texts),
    "consumes": (7, _texts),
    "parameters": (8, _each(_parameters_item)),
    "responses": (9, _by_name(lambda value: _wrap(1, _message(value, _RESPONSE, 5)))),
    "schemes": (10, _texts),
    "deprecated": (11, _bool),
}
_PATH_ITEM: Table = {
    "get": (2, _single(_OPERATION, 13)),
    "put": (3, _single(_OPERATION, 13)),
    "post": (4, _single(_OPERATION, 13)),
    "delete": (5, _single(_OPERATION, 13)),
    "options": (6, _single(_OPERATION, 13)),
    "head": (7, _single(_OPERATION, 13)),
    "patch": (8, _single(_OPERATION, 13)),
    "parameters": (9, _each(_parameters_item)),
}
_DOCUMENT: Table = {
    "swagger": (1, _text),
    "info": (2, _single({"title": (1, _text), "version": (2, _text), "description": (3, _text)}, 7)),
    "paths": (8, _by_name(lambda value: _message(value, _PATH_ITEM, 10), inside=2)),
    "definitions": (9, _by_name(lambda value: _message(value, _SCHEMA, 31))),
    "parameters": (10, _by_name(_parameter)),
    "security": (12, _each(_requirement)),
    "securityDefinitions": (13, _by_name(_security_definition)),
}
