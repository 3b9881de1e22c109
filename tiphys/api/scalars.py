"""Single values as upstream's decoder takes them: numbers, base64, times, quantities, int-or-string.

Every converter takes the JSON value and returns the wire form the server stores (a canonical quantity, a UTC time).
A value of the wrong JSON type raises `WrongType`, which the walk turns into "cannot unmarshal ... into Go struct field
..."; a value of the right type that means nothing raises `BadValue`, whose text stands alone.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tiphys.api.quantity import QuantityError, canonical
from tiphys.api.schema import Scalar

Convert = Callable[[Any], Any]

INTEGER_RANGES = {
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "": (-(2**63), 2**63 - 1),
    "uint8": (0, 255),
    "uint16": (0, 65535),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
    "int8": (-128, 127),
    "int16": (-32768, 32767),
}


class WrongType(ValueError):
    """`found` is Go's word for the JSON value ("number", "number 1.5", "string", "bool", "array", "object")."""

    def __init__(self, found: str, go_type: str) -> None:
        super().__init__(found)
        self.found = found
        self.go_type = go_type


class BadValue(ValueError):
    """The text is upstream's and complete."""


def json_word(value: Any) -> str:
    """Go's name for a JSON value's type."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "object" if isinstance(value, dict) else "null"


def converter(scalar: Scalar) -> Convert:
    """The function that converts one value of this scalar type."""
    if scalar.format == "int-or-string":
        return _int_or_string
    if scalar.format == "quantity":
        return _quantity
    if scalar.type == "boolean":
        return lambda value: _plain(value, bool, "bool")
    if scalar.type == "integer":
        return _integer(scalar.format, scalar.go_type)
    if scalar.type == "number":
        return lambda value: _number(value, scalar.go_type)
    if scalar.format == "byte":
        return _base64
    if scalar.format == "date-time":
        return _time
    if scalar.format == "micro-time":
        return _micro_time
    go_type = scalar.go_type or "string"
    return lambda value: _plain(value, str, go_type)


def zero_value(scalar: Scalar) -> Any:
    """What Go holds for an absent value of this type, on the wire."""
    if scalar.format == "quantity":
        return "0"
    if scalar.format in ("date-time", "micro-time"):
        return None
    if scalar.format == "int-or-string":
        return 0
    return {"boolean": False, "integer": 0, "number": 0}.get(scalar.type, "")


def _plain(value: Any, kind: type, go_type: str) -> Any:
    if type(value) is not kind:
        raise WrongType(json_word(value), go_type)
    return value


def _integer(width: str, go_type: str) -> Convert:
    low, high = INTEGER_RANGES.get(width, INTEGER_RANGES[""])
    go_type = go_type if go_type and go_type != "string" else (width or "int64")

    def convert(value: Any) -> int:
        if type(value) is int and low <= value <= high:
            return value
        if type(value) in (int, float):
            raise WrongType(f"number {_number_text(value)}", go_type)
        raise WrongType(json_word(value), go_type)

    return convert


def _number(value: Any, go_type: str) -> float | int:
    if type(value) not in (int, float):
        raise WrongType(json_word(value), go_type if go_type != "string" else "float64")
    return value  # type: ignore[no-any-return]


def _int_or_string(value: Any) -> int | str:
    if type(value) is str:
        return value
    if type(value) is int and -(2**31) <= value < 2**31:
        return value
    if type(value) in (int, float):
        raise WrongType(f"number {_number_text(value)}", "int32")
    raise WrongType(json_word(value), "int32")


def _number_text(value: Any) -> str:
    return str(value) if isinstance(value, int) else repr(value)


def _quantity(value: Any) -> str:
    if type(value) in (int, float):
        value = _number_text(value)
    elif type(value) is not str:
        # Upstream hands the raw JSON text to the quantity parser, which cannot read it.
        value = "x"
    try:
        return canonical(value.strip())
    except QuantityError as error:
        raise BadValue(str(error)) from None


_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}\Z")


def _base64(value: Any) -> str:
    if type(value) is not str:
        raise WrongType(json_word(value), "[]uint8")
    text = value.replace("\n", "").replace("\r", "") if "\n" in value or "\r" in value else value
    if len(text) % 4 == 0 and _BASE64.match(text):
        try:
            # Go accepts stray bits after the last byte and writes them back as zeros.
            return base64.b64encode(binascii.a2b_base64(text)).decode() if text.endswith("=") else text
        except binascii.Error:
            pass
    raise BadValue(f"illegal base64 data at input byte {_first_bad_byte(value)}")


def _first_bad_byte(text: str) -> int:
    """Where Go's decoder gives up: the first foreign character, or the quantum that ends too early."""
    seen = 0
    for index, char in enumerate(text):
        if char in "\r\n":
            continue
        if char == "=":
            if seen % 4 < 2:
                return index
            rest = text[index + 1 :].replace("\n", "").replace("\r", "")
            if seen % 4 == 2 and not rest.startswith("="):
                return len(text) if not rest else index + 1
            extra = rest[1:] if seen % 4 == 2 else rest
            return index + 1 + (1 if seen % 4 == 2 else 0) if extra else index
        if not (char.isascii() and (char.isalnum() or char in "+/")):
            return len(text[:index].encode())
        seen += 1
    return seen - seen % 4


