"""The atoms of the protobuf wire: varints, tags, lengths, and the values that are one thing in JSON."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from tiphys.api.json_body import DEPTH_LIMIT, is_deeper_than
from tiphys.api.schema import Scalar
from tiphys.api.times import TimeError, format_micro_time, format_time, parse_time

VARINT, DOUBLE, LENGTH, FLOAT = 0, 1, 2, 5

Reader = Callable[[Any], Any]
Writer = Callable[[Any], bytes]


class Malformed(ValueError):
    """The bytes are no message of this type."""


def read_fields(buffer: bytes, start: int, end: int) -> Iterator[tuple[int, int, Any]]:
    """(field number, wire type, value); the value is an int or, for length-delimited fields, bytes."""
    position = start
    while position < end:
        key, position = _read_varint(buffer, position, end)
        tag, wire = key >> 3, key & 7
        if tag == 0 or tag > 0x1FFFFFFF:
            raise Malformed(f"illegal tag {tag}")
        if wire == VARINT:
            number, position = _read_varint(buffer, position, end)
            yield tag, wire, number
        elif wire == LENGTH:
            length, position = _read_varint(buffer, position, end)
            if length > end - position:
                raise Malformed("unexpected EOF")
            yield tag, wire, buffer[position : position + length]
            position += length
        elif wire in (DOUBLE, FLOAT):
            width = 8 if wire == DOUBLE else 4
            if width > end - position:
                raise Malformed("unexpected EOF")
            yield tag, wire, int.from_bytes(buffer[position : position + width], "little")
            position += width
        else:
            raise Malformed(f"illegal wireType {wire}")


def _read_varint(buffer: bytes, position: int, end: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if position >= end:
            raise Malformed("unexpected EOF")
        byte = buffer[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & 0xFFFFFFFFFFFFFFFF, position
        shift += 7
        if shift > 63:
            raise Malformed("integer overflow")


def write_varint(out: bytearray, number: int) -> None:
    number &= 0xFFFFFFFFFFFFFFFF
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def write_tag(out: bytearray, tag: int, wire: int) -> None:
    write_varint(out, tag << 3 | wire)


def write_bytes(out: bytearray, tag: int, value: bytes | bytearray) -> None:
    write_varint(out, tag << 3 | LENGTH)
    write_varint(out, len(value))
    out += value


def value_codec(scalar: Scalar, proto: str) -> tuple[int, Reader, Writer]:
    """(wire type, reader, writer) of one value."""
    kind = proto.rpartition(".")[2]
    if kind == "Duration":
        return LENGTH, _read_duration, _write_duration
    by_format = {
        "byte": (LENGTH, _read_base64, _write_base64),
        "date-time": (LENGTH, _read_time, _write_time),
        "micro-time": (LENGTH, _read_micro_time, _write_micro_time),
        "quantity": (LENGTH, _read_wrapped_text, _write_wrapped_text),
        "int-or-string": (LENGTH, _read_int_or_string, _write_int_or_string),
    }
    if scalar.format in by_format:
        return by_format[scalar.format]
    if scalar.type == "raw":
        return LENGTH, _read_raw, _write_raw
    if scalar.type == "integer":
        return VARINT, _read_int32 if scalar.format == "int32" else _read_int64, _write_int
    if scalar.type == "boolean":
        return VARINT, bool, lambda value: b"\x01" if value else b"\x00"
    if scalar.type == "number":
        return DOUBLE, _read_double, lambda value: struct.pack("<d", value)
    return LENGTH, _read_text, lambda value: str(value).encode()


def _read_text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Malformed("string is not valid UTF-8") from None


def _read_int64(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _read_int32(value: int) -> int:
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def _write_int(value: int) -> bytes:
    out = bytearray()
    write_varint(out, value)
    return bytes(out)


def _read_double(value: int) -> float:
    number: float = struct.unpack("<d", value.to_bytes(8, "little"))[0]
    if number != number or number in (float("inf"), float("-inf")):
        raise Malformed("number is not finite")
    return number


def _read_base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _write_base64(value: str) -> bytes:
    try:
        return base64.b64decode(value)
    except binascii.Error:
        raise Malformed("illegal base64 data") from None


def _read_seconds(value: bytes) -> tuple[int, int]:
    seconds = nanos = 0
    for tag, wire, number in read_fields(value, 0, len(value)):
        if wire == VARINT and tag == 1:
            seconds = _read_int64(number)
        elif wire == VARINT and tag == 2:
            nanos = _read_int32(number)
    return seconds, nanos


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _moment(seconds: int, microseconds: int) -> datetime:
    try:
        return _EPOCH + timedelta(seconds=seconds, microseconds=microseconds)
    except OverflowError:
        raise Malformed("time out of range") from None


def _read_time(value: bytes) -> str | None:
    """An empty message is Go's zero time.  Nanoseconds are dropped, as upstream does."""
    return format_time(_moment(_read_seconds(value)[0], 0)).rjust(20, "0") if value else None


