"""A schema as CEL sees it: its types, as protobuf messages to check rules with, and its values, to run them on.

Property names that are no CEL identifiers are escaped as Kubernetes does (`my-field` is my__dash__field); texts of the
formats date-time, date, duration and byte are timestamps, durations and bytes.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from tiphys.api.customresource.cel.engine import new_pool
from tiphys.api.customresource.formats import duration_seconds
from tiphys.api.customresource.structural import Structural
from tiphys.api.times import parse_time

Convert = Callable[[Any], Any]

PACKAGE = "tiphys.self"
_RESERVED = frozenset(
    {"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
     "let", "loop", "package", "namespace", "return", "var", "void", "while"}
)  # fmt: skip
_ACCESSIBLE = re.compile(r"[a-zA-Z_.\-/][a-zA-Z0-9_.\-/]*\Z")
_ESCAPES = (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__"))
_FORMATS = {"date-time": "timestamp", "date": "timestamp", "duration": "duration", "byte": "bytes"}


def escape(name: str) -> str | None:
    """How a rule names a property; None where it cannot."""
    if not _ACCESSIBLE.match(name):
        return None
    if name in _RESERVED:
        return f"__{name}__"
    for char, word in _ESCAPES:
        name = name.replace(char, word)
    return name


def scalar_of(node: Structural) -> str:
    """The CEL type of a scalar, "" for anything else."""
    if node.int_or_string:
        return "dyn"
    if node.type == "string":
        return _FORMATS.get(str(node.text.get("format") or ""), "string")
    return {"integer": "int", "number": "double", "boolean": "bool"}.get(node.type, "")


def is_map(node: Structural) -> bool:
    return node.type == "object" and node.additional is not None and not node.properties


# --- types ------------------------------------------------------------------------------------------------------------


class Messages:
    """The messages of one schema in a pool of their own; `signature(node)` is a place's type."""

    def __init__(self, root: Structural) -> None:
        from google.protobuf import descriptor_pb2  # type: ignore[import-untyped,import-not-found,unused-ignore]

        self._field = descriptor_pb2.FieldDescriptorProto
        self._names: dict[int, str] = {}
        self._file = descriptor_pb2.FileDescriptorProto(
            name="tiphys/self.proto",
            package=PACKAGE,
            syntax="proto3",
            dependency=[f"google/protobuf/{one}.proto" for one in ("struct", "timestamp", "wrappers", "duration")],
        )
        self._declare(root, root=True)
        self.pool = new_pool()
        self.pool.AddSerializedFile(self._file.SerializeToString())

    def signature(self, node: Structural) -> str:
        scalar = scalar_of(node)
        if scalar:
            return {"timestamp": "timestamp", "duration": "duration"}.get(scalar, scalar)
        if node.type == "array":
            return f"list({self.signature(node.items)})" if node.items is not None else "list(dyn)"
        if is_map(node) and node.additional is not None:
            return f"map(string, {self.signature(node.additional)})"
        return f"{PACKAGE}.{self._names[id(node)]}" if id(node) in self._names else "dyn"

    def _declare(self, node: Structural, *, root: bool = False) -> None:
        for below in node.below():
            self._declare(below)
        if node.type == "object" and not is_map(node):
            self._message(node, root=root or node.embedded)

    def _message(self, node: Structural, *, root: bool) -> None:
        name = self._names[id(node)] = f"M{len(self._names)}"
        message = self._file.message_type.add(name=name)
        if root:
            for own in ("apiVersion", "kind"):
                if own not in node.properties:
                    self._add(message, own, Structural({}, "string"))
            meta = self._file.message_type.add(name=f"{name}Metadata")
            for own in ("name", "generateName"):
                self._add(meta, own, Structural({}, "string"))
            self._add_message(message, "metadata", f".{PACKAGE}.{name}Metadata")
        for property_name, below in node.properties.items():
            escaped = escape(property_name)
            untyped = not below.type and not below.int_or_string
            if escaped is None or untyped or (root and property_name == "metadata"):
                continue
            self._add(message, escaped, below)

    def _add(self, message: Any, name: str, node: Structural) -> None:
        if node.type == "array":
            kind, type_name = self._kind(node.items) if node.items is not None else self._anything()
            self._put(message, name, kind, type_name, self._field.LABEL_REPEATED)
        elif is_map(node) and node.additional is not None:
            self._add_map(message, name, node.additional)
        else:
            kind, type_name = self._kind(node)
            wrapper = self._wrapper(node)
            if wrapper:
                kind, type_name = self._field.TYPE_MESSAGE, f".google.protobuf.{wrapper}"
            self._put(message, name, kind, type_name, self._field.LABEL_OPTIONAL)

    def _add_message(self, message: Any, name: str, type_name: str) -> None:
        self._put(message, name, self._field.TYPE_MESSAGE, type_name, self._field.LABEL_OPTIONAL)

    def _put(self, message: Any, name: str, kind: int, type_name: str, label: int) -> None:
        number = len(message.field) + 1
        number += 1000 * (number >= 19000)  # protobuf keeps 19000 to 19999 for itself
        field = message.field.add(name=name, json_name=f"f{number}", number=number, type=kind, label=label)
        if type_name:
            field.type_name = type_name

    def _add_map(self, message: Any, name: str, values: Structural) -> None:
        entry_name = "".join(part[:1].upper() + part[1:] for part in name.split("_")) + "Entry"
        if any(one.name == entry_name for one in message.nested_type):
            self._put(message, name, *self._anything(), self._field.LABEL_OPTIONAL)
            return
        entry = message.nested_type.add(name=entry_name)
        entry.options.map_entry = True
        self._put(entry, "key", self._field.TYPE_STRING, "", self._field.LABEL_OPTIONAL)
        entry.field[0].json_name = "key"
        self._put(entry, "value", *self._kind(values), self._field.LABEL_OPTIONAL)
        entry.field[1].json_name = "value"
        type_name = f".{PACKAGE}.{message.name}.{entry_name}"
        self._put(message, name, self._field.TYPE_MESSAGE, type_name, self._field.LABEL_REPEATED)

    def _anything(self) -> tuple[int, str]:
        return self._field.TYPE_MESSAGE, ".google.protobuf.Value"

    def _kind(self, node: Structural) -> tuple[int, str]:
        kinds = self._field
        scalar = scalar_of(node)
        plain = {"string": kinds.TYPE_STRING, "int": kinds.TYPE_INT64, "double": kinds.TYPE_DOUBLE,
                 "bool": kinds.TYPE_BOOL, "bytes": kinds.TYPE_BYTES}  # fmt: skip
        if scalar in plain:
            return plain[scalar], ""
        if scalar in ("timestamp", "duration"):
            return kinds.TYPE_MESSAGE, f".google.protobuf.{scalar.capitalize()}"
        if id(node) in self._names:
            return kinds.TYPE_MESSAGE, f".{PACKAGE}.{self._names[id(node)]}"
        return self._anything()

    @staticmethod
    def _wrapper(node: Structural) -> str:
        """A scalar that may be null can be compared with null."""
        words = {"string": "String", "int": "Int64", "double": "Double", "bool": "Bool", "bytes": "Bytes"}
        word = words.get(scalar_of(node), "") if node.nullable else ""
        return f"{word}Value" if word else ""


