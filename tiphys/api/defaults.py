"""The defaulting walk: what the server fills in before it admits and validates an object.

A struct's own SetDefaults function runs first, then the constants its fields publish, then its members: upstream's
order, which matters where a parent decides for its children.  Functions stand in `defaults.py` of each group's
package, marked with `sets_defaults`; the package is imported when the first of its types is met.

What must stay true: walking an object a second time changes nothing.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from tiphys.api.declaration import defaults_of
from tiphys.api.quantity import canonical, milli
from tiphys.api.schema import Field, ListOf, MapOf, Scalar, Struct, Type

Walk = Callable[[Any], None]


def apply_defaults(obj: dict[str, Any], schema: Struct) -> None:
    """Fills `obj` in place; `obj` is decoded and of that schema."""
    walk = _walk_of(schema)
    if walk is not None:
        walk(obj)


# A type without anything to fill in anywhere below it has no walk at all: most of a pod's types.  A recursive type
# (a CRD's JSONSchemaProps) counts as having one while it is being compiled.
_walks: WeakKeyDictionary[Struct, Walk | None] = WeakKeyDictionary()  # a custom resource's schema goes with it
_in_progress: set[Struct] = set()


def _walk_of(schema: Struct) -> Walk | None:
    if schema in _in_progress:
        return lambda obj: apply_defaults(obj, schema)
    if schema not in _walks:
        _in_progress.add(schema)
        try:
            _walks[schema] = _make_walk(schema)
        finally:
            _in_progress.discard(schema)
    return _walks[schema]


def _make_walk(schema: Struct) -> Walk | None:
    if schema.read is not None:  # a custom resource: its own function knows every level, and that a value may be wrong
        return schema.set_defaults
    own = schema.set_defaults or _declared(schema.name)
    constants = [(f.name, f.default) for f in schema.fields.values() if _fills(f)]
    members = [(f.name, visit) for f in schema.fields.values() if (visit := _type_walk(f.type)) is not None]
    if own is None and not constants and not members:
        return None

    def walk(obj: Any) -> None:
        if own is not None:
            own(obj)
        for name, value in constants:
            if obj.get(name) is None:
                obj[name] = value
        for name, visit in members:
            value = obj.get(name)
            if value is not None:
                visit(value)

    return walk


def _fills(field: Field) -> bool:
    """A published zero of a plain value is only documentation: Go has it without being told."""
    return field.default is not None and (field.pointer or bool(field.default))


def _type_walk(type_: Type) -> Walk | None:
    if isinstance(type_, Struct):
        return _walk_of(type_)
    if isinstance(type_, ListOf):
        item = _type_walk(type_.items)
        return None if item is None else _each(item)
    if isinstance(type_, MapOf):
        if isinstance(type_.values, Scalar) and type_.values.format == "quantity":
            return round_quantities
        value = _type_walk(type_.values)
        return None if value is None else _each_value(value)
    return None


def _each(walk: Walk) -> Walk:
    def visit(items: Any) -> None:
        for item in items:
            walk(item)

    return visit


def _each_value(walk: Walk) -> Walk:
    def visit(items: Any) -> None:
        for item in items.values():
            walk(item)

    return visit


def round_quantities(resources: dict[str, Any]) -> None:
    """A resource list has no unit finer than a thousandth; finer ones are rounded up."""
    for name, text in resources.items():
        if isinstance(text, str) and text[-1:] in ("n", "u"):
            resources[name] = canonical(f"{milli(text)}m")


def _declared(definition: str) -> Callable[[dict[str, Any]], None] | None:
    package = _package_of(definition)
    if package and importlib.util.find_spec(package) is not None:
        importlib.import_module(package)
    return defaults_of(definition)


PACKAGES = {"discovery": "endpoints"}  # where the package is not called as the group


def _package_of(definition: str) -> str:
    """io.k8s.api.core.v1.Pod to tiphys.api.core.defaults; "" where there is no such package"""
    parts = definition.split(".")
    if parts[:3] != ["io", "k8s", "api"] or len(parts) < 6:
        return ""
    package = f"tiphys.api.{PACKAGES.get(parts[3], parts[3])}"
    return f"{package}.defaults" if importlib.util.find_spec(package) is not None else ""
