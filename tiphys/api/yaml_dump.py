"""YAML in the style of `kubectl get -o yaml`.

Keys sorted with numbers in natural order, two spaces, lists not indented below their key, long plain text folded at 80
columns, strings quoted where the reader would take them for something else.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cmp_to_key
from typing import Any

import yaml

from tiphys.api.yaml_scalars import resolve

# Without libyaml PyYAML is slower and means the same.
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_TIMESTAMP = re.compile(
    r"\d{4}-\d\d?-\d\d?(?:(?:[Tt]|[ \t]+)\d\d?:\d\d?:\d\d?(?:\.\d*)?(?:[ \t]*(?:Z|[-+]\d\d?(?::?\d\d)?))?)?\Z"
)
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?\Z")


def dump(value: Any) -> str:
    """One document in the style of `kubectl get -o yaml`, ending in a newline, without `---`."""
    stream = io.StringIO()
    events = [
        yaml.StreamStartEvent(),
        yaml.DocumentStartEvent(explicit=False),
        *_events(value),
        yaml.DocumentEndEvent(explicit=False),
        yaml.StreamEndEvent(),
    ]
    yaml.emit(events, stream, Dumper=_Dumper, allow_unicode=True, width=80)
    return stream.getvalue()


def dump_all(values: list[Any]) -> str:
    """Several documents with `---` between them."""
    return "---\n".join(dump(value) for value in values)


def _events(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield yaml.MappingStartEvent(None, None, True, flow_style=False)
        for key in sort_keys(value):
            yield _text_event(str(key), is_key=True)
            yield from _events(value[key])
        yield yaml.MappingEndEvent()
    elif isinstance(value, list | tuple):
        yield yaml.SequenceStartEvent(None, None, True, flow_style=False)
        for item in value:
            yield from _events(item)
        yield yaml.SequenceEndEvent()
    elif isinstance(value, str):
        yield _text_event(value)
    else:
        yield yaml.ScalarEvent(None, None, (True, True), _plain_text(value))


def _plain_text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _go_float(value)
    return str(value)


def _go_float(value: float) -> str:
    """Go's shortest %g: an exponent from a million on."""
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits)).rstrip("0") or "0"
    point = len(digits) + int(exponent) - 1  # the power of ten of the first digit
    if text == "0" or -4 <= point < 6:
        return str(int(value)) if value == int(value) else repr(value)
    mantissa = f"{text[0]}.{text[1:]}" if len(text) > 1 else text
    return f"{'-' if sign else ''}{mantissa}e{'-' if point < 0 else '+'}{abs(point):02d}"


def _text_event(text: str, *, is_key: bool = False) -> Any:
    if "\n" in text:
        style: str | None = "|"
    elif _reads_as_text(text) and not (is_key and text == "<<"):
        style = None
    else:
        style = '"'
    return yaml.ScalarEvent(None, None, (True, True), text, style=style)


def _reads_as_text(text: str) -> bool:
    """Whether every YAML reader, older ones too, takes the plain text for a string."""
    return isinstance(resolve(text), str) and not _TIMESTAMP.match(text) and not _BASE_60.match(text)


def sort_keys(mapping: dict[Any, Any]) -> list[Any]:
    """Keys as Go's YAML writes them: letters by code point, numbers inside keys by value ("a2" before "a10")."""
    keys = list(mapping)
    if all(type(key) is str and key.isascii() and key.isalpha() for key in keys):
        return sorted(keys)
    return sorted(keys, key=cmp_to_key(lambda a, b: _compare_keys(str(a), str(b))))


def _compare_keys(a: str, b: str) -> int:
    for index, (x, y) in enumerate(zip(a, b, strict=False)):
        if x == y:
            continue
        if x.isalpha() and y.isalpha():
            return -1 if x < y else 1
        if x.isalpha() or y.isalpha():
            return -1 if y.isalpha() else 1
        # Inside a longer number a zero is a digit like any other, so "100" comes after "99".
        before = a[:index]
        run = before[len(before.rstrip("0123456789")) :]
        inside = "1" if "0" in (x, y) and run.strip("0") else "0"
        left, right = _number_at(a, index, inside), _number_at(b, index, inside)
        return -1 if (left, x) < (right, y) else 1
    return (len(a) > len(b)) - (len(a) < len(b))


_DIGITS = re.compile(r"[0-9]{0,18}")


def _number_at(text: str, index: int, prefix: str) -> tuple[int, int]:
    """(value, length) of the digits that start here."""
    match = _DIGITS.match(text, index)
    digits = match[0] if match else ""
    return int(prefix + digits), len(digits)
