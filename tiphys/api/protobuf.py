"""Kubernetes' protobuf wire form, driven by the schema: decode to and encode from plain objects.

A body is the magic `k8s\\0` and a runtime.Unknown whose `raw` is the object's message.  A message's fields follow from
`Field.tag`; what JSON writes as one value but protobuf as a message (times, quantities, int-or-string, raw JSON) has a
codec here.  Some Go structs inline others: `Struct.inlined` names the message that carries the fields without a tag.

Input is hostile: every length is checked against what is there, nesting is bounded, and everything wrong is a 400.
The decoded object still goes through `decode`, which drops Go's zeros and refuses wrong values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from tiphys.api.json_body import BODY_LIMIT_BYTES, DEPTH_LIMIT, VALUES_LIMIT
from tiphys.api.protobuf_unions import is_union, read_union, write_union
from tiphys.api.protobuf_values import (
    LENGTH,
    VARINT,
    Malformed,
    Reader,
    Writer,
    read_fields,
    value_codec,
    write_bytes,
    write_tag,
)
from tiphys.api.schema import Anything, Field, ListOf, MapOf, Scalar, Struct, Type
from tiphys.api.status import StatusError, bad_request

MAGIC = b"k8s\x00"
CONTENT_TYPE = "application/vnd.kubernetes.protobuf"


class KindSchema(Protocol):
    @property
    def schema(self) -> Struct: ...


class Kinds(Protocol):
    """What is needed of the registry."""

    def by_kind(self, group: str, version: str, kind: str) -> Any: ...


def decode_protobuf(body: bytes, registry: Kinds, *, schema: Struct | None = None) -> dict[str, Any]:
    """The object of a `k8s\\0` body in wire JSON form, with kind and apiVersion first.

    `schema` is what the endpoint expects; it serves kinds the registry does not list (DeleteOptions, TokenRequest).
    Raises StatusError 400, or 413 for a body over the limit.
    """
    if len(body) > BODY_LIMIT_BYTES:
        raise StatusError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {BODY_LIMIT_BYTES}")
    if not body.startswith(MAGIC):
        raise bad_request("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    try:
        return _decode_envelope(body, registry, schema)
    except Malformed as error:
        raise bad_request(f"unable to decode the protobuf body: {error}") from None


def _decode_envelope(body: bytes, registry: Kinds, schema: Struct | None) -> dict[str, Any]:
    api_version, kind, raw, encoding = "", "", b"", b""
    for tag, wire, value in read_fields(body, len(MAGIC), len(body)):
        if tag == 1 and wire == LENGTH:
            for inner, inner_wire, text in read_fields(value, 0, len(value)):
                if inner == 1 and inner_wire == LENGTH:
                    api_version = _utf8(text)
                elif inner == 2 and inner_wire == LENGTH:
                    kind = _utf8(text)
        elif tag == 2 and wire == LENGTH:
            raw = value
        elif tag == 3 and wire == LENGTH:
            encoding = value
    if encoding:
        raise Malformed(f"unsupported content encoding {encoding[:32]!r}")
    group, _, version = api_version.rpartition("/")
    info = registry.by_kind(group, version, kind) if kind else None
    known = info.schema if info is not None else schema
    if known is None:
        raise bad_request(f'no kind "{kind}" is registered for version "{api_version}"')
    out: dict[str, Any] = {}
    if kind:
        out["kind"] = kind
    if api_version:
        out["apiVersion"] = api_version
    _decode_into(out, _table(known), raw, 0, 0, len(raw))
    return out


def _utf8(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Malformed("string is not valid UTF-8") from None


def encode_protobuf(obj: dict[str, Any], schema: Struct, *, api_version: str = "", kind: str = "") -> bytes:
    """The `k8s\\0` body of an object that `decode` has passed."""
    return envelope(encode_message(obj, schema), api_version or obj.get("apiVersion", ""), kind or obj.get("kind", ""))


def envelope(message: bytes | bytearray, api_version: str, kind: str) -> bytes:
    """The `k8s\\0` body around a message."""
    type_meta = bytearray()
    for number, text in ((1, api_version), (2, kind)):
        write_bytes(type_meta, number, text.encode())
    out = bytearray(MAGIC)
    write_bytes(out, 1, type_meta)
    write_bytes(out, 2, message)
    write_bytes(out, 3, b"")
    write_bytes(out, 4, b"")
    return bytes(out)


def decode_message(raw: bytes, schema: Struct) -> dict[str, Any]:
    """One message without envelope.  Raises Malformed."""
    out: dict[str, Any] = {}
    _decode_into(out, _table(schema), raw, 0, 0, len(raw))
    return out


def encode_message(obj: dict[str, Any], schema: Struct) -> bytes:
    out = bytearray()
    _encode_into(out, obj, _table(schema))
    return bytes(out)


# --- tables: per struct, what each tag means -------------------------------------------------------------------------

Take = Callable[[dict[str, Any], str, int, bytes | int, int], None]  # (object, name, wire type, value, depth)
Put = Callable[[bytearray, int, Any], None]  # (output, tag, value)


class _Table:
    """A struct's fields by tag.  Filled on first use, because schemas may be cyclic."""

    def __init__(self, schema: Struct) -> None:
        self.schema = schema
        self.takes: dict[int, tuple[str, Take]] = {}
        self.puts: list[tuple[str, int, Put]] = []
        self.inlined: tuple[int, _Table] | None = None
        self.ready = False

    def prepare(self) -> None:
        self.ready = True
        for name, member in self.schema.fields.items():
            if member.tag:
                take, put = _codec(member.type, member)
                self.takes[member.tag] = (name, take)
                self.puts.append((name, member.tag, put))
        if self.schema.inlined is not None:
            number, message = self.schema.inlined
            self.inlined = (number, _table(message))
        self.puts.sort(key=lambda put: put[1])