def _read_micro_time(value: bytes) -> str | None:
    if not value:
        return None
    seconds, nanos = _read_seconds(value)
    return format_micro_time(_moment(seconds, nanos // 1000)).rjust(27, "0")


def _write_time(value: str) -> bytes:
    return _timestamp(value, micro=False)


def _write_micro_time(value: str) -> bytes:
    return _timestamp(value, micro=True)


def _timestamp(value: str, *, micro: bool) -> bytes:
    try:
        since = parse_time(value) - _EPOCH
    except TimeError as error:
        raise Malformed(str(error)) from None
    out = bytearray()
    write_tag(out, 1, VARINT)
    write_varint(out, since.days * 86400 + since.seconds)
    write_tag(out, 2, VARINT)
    write_varint(out, since.microseconds * 1000 if micro else 0)
    return bytes(out)


def _read_wrapped_text(value: bytes) -> str:
    text = ""
    for tag, wire, part in read_fields(value, 0, len(value)):
        if tag == 1 and wire == LENGTH:
            text = _read_text(part)
    return text or "0"


def _write_wrapped_text(value: str) -> bytes:
    out = bytearray()
    write_bytes(out, 1, str(value).encode())
    return bytes(out)


def _read_int_or_string(value: bytes) -> int | str:
    kind, number, text = 0, 0, ""
    for tag, wire, part in read_fields(value, 0, len(value)):
        if tag == 1 and wire == VARINT:
            kind = _read_int64(part)
        elif tag == 2 and wire == VARINT:
            number = _read_int32(part)
        elif tag == 3 and wire == LENGTH:
            text = _read_text(part)
    if kind not in (0, 1):
        raise Malformed("impossible IntOrString.Type")
    return text if kind == 1 else number


def _write_int_or_string(value: int | str) -> bytes:
    is_text = isinstance(value, str)
    out = bytearray()
    write_tag(out, 1, VARINT)
    write_varint(out, 1 if is_text else 0)
    write_tag(out, 2, VARINT)
    write_varint(out, 0 if isinstance(value, str) else value)
    write_bytes(out, 3, value.encode() if isinstance(value, str) else b"")
    return bytes(out)


def _read_raw(value: bytes) -> Any:
    """RawExtension, FieldsV1, JSON: one bytes field holding JSON."""
    raw = b""
    for tag, wire, part in read_fields(value, 0, len(value)):
        if tag == 1 and wire == LENGTH:
            raw = part
    if not raw:
        return None
    if raw.startswith(b"k8s\x00"):
        raise Malformed("a protobuf object inside a raw field is not supported")
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Malformed("a raw field holds no JSON") from None
    if is_deeper_than(parsed, DEPTH_LIMIT):
        raise Malformed("exceeded max depth")
    return parsed


def _write_raw(value: Any) -> bytes:
    out = bytearray()
    write_bytes(out, 1, orjson.dumps(value))
    return bytes(out)


_UNITS = (("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000))


def _read_duration(value: bytes) -> str:
    """Go's text of a duration in nanoseconds: 1h30m0s, 1.5s, 0s."""
    nanos = _read_seconds(value)[0]
    sign, nanos = ("-", -nanos) if nanos < 0 else ("", nanos)
    if nanos == 0:
        return "0s"
    for unit, size in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
        if nanos < size * 1000:
            return f"{sign}{_decimal(nanos, size)}{unit}"
    hours, rest = divmod(nanos, _UNITS[0][1])
    minutes, rest = divmod(rest, _UNITS[1][1])
    text = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{text}{_decimal(rest, 1_000_000_000)}s"


def _decimal(value: int, size: int) -> str:
    whole, rest = divmod(value, size)
    fraction = str(rest).rjust(len(str(size)) - 1, "0").rstrip("0") if rest else ""
    return f"{whole}.{fraction}" if fraction else str(whole)


def _write_duration(value: str) -> bytes:
    nanos, sign, rest = 0, 1, value
    if rest.startswith("-"):
        sign, rest = -1, rest[1:]
    sizes = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, **dict(_UNITS)}
    while rest and rest != "0":
        digits = 0
        while digits < len(rest) and (rest[digits].isdigit() or rest[digits] == "."):
            digits += 1
        unit = next((u for u in ("ns", "us", "µs", "ms", "h", "m", "s") if rest[digits:].startswith(u)), "")
        if not digits or not unit or digits > 24:
            raise Malformed(f"invalid duration {value!r}")
        whole, _, fraction = rest[:digits].partition(".")
        nanos += int(whole or "0") * sizes[unit]
        nanos += int(fraction or "0") * sizes[unit] // 10 ** len(fraction)
        rest = rest[digits + len(unit) :]
    out = bytearray()
    write_tag(out, 1, VARINT)
    write_varint(out, sign * nanos)
    return bytes(out)
