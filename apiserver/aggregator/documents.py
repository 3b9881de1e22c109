"""What an extension server says about itself, read with distrust: only what has the right form gets into our documents.

What must stay true: nothing an extension server says appears under another group and version than its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tiphys.api.openapi_gnostic import encode_document
from tiphys.api.openapi_v2 import swagger

JsonObject = dict[str, Any]
_SCHEMAS = "#/components/schemas/"
_KINDS = "x-kubernetes-group-version-kind"
_NODES_LIMIT = 2_000_000


class BadDocument(ValueError):
    """An extension server's document has not the form it must have."""


def read_resources(document: Any, group: str, version: str) -> list[JsonObject]:
    """The entries of an aggregated discovery document, made of an APIResourceList.  Raises BadDocument."""
    if not isinstance(document, dict) or document.get("kind") != "APIResourceList":
        raise BadDocument("the answer is no APIResourceList")
    if document.get("groupVersion") != f"{group}/{version}":
        raise BadDocument(f"the answer is not about {group}/{version}")
    found: dict[str, JsonObject] = {}
    below: list[tuple[str, str, JsonObject]] = []
    for one in document.get("resources") or ():
        name = _text(one, "name")
        plural, _, subresource = name.partition("/")
        kind = {"group": _text(one, "group") or group, "version": _text(one, "version") or version,
                "kind": _text(one, "kind")}  # fmt: skip
        verbs = _texts(one, "verbs")
        if subresource:
            below.append((plural, subresource, {"subresource": subresource, "responseKind": kind, "verbs": verbs}))
        elif plural:
            entry = {
                "resource": plural,
                "responseKind": kind,
                "scope": "Namespaced" if one.get("namespaced") else "Cluster",
                "singularResource": _text(one, "singularName"),
                "verbs": verbs,
            }
            for ours, theirs in (("shortNames", "shortNames"), ("categories", "categories")):
                if names := _texts(one, theirs):
                    entry[ours] = names
            found[plural] = entry
    for plural, _, entry in below:
        if plural in found:
            found[plural].setdefault("subresources", []).append(entry)
    return list(found.values())


def _text(one: Any, name: str) -> str:
    value = one.get(name, "") if isinstance(one, Mapping) else None
    if not isinstance(value, str):
        raise BadDocument(f"{name} of a resource is not a string")
    return value


def _texts(one: Any, name: str) -> list[str]:
    values = one.get(name) or [] if isinstance(one, Mapping) else None
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise BadDocument(f"{name} of a resource is not a list of strings")
    return values


def read_index(document: Any, group: str, version: str) -> str:
    """The URL of the group version's OpenAPI document in an index, "" where there is none.  Raises BadDocument."""
    paths = document.get("paths") if isinstance(document, dict) else None
    entry = paths.get(f"apis/{group}/{version}") if isinstance(paths, dict) else None
    url = entry.get("serverRelativeURL") if isinstance(entry, dict) else None
    if url is None:
        return ""
    if not isinstance(url, str) or not url.startswith("/") or url.startswith("//"):
        raise BadDocument("the URL of the OpenAPI document is not relative to the server")
    return url


def read_openapi_v3(document: Any, group: str, version: str) -> JsonObject:
    """The document with the paths of its own group version only.  Raises BadDocument."""
    paths = _member(document, "paths")
    schemas = _member(_member(document, "components"), "schemas")
    _check_references(document, schemas, _SCHEMAS)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": str(_member(document, "info").get("version", ""))},
        "paths": _own_paths(paths, group, version),
        "components": {"schemas": {name: _own_kinds(schema, group, version) for name, schema in schemas.items()}},
    }


def _own_kinds(schema: Any, group: str, version: str) -> JsonObject:
    """A schema that says of itself no other kinds than those of its group version."""
    if not isinstance(schema, dict):
        raise BadDocument("a schema of the OpenAPI document is no object")
    kinds = schema.get(_KINDS)
    if kinds is None:
        return schema
    if not isinstance(kinds, list) or not all(isinstance(kind, dict) for kind in kinds):
        raise BadDocument("the kinds of a schema are no list of objects")
    own = [kind for kind in kinds if (kind.get("group"), kind.get("version")) == (group, version)]
    rest = {key: value for key, value in schema.items() if key != _KINDS}
    return {**rest, _KINDS: own} if own else rest


def check_publishable(document: JsonObject) -> None:
    """Make of it what is made of all documents together: its mistake would be everybody's.  Raises BadDocument."""
    try:
        encode_document(swagger([document], server_version=""))
        orjson.dumps(document)
    except Exception as error:  # whatever a document of the wrong form runs into
        raise BadDocument(f"the OpenAPI document cannot be published: {type(error).__name__}") from None


def _own_paths(paths: JsonObject, group: str, version: str) -> JsonObject:
    base = f"/apis/{group}/{version}"
    found = {path: item for path, item in paths.items() if path == base or path.startswith(base + "/")}
    for item in found.values():
        if not isinstance(item, dict):
            raise BadDocument("a path of the OpenAPI document is no object")
        for operation in (value for key, value in item.items() if key not in ("parameters", "summary", "description")):
            if not isinstance(operation, dict) or not isinstance(operation.get("responses"), dict):
                raise BadDocument("an operation of the OpenAPI document has no responses")
    return found


def _member(document: Any, name: str) -> JsonObject:
    found = document.get(name) if isinstance(document, dict) else None
    if not isinstance(found, dict):
        raise BadDocument(f"the OpenAPI document has no {name}")
    return found


def _check_references(document: Any, schemas: JsonObject, prefix: str) -> None:
    """Every reference to a schema leads to one: a client must not stumble over another server's mistake."""
    waiting, seen = [document], 0
    while waiting:
        node = waiting.pop()
        seen += 1
        if seen > _NODES_LIMIT:
            raise BadDocument("the OpenAPI document is too large")
        if isinstance(node, dict):
            target = node.get("$ref")
            if isinstance(target, str) and target.startswith(prefix) and target.removeprefix(prefix) not in schemas:
                raise BadDocument(f"the OpenAPI document refers to {target[:200]}, which it has not")
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
