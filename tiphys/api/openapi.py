"""OpenAPI v3: one document per group and version, made from the same nodes every other walk follows.

Clients read four things in it: field names and types (validation, `explain`), the merge facts of lists
(x-kubernetes-list-type, -patch-strategy), which kind a path serves (x-kubernetes-group-version-kind), and that PATCH
takes `fieldValidation` (kubectl then leaves validation to the server).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tiphys.api.declaration import Model, struct_of
from tiphys.api.kinds import KindInfo, Registry
from tiphys.api.openapi_paths import paths_of
from tiphys.api.schema import Anything, Field, ListOf, MapOf, Scalar, Struct, Type

JsonObject = dict[str, Any]

REFERENCE = "#/components/schemas/"
MACHINERY = "io.k8s.apimachinery.pkg."
NAMED_SCALARS: dict[str, tuple[str, JsonObject]] = {
    "quantity": (
        MACHINERY + "api.resource.Quantity",
        {
            "description": "An amount with an optional suffix: 500m, 1.5, 2Gi, 1e3.",
            "oneOf": [{"type": "string"}, {"type": "number"}],
        },
    ),
    "int-or-string": (
        MACHINERY + "util.intstr.IntOrString",
        {
            "description": "A number, or a string such as a port name or a percentage.",
            "format": "int-or-string",
            "oneOf": [{"type": "integer"}, {"type": "string"}],
        },
    ),
    "date-time": (
        MACHINERY + "apis.meta.v1.Time",
        {"description": "A moment as RFC 3339 writes it, in seconds.", "type": "string", "format": "date-time"},
    ),
    "micro-time": (
        MACHINERY + "apis.meta.v1.MicroTime",
        {"description": "A moment as RFC 3339 writes it, in microseconds.", "type": "string", "format": "date-time"},
    ),
}

OF_EVERY_OBJECT = {
    "apiVersion": "The group and version that say what the fields mean.",
    "kind": "The kind of object this is.",
    "metadata": "Standard object's metadata: name, labels, owners and the like.",
}


def document_path(group: str, version: str) -> str:
    """The key of a document in the index: api/v1, apis/apps/v1."""
    return f"apis/{group}/{version}" if group else f"api/{version}"


def index(hashes: dict[str, str]) -> JsonObject:
    """/openapi/v3 for a mapping from document path to the hash of the document's text."""
    return {
        "paths": {
            path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"} for path, digest in sorted(hashes.items())
        }
    }


def document(registry: Registry, group: str, version: str, *, server_version: str = "v1.36.0") -> JsonObject:
    """The document of one group and version, as a new dict."""
    infos = sorted(
        (info for info in registry.all() if (info.group, info.version) == (group, version)),
        key=lambda info: info.plural,
    )
    components = Components()
    paths: JsonObject = {}
    for info in infos:
        components.add_kind(info)
        paths |= paths_of(info)
    components.add_shared(infos)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": server_version},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(components.schemas.items())),
            "securitySchemes": {
                "BearerToken": {
                    "type": "apiKey",
                    "name": "authorization",
                    "in": "header",
                    "description": "Bearer Token authentication",
                }
            },
        },
    }