RFC3339 = "2006-01-02T15:04:05Z07:00"
RFC3339_MICRO = "2006-01-02T15:04:05.000000Z07:00"
_CANONICAL_TIME = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ\Z")
_TIME = re.compile(
    r"(?P<y>\d{4})-(?P<mo>\d\d)-(?P<d>\d\d)T(?P<h>\d\d):(?P<mi>\d\d):(?P<s>\d\d)(?P<f>[.,]\d+)?"
    r"(?P<z>Z|[+-]\d\d:\d\d)\Z",
    re.ASCII,
)
# The layout piece by piece, to name the piece that does not fit as Go does.
_PIECES = (
    (r"\d{4}", "2006"), ("-", "-"), (r"\d\d", "01"), ("-", "-"), (r"\d\d", "02"), ("T", "T"), (r"\d\d", "15"),
    (":", ":"), (r"\d\d", "04"), (":", ":"), (r"\d\d(?:[.,]\d+)?", "05"), (r"Z|[+-]\d\d:\d\d", "Z07:00"),
)  # fmt: skip


def _time(value: Any) -> str | None:
    if type(value) is not str:
        raise WrongType(json_word(value), "string")
    if _CANONICAL_TIME.match(value):
        return value if value != "0001-01-01T00:00:00Z" else None
    moment = _parse(value, RFC3339)
    text = f"{moment:%Y-%m-%dT%H:%M:%S}Z".rjust(20, "0")
    return text if text != "0001-01-01T00:00:00Z" else None


def _micro_time(value: Any) -> str | None:
    if type(value) is not str:
        raise WrongType(json_word(value), "string")
    moment = _parse(value, RFC3339_MICRO)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z".rjust(27, "0")


def _parse(text: str, layout: str) -> datetime:
    match = _TIME.match(text)
    if match is None:
        raise BadValue(_time_error(text, layout))
    numbers = [int(match[name]) for name in ("y", "mo", "d", "h", "mi", "s")]
    micro = int(((match["f"] or ".")[1:] + "000000")[:6])
    for number, low, high, word in zip(
        numbers[1:], (1, 1, 0, 0, 0), (12, 31, 23, 59, 59), ("month", "day", "hour", "minute", "second"), strict=True
    ):
        if not low <= number <= high:
            raise BadValue(f"parsing time {_quote(text)}: {word} out of range")
    try:
        moment = datetime(*numbers, microsecond=micro, tzinfo=UTC)  # type: ignore[misc,arg-type]
        if match["z"] != "Z":
            hours, minutes = int(match["z"][1:3]), int(match["z"][4:6])
            offset = timedelta(hours=hours, minutes=minutes)
            moment = moment - offset if match["z"][0] == "+" else moment + offset
    except (ValueError, OverflowError):
        raise BadValue(f"parsing time {_quote(text)}: day out of range") from None
    return moment


def _time_error(text: str, layout: str) -> str:
    rest = text
    for pattern, name in _PIECES:
        match = re.match(pattern, rest, re.ASCII)
        if match is None:
            return f"parsing time {_quote(text)} as {_quote(layout)}: cannot parse {_quote(rest)} as {_quote(name)}"
        rest = rest[match.end() :]
    return f"parsing time {_quote(text)}: extra text: {_quote(rest)}"


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
