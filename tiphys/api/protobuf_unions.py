"""What is one of two things in JSON and a message with a field for each in protobuf: a schema or a list, a bool, names.

    JSONSchemaPropsOrArray         1 schema, 2 list of schemas
    JSONSchemaPropsOrBool          1 bool, 2 schema
    JSONSchemaPropsOrStringArray   1 schema, 2 list of names

What must stay true: where a message has both, the one is taken that upstream writes as JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tiphys.api.protobuf_values import LENGTH, VARINT, Malformed, read_fields, write_bytes, write_tag
from tiphys.api.schema import Anything

Decode = Callable[[bytes, int], dict[str, Any]]  # (a message of the schema inside, its depth)
Encode = Callable[[dict[str, Any]], bytes]


def is_union(node: Anything) -> bool:
    return node.inside is not None and "JSONSchemaPropsOr" in node.name


def read_union(node: Anything, value: bytes, decode: Decode, depth: int) -> Any:
    """The JSON value.  Raises Malformed."""
    if node.name.endswith("OrBool"):
        allows, schema = False, None
        for tag, wire, part in read_fields(value, 0, len(value)):
            if tag == 1 and wire == VARINT:
                allows = bool(part)
            elif tag == 2:
                schema = decode(_message(part), depth)
        return allows if schema is None else schema
    names = node.name.endswith("OrStringArray")
    schema, several = None, []
    for tag, _, part in read_fields(value, 0, len(value)):
        if tag == 1:
            schema = decode(_message(part), depth)
        elif tag == 2:
            several.append(_text(_message(part)) if names else decode(_message(part), depth))
    return several if several or schema is None else schema


def write_union(node: Anything, value: Any, encode: Encode) -> bytes:
    out = bytearray()
    if node.name.endswith("OrBool"):
        write_tag(out, 1, VARINT)
        out += b"\x01" if value is True or isinstance(value, dict) else b"\x00"
        if isinstance(value, dict):
            write_bytes(out, 2, encode(value))
        return bytes(out)
    if isinstance(value, dict):
        write_bytes(out, 1, encode(value))
    for one in value if isinstance(value, list) else ():
        write_bytes(out, 2, encode(one) if isinstance(one, dict) else str(one).encode())
    return bytes(out)


def _message(part: bytes | int) -> bytes:
    if not isinstance(part, bytes):
        raise Malformed(f"wrong wireType = {VARINT}, expected {LENGTH}")
    return part


def _text(part: bytes) -> str:
    try:
        return part.decode()
    except UnicodeDecodeError:
        raise Malformed("string is not valid UTF-8") from None
