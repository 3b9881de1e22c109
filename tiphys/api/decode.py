"""From the bytes of a request to an object of a kind: strict, bounded, in upstream's words.

Two steps.  `load_json` reads JSON within byte and depth limits.  `decode` walks the value along a `Struct`: wrong types
are refused, unknown fields are dropped and named, and what is left is what Go would write back - nulls and zero
`omitempty` values gone, always-written fields there, quantities and times in canonical form.

A well-formed object takes the fast walk, which carries no paths.  The first oddity (an unknown field, a wrong type)
abandons it for the slow walk over the same converters, which knows the path of everything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from tiphys.api.json_body import join_path, load_json
from tiphys.api.scalars import BadValue, WrongType, converter, json_word, zero_value
from tiphys.api.schema import Anything, Field, ListOf, MapOf, Scalar, Struct, Type
from tiphys.api.status import StatusError, bad_request

STRICT_ERROR_LIMIT = 100

__all__ = ["Decoded", "decode", "go_type_name", "load_json", "strict_error"]


class Decoded(NamedTuple):
    """`unknown` holds texts such as `unknown field "spec.bogus"`, in document order."""

    value: dict[str, Any]
    unknown: list[str]


def decode(obj: Any, schema: Struct, *, kind_label: str = "", version: str = "v1") -> Decoded:
    """`obj` as the server keeps it; raises 400 `Pod in version "v1" cannot be handled as a Pod: ...`."""
    if schema.read is not None:
        value, unknown = schema.read(obj)
        return Decoded(_with_reset(obj, value), unknown)
    try:
        return Decoded(_with_reset(obj, _fast_struct(schema)(obj)), [])
    except _Odd:
        pass
    label = kind_label or schema.go_name
    walk = _SlowWalk()
    try:
        return Decoded(_with_reset(obj, walk.value(obj, schema, "", "", "")), walk.unknown)
    except _Refused as error:
        kind = obj.get("kind") if isinstance(obj, dict) else None
        kind = kind if isinstance(kind, str) and kind else label
        raise bad_request(f'{kind} in version "{version}" cannot be handled as a {label}: {error}') from None


def _with_reset(obj: Any, value: dict[str, Any]) -> dict[str, Any]:
    """An object's empty managedFields stays for the one reader it has: it asks to reset the record of ownership."""
    metadata = obj.get("metadata")
    if isinstance(metadata, dict) and metadata.get("managedFields") == [] and "metadata" in value:
        value["metadata"]["managedFields"] = []
    return value


def strict_error(problems: list[str], *, kind_label: str, version: str = "v1") -> StatusError:
    """The 400 of `fieldValidation=Strict` for texts of `load_json` and `decode`."""
    text = ", ".join(problems[:STRICT_ERROR_LIMIT])
    return bad_request(
        f'{kind_label} in version "{version}" cannot be handled as a {kind_label}: strict decoding error: {text}'
    )


# --- the fast walk: one closure per type, made once ------------------------------------------------------------------


class _Odd(Exception):
    """Something the slow walk must look at."""


Walk = Callable[[Any], Any]
_fast_structs: WeakKeyDictionary[Struct, Walk] = WeakKeyDictionary()


def _fast_struct(schema: Struct) -> Walk:
    walk = _fast_structs.get(schema)
    if walk is None:
        walk = _fast_structs[schema] = _make_fast_struct(schema)
    return walk


def _make_fast_struct(schema: Struct) -> Walk:
    table: dict[str, tuple[Any, bool, Walk]] = {}
    zeros: list[tuple[str, Type, Any]] = []
    ready = False

    def prepare() -> None:
        # On first use, because the graph of types may be cyclic.
        nonlocal ready
        for name, member in schema.fields.items():
            plain = _plain_type(member.type)
            table[name] = (plain, _drops_zero(member), _fast(member.type))
            if _is_always_written(member):
                zeros.append((name, member.type, member.zero))
        ready = True

    preserve = schema.preserve_unknown
    lookup = table.get

    def walk(value: Any) -> dict[str, Any]:
        if not ready:
            prepare()
        if type(value) is not dict:
            raise _Odd
        out = {}
        for name, item in value.items():
            entry = lookup(name)
            if entry is None:
                if not preserve:
                    raise _Odd
                out[name] = item
                continue
            if item is None:
                continue
            plain, drop, convert = entry
            if type(item) is not plain:
                item = convert(item)
            if (drop and not item) or item is None:
                continue
            out[name] = item
        for name, type_, zero in zeros:
            if name not in out:
                out[name] = _zero(type_, zero)
        return out

    return walk


def _plain_type(type_: Type) -> type | None:
    """The Python type whose values need no conversion at all."""
    if isinstance(type_, Scalar) and not type_.format:
        return {"string": str, "boolean": bool}.get(type_.type)
    return None


def _drops_zero(member: Field) -> bool:
    """Go leaves an empty value out unless it is behind a pointer or has no omitempty."""
    return not member.pointer and member.zero is None and not isinstance(member.type, Anything)


def _is_always_written(member: Field) -> bool:
    """A list or map that Go would write as null stays out: whoever reads objects expects containers or nothing."""
    return member.zero is not None or (member.null_zero and isinstance(member.type, Scalar))


def _zero(type_: Type, zero: Any) -> Any:
    """A fresh always-written value; a struct with its own always-written members."""
    if isinstance(type_, Struct) and isinstance(zero, dict):
        return {**_fast_struct(type_)({}), **zero}
    return zero.copy() if isinstance(zero, dict | list) else zero