_tables: WeakKeyDictionary[Struct, _Table] = WeakKeyDictionary()


def _table(schema: Struct) -> _Table:
    table = _tables.get(schema)
    if table is None:
        table = _tables[schema] = _Table(schema)
    if not table.ready:
        table.prepare()
    return table


def _decode_into(out: dict[str, Any], table: _Table, buffer: bytes, depth: int, start: int, end: int) -> None:
    if depth > DEPTH_LIMIT // 2:
        raise Malformed("exceeded max depth")
    inlined = table.inlined
    for tag, wire, value in read_fields(buffer, start, end):
        entry = table.takes.get(tag)
        if entry is not None:
            entry[1](out, entry[0], wire, value, depth)
        elif inlined is not None and tag == inlined[0] and isinstance(value, bytes):
            _decode_into(out, inlined[1], value, depth + 1, 0, len(value))


def _encode_into(out: bytearray, obj: dict[str, Any], table: _Table) -> None:
    inlined = table.inlined
    if inlined is not None:
        inner = bytearray()
        _encode_into(inner, obj, inlined[1])
        write_bytes(out, inlined[0], inner)
    for name, tag, put in table.puts:
        value = obj.get(name)
        if value is not None:
            put(out, tag, value)


# --- codecs: how one field's type reads and writes ------------------------------------------------------------------


def _codec(type_: Type, member: Field) -> tuple[Take, Put]:
    if isinstance(type_, ListOf):
        return _list_codec(type_, member)
    if isinstance(type_, MapOf):
        return _map_codec(type_, member)
    if isinstance(type_, Struct):
        return _struct_codec(type_)
    if isinstance(type_, Anything) and is_union(type_):
        return _union_codec(type_)
    wire, read, write = _value(type_, member.proto)

    def take(out: dict[str, Any], name: str, found: int, value: bytes | int, depth: int) -> None:
        _check(found, wire)
        out[name] = read(value)

    return take, _writer(wire, write)


def _value(type_: Type, proto: str) -> tuple[int, Reader, Writer]:
    if isinstance(type_, Scalar):
        return value_codec(type_, proto)
    if isinstance(type_, Anything):
        return value_codec(Scalar("raw"), proto)
    raise Malformed("no codec")


def _room(container: Any) -> Any:
    """The list or map that is about to take one more."""
    if len(container) >= VALUES_LIMIT:
        raise Malformed(f"more than {VALUES_LIMIT} values")
    return container


def _check(found: int, wanted: int) -> None:
    if found != wanted:
        raise Malformed(f"wrong wireType = {found}")


def _writer(wire: int, write: Writer) -> Put:
    if wire == LENGTH:
        return lambda out, tag, value: write_bytes(out, tag, write(value))

    def put(out: bytearray, tag: int, value: Any) -> None:
        write_tag(out, tag, wire)
        out += write(value)

    return put


def _struct_codec(type_: Struct) -> tuple[Take, Put]:
    def take(out: dict[str, Any], name: str, found: int, value: bytes | int, depth: int) -> None:
        _check(found, LENGTH)
        assert isinstance(value, bytes)
        target = out.setdefault(name, {})  # a message that comes twice is merged
        _decode_into(target, _table(type_), value, depth + 1, 0, len(value))

    def put(out: bytearray, tag: int, value: Any) -> None:
        inner = bytearray()
        _encode_into(inner, value, _table(type_))
        write_bytes(out, tag, inner)

    return take, put