class Components:
    """The named schemas of a document, collected by following references."""

    def __init__(self) -> None:
        self.schemas: dict[str, JsonObject] = {}
        self._kinds: dict[str, list[JsonObject]] = {}

    def add_kind(self, info: KindInfo) -> None:
        self._name_kind(info.schema, info.group, info.version, info.kind)
        self.reference(info.schema)
        if "list" in info.verbs:
            self._name_kind(info.list_schema, info.group, info.version, info.list_kind)
            self.reference(info.list_schema)

    def add_shared(self, infos: Iterable[KindInfo]) -> None:
        """What requests to any resource carry, and the kinds of subresources."""
        from tiphys.api.meta import DeleteOptions, Status, WatchEvent

        infos = list(infos)
        group_versions = sorted({(info.group, info.version) for info in infos} | {("", "v1")})
        for model in (DeleteOptions, WatchEvent):
            for group, version in group_versions:
                self._name_kind(struct_of(model), group, version, model.__name__)
            self.reference(struct_of(model))
        self._name_kind(struct_of(Status), "", "v1", "Status")
        self.reference(struct_of(Status))
        self.schemas[MACHINERY + "apis.meta.v1.Patch"] = {
            "description": "A change, in the form its content type says.",
            "type": "object",
        }
        for sub in {(s.group, s.version, s.kind) for info in infos for s in info.subresources.values()}:
            carried = subresource_model(*sub)
            if carried is not None:
                self._name_kind(struct_of(carried), *sub)
                self.reference(struct_of(carried))

    def _name_kind(self, struct: Struct, group: str, version: str, kind: str) -> None:
        names = self._kinds.setdefault(struct.name, [])
        name = {"group": group, "version": version, "kind": kind}
        if name not in names:
            names.append(name)

    def reference(self, struct: Struct) -> JsonObject:
        if struct.name not in self.schemas:
            self.schemas[struct.name] = {}  # before its fields: types may contain themselves
            self.schemas[struct.name] = self._struct(struct)
        return {"$ref": REFERENCE + struct.name}

    def _struct(self, struct: Struct) -> JsonObject:
        schema: JsonObject = {"type": "object"}
        if struct.published is not None:
            schema = {**struct.published}
            own = {name: self._field(struct.fields[name]) for name in OF_EVERY_OBJECT if name in struct.fields}
            schema["properties"] = {**schema.get("properties", {}), **own}
            if kinds := self._kinds.get(struct.name):
                schema["x-kubernetes-group-version-kind"] = kinds
            return schema
        if struct.description:
            schema["description"] = struct.description
        if struct.fields:
            schema["properties"] = {name: self._field(field) for name, field in struct.fields.items()}
        if required := [name for name, field in struct.fields.items() if field.required]:
            schema["required"] = required
        if struct.atomic:
            schema["x-kubernetes-map-type"] = "atomic"
        if struct.preserve_unknown:
            schema["x-kubernetes-preserve-unknown-fields"] = True
        if kinds := self._kinds.get(struct.name):
            schema["x-kubernetes-group-version-kind"] = kinds
        return schema

    def _field(self, field: Field) -> JsonObject:
        node = field.type
        schema = self._type(node)
        facts: JsonObject = {}
        if description := field.description or OF_EVERY_OBJECT.get(field.name, ""):
            facts["description"] = description
        default = {} if field.zero == {} and isinstance(node, Struct) else field.default
        if default is not None:
            facts["default"] = default
        if field.enum:
            (schema["items"] if isinstance(node, ListOf) else facts)["enum"] = list(field.enum)
        if isinstance(node, ListOf):
            facts |= _list_facts(node)
        elif isinstance(node, MapOf) and node.atomic:
            facts["x-kubernetes-map-type"] = "atomic"
        elif isinstance(node, Struct) and node.union:
            facts["x-kubernetes-patch-strategy"] = node.union
        if "$ref" in schema and facts:
            schema = {"allOf": [schema]}
        return {**schema, **facts}

    def _type(self, node: Type) -> JsonObject:
        if isinstance(node, Struct):
            return self.reference(node)
        if isinstance(node, ListOf):
            return {"type": "array", "items": self._item(node.items)}
        if isinstance(node, MapOf):
            return {"type": "object", "additionalProperties": self._item(node.values)}
        if isinstance(node, Anything):
            return self._anything(node)
        return self._scalar(node)

    def _item(self, node: Type) -> JsonObject:
        """An item is never absent, so it publishes its zero."""
        schema = self._type(node)
        if isinstance(node, Struct):
            return {"allOf": [schema], "default": {}}
        zeros = {"string": "", "integer": 0, "number": 0, "boolean": False}
        if isinstance(node, Scalar) and "$ref" not in schema and node.format != "byte":
            return {**schema, "default": zeros[node.type]}
        return schema

    def _scalar(self, node: Scalar) -> JsonObject:
        named = NAMED_SCALARS.get(node.format)
        if named is not None:
            name, schema = named
            self.schemas[name] = schema
            return {"$ref": REFERENCE + name}
        return {"type": node.type, "format": node.format} if node.format else {"type": node.type}

    def _anything(self, node: Anything) -> JsonObject:
        schema: JsonObject = {"type": node.type} if node.type else {}
        if not node.name:
            return schema
        self.schemas[node.name] = schema
        return {"$ref": REFERENCE + node.name}


def _list_facts(node: ListOf) -> JsonObject:
    facts: JsonObject = {}
    if node.list_type:
        facts["x-kubernetes-list-type"] = node.list_type
    if node.map_keys:
        facts["x-kubernetes-list-map-keys"] = list(node.map_keys)
    if node.patch_strategy:
        facts["x-kubernetes-patch-strategy"] = node.patch_strategy
    if node.patch_merge_key:
        facts["x-kubernetes-patch-merge-key"] = node.patch_merge_key
    return facts


def subresource_model(group: str, version: str, kind: str) -> type[Model] | None:
    """The model a subresource carries when it is not its owner's; None where it carries a stream or options."""
    if version != "v1":
        return None
    if (group, kind) == ("autoscaling", "Scale"):
        from tiphys.api.autoscaling.scale import Scale

        return Scale
    if (group, kind) == ("policy", "Eviction"):
        from tiphys.api.policy.eviction import Eviction

        return Eviction
    if (group, kind) == ("authentication.k8s.io", "TokenRequest"):
        from tiphys.api.authentication.tokenrequest import TokenRequest

        return TokenRequest
    return None