def _fast(type_: Type) -> Walk:
    if isinstance(type_, Scalar):
        return _fast_scalar(type_)
    if isinstance(type_, Struct):
        made: list[Walk] = []
        schema = type_

        def walk(value: Any) -> Any:
            if not made:
                made.append(_fast_struct(schema))
            return made[0](value)

        return walk
    if isinstance(type_, ListOf):
        return _fast_list(type_)
    if isinstance(type_, MapOf):
        return _fast_map(type_)
    return _fast_anything(type_)


def _fast_scalar(scalar: Scalar) -> Walk:
    convert = converter(scalar)

    def walk(value: Any) -> Any:
        try:
            return convert(value)
        except (WrongType, BadValue):
            raise _Odd from None

    return walk


def _fast_list(type_: ListOf) -> Walk:
    plain, convert = _plain_type(type_.items), _fast(type_.items)

    def walk(value: Any) -> Any:
        if type(value) is not list:
            raise _Odd
        out = []
        for item in value:
            if item is None:
                raise _Odd
            out.append(item if type(item) is plain else convert(item))
        return out

    return walk


def _fast_map(type_: MapOf) -> Walk:
    plain, convert = _plain_type(type_.values), _fast(type_.values)

    def walk(value: Any) -> Any:
        if type(value) is not dict:
            raise _Odd
        out = {}
        for key, item in value.items():
            if item is None:
                raise _Odd
            out[key] = item if type(item) is plain else convert(item)
        return out

    return walk


def _fast_anything(type_: Anything) -> Walk:
    only_objects = type_.type == "object"

    inside = type_.inside

    def walk(value: Any) -> Any:
        if only_objects and type(value) is not dict:
            raise _Odd
        if inside is not None:
            if type(value) is dict:
                return _fast_struct(inside())(value)
            if type(value) is list:
                return [walk(item) for item in value]
        return value

    return walk


# --- the slow walk: the same rules, with paths -----------------------------------------------------------------------


class _Refused(Exception):
    """The object cannot be decoded; the text is upstream's, without the outer sentence."""


class _SlowWalk:
    """`path` is as strict errors print it (spec.containers[0].image); `go_path` is without indices and keys."""

    def __init__(self) -> None:
        self.unknown: list[str] = []

    def struct(self, value: Any, schema: Struct, path: str, go_path: str) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for name, item in value.items():
            member = schema.fields.get(name)
            where = join_path(path, name)
            if member is None:
                if schema.preserve_unknown:
                    out[name] = item
                else:
                    self.unknown.append(f'unknown field "{where}"')
                continue
            if item is None:
                continue
            item = self.value(item, member.type, where, schema.go_name, join_path(go_path, name))
            if item is not None and (item or not _drops_zero(member)):
                out[name] = item
        for name, member in schema.fields.items():
            if name not in out and _is_always_written(member):
                out[name] = _zero(member.type, member.zero)
        return out

    def value(self, value: Any, type_: Type, path: str, owner: str, go_path: str) -> Any:
        if isinstance(type_, Scalar):
            return self.scalar(value, type_, owner, go_path)
        if isinstance(type_, Anything):
            if type_.type == "object" and not isinstance(value, dict):
                raise _mismatch(value, type_, owner, go_path)
            return self.anything(value, type_, path, owner, go_path)
        if isinstance(type_, ListOf):
            if not isinstance(value, list):
                raise _mismatch(value, type_, owner, go_path)
            return [
                _empty(type_.items) if item is None else self.value(item, type_.items, f"{path}[{i}]", owner, go_path)
                for i, item in enumerate(value)
            ]
        if not isinstance(value, dict):
            raise _mismatch(value, type_, owner, go_path)
        if isinstance(type_, Struct):
            return self.struct(value, type_, path, go_path)
        return {
            key: _empty(type_.values)
            if item is None
            else self.value(item, type_.values, join_path(path, key), owner, go_path)
            for key, item in value.items()
        }

    def anything(self, value: Any, type_: Anything, path: str, owner: str, go_path: str) -> Any:
        if type_.inside is not None and isinstance(value, dict):
            return self.struct(value, type_.inside(), path, go_path)
        if type_.inside is not None and isinstance(value, list):
            return [self.anything(item, type_, f"{path}[{i}]", owner, go_path) for i, item in enumerate(value)]
        return value

    def scalar(self, value: Any, type_: Scalar, owner: str, go_path: str) -> Any:
        try:
            return converter(type_)(value)
        except WrongType as error:
            place = f"Go struct field {owner}.{go_path}" if owner else "Go value"
            raise _Refused(f"json: cannot unmarshal {error.found} into {place} of type {error.go_type}") from None
        except BadValue as error:
            raise _Refused(str(error)) from None


def _mismatch(value: Any, type_: Type, owner: str, go_path: str) -> _Refused:
    place = f"Go struct field {owner}.{go_path}" if owner else "Go value"
    return _Refused(f"json: cannot unmarshal {json_word(value)} into {place} of type {go_type_name(type_)}")


def _empty(type_: Type) -> Any:
    """What Go makes of a null inside a list or a map."""
    if isinstance(type_, Scalar):
        return zero_value(type_)
    if isinstance(type_, Struct):
        return _fast_struct(type_)({})
    return [] if isinstance(type_, ListOf) else {} if isinstance(type_, MapOf) else None


def go_type_name(type_: Type) -> str:
    """v1.PodSpec, []v1.Container, map[string]string."""
    if isinstance(type_, Scalar):
        return type_.go_type
    if isinstance(type_, ListOf):
        return "[]" + go_type_name(type_.items)
    if isinstance(type_, MapOf):
        return "map[string]" + go_type_name(type_.values)
    parts = type_.name.split(".")
    return ".".join(parts[-2:]) if type_.name else "map[string]interface {}"
