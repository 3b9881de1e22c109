"""A structural schema as the nodes that merges and server-side apply walk, and as the OpenAPI text for clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tiphys.api.customresource.structural import (
    ABSENT,
    EMBEDDED,
    LIST_MAP_KEYS,
    LIST_TYPE,
    MAP_TYPE,
    OF_EVERY_RESOURCE,
    PRESERVE,
    Structural,
)
from tiphys.api.declaration import struct_of
from tiphys.api.meta import ObjectMeta
from tiphys.api.schema import Anything, Field, ListOf, MapOf, Scalar, Struct, Type

JsonObject = dict[str, Any]
Read = Callable[[JsonObject], tuple[JsonObject, list[str]]]

_SCALARS = {
    "string": Scalar("string"),
    "integer": Scalar("integer", "int64", "int64"),
    "number": Scalar("number", "double", "float64"),
    "boolean": Scalar("boolean", go_type="bool"),
}


def root_struct(
    name: str, node: Structural, read: Read, set_defaults: Callable[[JsonObject], None], published: Mapping[str, Any]
) -> Struct:
    """The struct of a whole object; `name` is its OpenAPI definition's."""

    def fields() -> Mapping[str, Field]:
        return _with_type_meta(_fields(node))

    return Struct(
        name,
        fields,
        description=str(node.text.get("description") or ""),
        preserve_unknown=node.preserve_unknown,
        set_defaults=set_defaults,
        read=read,
        published=published,
    )


def _with_type_meta(fields: dict[str, Field]) -> dict[str, Field]:
    metadata = Field("metadata", struct_of(ObjectMeta))
    own = {"apiVersion": Field("apiVersion", Scalar("string")), "kind": Field("kind", Scalar("string"))}
    return {**own, "metadata": metadata, **{name: one for name, one in fields.items() if name not in OF_EVERY_RESOURCE}}


def _fields(node: Structural) -> dict[str, Field]:
    return {
        name: Field(name, _type(below), default=None if below.default is ABSENT else below.default)
        for name, below in node.properties.items()
    }


def _type(node: Structural) -> Type:
    if node.int_or_string:
        return Scalar("string", "int-or-string", "IntOrString")
    if node.type == "array":
        items = _type(node.items) if node.items is not None else Anything()
        list_type = node.text.get(LIST_TYPE) or "atomic"
        return ListOf(items, list_type, tuple(node.text.get(LIST_MAP_KEYS) or ()))
    if node.type in _SCALARS:
        return _SCALARS[node.type]
    atomic = node.text.get(MAP_TYPE) == "atomic"
    if node.additional is not None and not node.properties:
        return MapOf(_type(node.additional), atomic)
    if not node.properties and not node.embedded and (node.preserve_unknown or node.free_form):
        return MapOf(Anything(), True) if atomic else Anything()
    if node.type == "object":
        fields = _fields(node)
        if node.embedded:
            fields = _with_type_meta(fields)
        return Struct("", lambda: fields, atomic=atomic, preserve_unknown=node.preserve_unknown)
    return Anything()


# --- what is published ------------------------------------------------------------------------------------------------

_OBJECT_META = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


def published(node: Structural) -> JsonObject:
    """The OpenAPI v3 text of a schema; where unknown fields are kept, nothing is said that would forbid them."""
    text = {name: value for name, value in node.text.items() if name not in ("properties", "items")}
    if isinstance(text.get("additionalProperties"), dict) and node.additional is not None:
        text["additionalProperties"] = published(node.additional)
    if node.items is not None:
        text["items"] = published(node.items)
    properties = {name: published(below) for name, below in node.properties.items()}
    if node.embedded:
        properties |= {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"allOf": [{"$ref": _OBJECT_META}]},
        }
    if properties:
        text["properties"] = properties
    if text.get(PRESERVE) is False:
        del text[PRESERVE]
    if text.get(EMBEDDED) is False:
        del text[EMBEDDED]
    return text