def _union_codec(type_: Anything) -> tuple[Take, Put]:
    assert type_.inside is not None
    load = type_.inside

    def decode(value: bytes, depth: int) -> dict[str, Any]:
        inner: dict[str, Any] = {}
        _decode_into(inner, _table(load()), value, depth, 0, len(value))
        return inner

    def take(out: dict[str, Any], name: str, found: int, value: bytes | int, depth: int) -> None:
        _check(found, LENGTH)
        assert isinstance(value, bytes)
        out[name] = read_union(type_, value, decode, depth + 1)

    def put(out: bytearray, tag: int, value: Any) -> None:
        write_bytes(out, tag, write_union(type_, value, lambda inner: encode_message(inner, load())))

    return take, put


def _list_codec(type_: ListOf, member: Field) -> tuple[Take, Put]:
    if isinstance(type_.items, Struct):
        items = type_.items

        def take_struct(out: dict[str, Any], name: str, found: int, value: bytes | int, depth: int) -> None:
            _check(found, LENGTH)
            assert isinstance(value, bytes)
            item: dict[str, Any] = {}
            _decode_into(item, _table(items), value, depth + 1, 0, len(value))
            _room(out.setdefault(name, [])).append(item)

        return take_struct, _each(_struct_codec(items)[1])
    wire, read, write = _value(type_.items, member.proto.removeprefix("repeated "))

    def take(out: dict[str, Any], name: str, found: int, value: bytes | int, depth: int) -> None:
        target = _room(out.setdefault(name, []))
        if found == LENGTH and wire == VARINT:  # packed
            assert isinstance(value, bytes)
            target.extend(read(number) for number in _packed(value))
            return
        _check(found, wire)
        target.append(read(value))

    return take, _each(_writer(wire, write))


def _each(put_item: Put) -> Put:
    def put(out: bytearray, tag: int, value: Any) -> None:
        for item in value:
            put_item(out, tag, item)

    return put


def _packed(value: bytes) -> list[int]:
    numbers, position = [], 0
    while position < len(value):
        number, shift = 0, 0
        while True:
            if position >= len(value) or shift > 63:
                raise Malformed("unexpected EOF")
            byte = value[position]
            position += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        numbers.append(number)
    return numbers


def _map_codec(type_: MapOf, member: Field) -> tuple[Take, Put]:
    """map<string, V>: repeated entries {1: key, 2: value}."""
    proto = member.proto.partition(", ")[2].removesuffix(">")
    wrapped = isinstance(type_.values, ListOf)  # a list as a map's value travels in a message of its own (ExtraValue)
    inner = Field(
        "value",
        type_.values,
        tag=1 if wrapped else 2,
        proto="repeated string" if wrapped else proto,
    )
    take_value, put_value = _codec(type_.values, inner)
    empty: Any = [] if wrapped else {} if isinstance(type_.values, Struct | MapOf) else None

    def take(out: dict[str, Any], name: str, found: int, value: bytes | int, depth: int) -> None:
        _check(found, LENGTH)
        assert isinstance(value, bytes)
        key, box = "", {"value": type(empty)()} if empty is not None else {}
        for tag, wire, part in read_fields(value, 0, len(value)):
            if tag == 1:
                _check(wire, LENGTH)
                assert isinstance(part, bytes)
                key = _utf8(part)
            elif tag == 2 and wrapped:
                _check(wire, LENGTH)
                assert isinstance(part, bytes)
                for number, inner_wire, item in read_fields(part, 0, len(part)):
                    if number == 1:
                        take_value(box, "value", inner_wire, item, depth + 1)
            elif tag == 2:
                take_value(box, "value", wire, part, depth + 1)
        _room(out.setdefault(name, {}))[key] = box.get("value", "")

    def put(out: bytearray, tag: int, value: Any) -> None:
        for key in sorted(value):
            entry, inside = bytearray(), bytearray()
            write_bytes(entry, 1, key.encode())
            if wrapped:
                put_value(inside, 1, value[key])
                write_bytes(entry, 2, inside)
            else:
                put_value(entry, 2, value[key])
            write_bytes(out, tag, entry)

    return take, put


__all__ = [
    "CONTENT_TYPE",
    "MAGIC",
    "Malformed",
    "decode_message",
    "decode_protobuf",
    "encode_message",
    "encode_protobuf",
    "envelope",
]
