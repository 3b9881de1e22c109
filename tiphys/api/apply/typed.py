"""What server-side apply sees in a value: its shape, the elements of its lists, its field set, its errors.

Every walk of this package reduces the schema to five shapes: a leaf (scalars, and everything atomic), a set of scalars,
a keyed list, a map with free keys, a struct.  Where the schema says nothing (`Anything`, unknown fields of a CRD) the
value decides: objects are maps, lists and scalars are leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tiphys.api.apply.fieldset import FieldSet, Path, field_element, key_element, path_text, value_element
from tiphys.api.patch_strategic import go_print
from tiphys.api.scalars import json_word
from tiphys.api.schema import Anything, ListOf, MapOf, Scalar, Struct, Type

ABSENT: Final = object()  # "not there", which is not the same as null
FREE: Final = Anything()

LEAF, LIST, MAP = "leaf", "list", "map"


def shape(type_: Type, *values: Any) -> str:
    """LEAF, LIST (of elements with an identity) or MAP."""
    if isinstance(type_, Scalar):
        return LEAF
    if isinstance(type_, Struct):
        return LEAF if type_.atomic else MAP
    if isinstance(type_, MapOf):
        return LEAF if type_.atomic else MAP
    if isinstance(type_, ListOf):
        return LEAF if type_.list_type == "atomic" else LIST
    present = [value for value in values if value is not ABSENT and value is not None]
    return MAP if present and all(isinstance(value, dict) for value in present) else LEAF


def member_type(type_: Type, name: str) -> Type:
    if isinstance(type_, Struct):
        field = type_.fields.get(name)
        return field.type if field is not None else FREE
    return type_.values if isinstance(type_, MapOf) else FREE


def item_type(type_: Type) -> Type:
    return type_.items if isinstance(type_, ListOf) else FREE


def is_declared(type_: Type, name: str) -> bool:
    return isinstance(type_, Struct) and name in type_.fields


class NoIdentity(ValueError):
    """A list element that has no key; the text is upstream's."""


def element_of(type_: ListOf, item: Any) -> str:
    """The path element of one item of a set or keyed list."""
    if item is None:
        if type_.list_type == "map":
            raise NoIdentity("associative list with keys may not have null elements"
                             if type_.map_keys else "associative list with keys has no keys")  # fmt: skip
        raise NoIdentity("associative list without keys has an element that's an explicit null")
    if type_.list_type != "map":
        if isinstance(item, dict | list):
            raise NoIdentity(f"associative list without keys has an element that's a {_container(item)} type")
        return value_element(item)
    if not isinstance(item, dict):
        raise NoIdentity("associative list with keys may not have non-map elements")
    keys: dict[str, Any] = {}
    for name in type_.map_keys:
        value = item.get(name)
        if value is None:
            value = _default_key(type_.items, name)
        if value is None:
            raise NoIdentity(
                f'associative list with keys has an element that omits key field "{name}" '
                "(and doesn't have default value)"
            )
        keys[name] = value
    return key_element(keys)


def _container(item: Any) -> str:
    return "map" if isinstance(item, dict) else "list"


def _default_key(items: Type, name: str) -> Any:
    field = items.fields.get(name) if isinstance(items, Struct) else None
    return field.default if field is not None else None


def elements(type_: Type, items: Any) -> Iterator[tuple[str, Any]]:
    """(path element, item) for a list that is known to be valid; items without identity are passed over."""
    if not isinstance(items, list) or not isinstance(type_, ListOf):
        return
    for item in items:
        try:
            yield element_of(type_, item), item
        except NoIdentity:
            continue


def to_field_set(value: Any, type_: Type) -> FieldSet:
    """The fields a configuration mentions."""
    result = FieldSet()
    _collect(value, type_, (), result)
    return result