# --- values -----------------------------------------------------------------------------------------------------------


def converter(node: Structural) -> Convert | None:
    """From the JSON value at a place to what a rule runs on; None where they are the same."""
    scalar = scalar_of(node)
    if scalar:
        return _SCALARS.get(scalar)
    if node.type == "array":
        item = converter(node.items) if node.items is not None else None
        return None if item is None else lambda value: [item(one) for one in value] if _is(value, list) else value
    if is_map(node) and node.additional is not None:
        below = converter(node.additional)
        return None if below is None else lambda value: _each_value(value, below)
    return _object(node)


def _is(value: Any, kind: type) -> bool:
    return isinstance(value, kind)


def _each_value(value: Any, below: Convert) -> Any:
    return {name: below(one) for name, one in value.items()} if isinstance(value, dict) else value


def _object(node: Structural) -> Convert | None:
    plans: dict[str, tuple[str, Convert | None]] = {}
    for name, below in node.properties.items():
        escaped = escape(name) or name
        convert = converter(below)
        if escaped != name or convert is not None:
            plans[name] = (escaped, convert)
    if not plans:
        return None

    def run(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        out = dict(value)
        for name, (escaped, convert) in plans.items():
            if name in out:
                item = out.pop(name)
                out[escaped] = convert(item) if convert is not None and item is not None else item
        return out

    return run


def _timestamp(value: Any) -> Any:
    from google.protobuf.timestamp_pb2 import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
        Timestamp,
    )

    if not isinstance(value, str):
        return value
    try:
        moment = parse_time(value if "T" in value.upper() else f"{value}T00:00:00Z")
    except ValueError:
        return value
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _duration(value: Any) -> Any:
    from google.protobuf.duration_pb2 import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
        Duration,
    )

    seconds = duration_seconds(value) if isinstance(value, str) else None
    if seconds is None or abs(seconds) > 3e11:
        return value
    whole = int(seconds)
    return Duration(seconds=whole, nanos=round((seconds - whole) * 1e9))


def _bytes(value: Any) -> Any:
    try:
        return base64.b64decode(value, validate=True) if isinstance(value, str) else value
    except (binascii.Error, ValueError):
        return value


def _double(value: Any) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


_SCALARS: dict[str, Convert] = {"timestamp": _timestamp, "duration": _duration, "bytes": _bytes, "double": _double}