def _collect(value: Any, type_: Type, path: Path, result: FieldSet) -> None:
    kind = shape(type_, value)
    if kind == LEAF:
        result.insert(path)
    elif kind == LIST:
        for element, item in elements(type_, value):
            below = (*path, element)
            _collect(item, item_type(type_), below, result)
            result.insert(below)
    elif isinstance(value, dict):
        for name, item in value.items():
            below = (*path, field_element(name))
            _collect(item, member_type(type_, name), below, result)
            if item is None or item == {} or not is_declared(type_, name):
                result.insert(below)


def with_named_members(fields: FieldSet, type_: Type) -> FieldSet:
    """The set with every struct field that has something below it as a member too (EnsureNamedFieldsAreMembers)."""
    members, children = set(fields.members), {}
    for element, child in fields.children.items():
        below: Type = FREE
        if element.startswith("f:"):
            name = element[2:]
            below = member_type(type_, name)
            if is_declared(type_, name):
                members.add(element)
        elif element.startswith("k:"):
            below = item_type(type_)
        children[element] = with_named_members(child, below)
    return FieldSet(members, children)


def validation_errors(value: Any, type_: Type, path: Path = ()) -> list[str]:
    """What is wrong with an apply configuration: `.spec.x: field not declared in schema`."""
    if value is None:
        return []
    if isinstance(type_, Scalar):
        problem = _scalar_problem(value, type_)
        return [_at(path, problem)] if problem else []
    if isinstance(type_, Anything):
        return []
    if isinstance(type_, ListOf):
        if not isinstance(value, list):
            return [_at(path, f"expected list, got {_go_value(value)}")]
        return _list_errors(value, type_, path)
    if not isinstance(value, dict):
        return [_at(path, f"expected map, got {_go_value(value)}")]
    errors: list[str] = []
    for name, item in value.items():
        below = (*path, field_element(name))
        if isinstance(type_, Struct) and name not in type_.fields and not type_.preserve_unknown:
            errors.append(_at(below, "field not declared in schema"))
        else:
            errors += validation_errors(item, member_type(type_, name), below)
    return errors


def _list_errors(value: list[Any], type_: ListOf, path: Path) -> list[str]:
    errors: list[str] = []
    seen: set[str] = set()
    for index, item in enumerate(value):
        element = f"i:{index}"
        if type_.list_type != "atomic":
            try:
                element = element_of(type_, item)
            except NoIdentity as problem:
                errors.append(_at(path, f"element {index}: {problem}"))
                continue
            if element in seen:
                errors.append(_at(path, f"duplicate entries for key {path_text([element])}"))
            seen.add(element)
        errors += validation_errors(item, type_.items, (*path, element))
    return errors


def _at(path: Path, problem: str) -> str:
    return f"{path_text(path)}: {problem}" if path else problem


def _scalar_problem(value: Any, type_: Scalar) -> str:
    word = json_word(value)
    if type_.format in ("quantity", "int-or-string", "date-time", "micro-time"):
        return f"expected any scalar, got {_go_value(value)}" if word in ("array", "object") else ""
    if type_.type in ("integer", "number"):
        return f"expected numeric (int or float), got {_go_type(value)}" if word != "number" else ""
    if type_.type == "boolean":
        return f"expected boolean, got {_go_value(value)}" if word != "bool" else ""
    return "" if word == "string" else f"expected string, got &value.valueUnstructured{{Value:{_go_literal(value)}}}"


def _go_type(value: Any) -> str:
    return {"array": "[]interface {}", "object": "map[string]interface {}"}.get(json_word(value), json_word(value))


def _go_value(value: Any) -> str:
    return "&{" + go_print(value) + "}"


def _go_literal(value: Any) -> str:
    """A value as Go's %#v prints it."""
    if isinstance(value, dict):
        body = ", ".join(f'"{key}":{_go_literal(value[key])}' for key in sorted(value))
        return "map[string]interface {}{" + body + "}"
    if isinstance(value, list):
        return "[]interface {}{" + ", ".join(map(_go_literal, value)) + "}"
    if isinstance(value, str):
        return f'"{value}"'
    return go_print(value)
