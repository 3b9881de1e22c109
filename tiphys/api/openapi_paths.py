"""The paths of an OpenAPI document: which verb on which path serves which kind, and what its query may say."""

from __future__ import annotations

from typing import Any

from tiphys.api.kinds import KindInfo, SubresourceInfo
from tiphys.api.openapi_connect import connect_items, is_stream

JsonObject = dict[str, Any]

REFERENCE = "#/components/schemas/"
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
ANSWER_TYPES = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
PATCH_TYPES = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
STRATEGIC = PATCH_TYPES[-1]


def _query(name: str, type_: str, description: str) -> JsonObject:
    return {
        "name": name,
        "in": "query",
        "description": description,
        "schema": {"type": type_, "uniqueItems": True},
    }


PRETTY = _query("pretty", "string", "If 'true', the answer is indented.")
DRY_RUN = _query("dryRun", "string", "All: check and answer as if, but change nothing.")
FIELD_MANAGER = _query("fieldManager", "string", "The name of who makes this change, for field ownership.")
FIELD_VALIDATION = _query(
    "fieldValidation", "string", "Ignore, Warn or Strict: what unknown and duplicate fields mean."
)
FORCE = _query("force", "boolean", "Take conflicting fields over from other managers; for apply patches only.")
LIST_PARAMETERS = [
    _query("allowWatchBookmarks", "boolean", "The client understands BOOKMARK events."),
    _query("continue", "string", "Where the last page of this list ended."),
    _query("fieldSelector", "string", "Only objects whose fields are so."),
    _query("labelSelector", "string", "Only objects whose labels are so."),
    _query("limit", "integer", "The most objects one page may have."),
    _query("resourceVersion", "string", "How new the answer has to be."),
    _query("resourceVersionMatch", "string", "Exact or NotOlderThan: how resourceVersion is meant."),
    _query("sendInitialEvents", "boolean", "A watch begins with the objects that exist."),
    _query("timeoutSeconds", "integer", "How long the call may last."),
    _query("watch", "boolean", "Answer with a stream of changes."),
]
DELETE_PARAMETERS = [
    DRY_RUN,
    _query("gracePeriodSeconds", "integer", "How long the object may take to end."),
    _query("orphanDependents", "boolean", "Deprecated: use propagationPolicy."),
    _query("propagationPolicy", "string", "Orphan, Background or Foreground: what becomes of dependents."),
]


def paths_of(info: KindInfo) -> JsonObject:
    """Path to path item for a kind and its subresources."""
    root = f"/apis/{info.group}/{info.version}" if info.group else f"/api/{info.version}"
    kind = {"group": info.group, "version": info.version, "kind": info.kind}
    namespace = "/namespaces/{namespace}" if info.namespaced else ""
    collection = f"{root}{namespace}/{info.plural}"
    schemas = {"one": info.schema.name, "list": info.list_schema.name if "list" in info.verbs else ""}
    paths: JsonObject = {}
    if item := _item(info.verbs, {"list": "get", "create": "post", "deletecollection": "delete"}, kind, schemas):
        paths[collection] = item | {"parameters": _path_parameters(collection)}
    if info.namespaced and "list" in info.verbs:
        paths[f"{root}/{info.plural}"] = _item(("list",), {"list": "get"}, kind, schemas) | {"parameters": [PRETTY]}
    one = f"{collection}/{{name}}"
    verbs = {"get": "get", "update": "put", "patch": "patch", "delete": "delete"}
    if item := _item(info.verbs, verbs, kind, schemas):
        paths[one] = item | {"parameters": _path_parameters(one)}
    for sub in info.subresources.values():
        paths |= _subresource(info, sub, one)
    for path, item in paths.items():
        _identify(info, path, item)
        if info.model is None and "patch" in item:  # a custom resource declares no merge strategies
            item["patch"]["requestBody"]["content"].pop(STRATEGIC, None)
    return paths


# The other actions are called the same.
WORDS = {"get": "read", "put": "replace", "post": "create", "deletecollection": "deleteCollection"}
SENTENCES = {
    "connect": "open a connection to a",
    "delete": "delete a",
    "deletecollection": "delete every chosen",
    "get": "read a",
    "list": "list or watch objects of kind",
    "patch": "change parts of a",
    "post": "create a",
    "put": "replace a",
}


def _identify(info: KindInfo, path: str, item: JsonObject) -> None:
    """readCoreV1NamespacedPodStatus: names that code generators turn into functions."""
    group = (info.group or "core").partition(".")[0]
    scope = "Namespaced" if "{namespace}" in path else ""
    sub, _, behind = path.partition("{name}/")[2].partition("/")
    everywhere = "ForAllNamespaces" if info.namespaced and not scope else ""
    of = f"{_capital(group)}{_capital(info.version)}"
    name = f"{scope}{info.kind}{_capital(sub)}{'WithPath' if behind else ''}{everywhere}"
    for method, operation in item.items():
        if method != "parameters":
            action = operation["x-kubernetes-action"]
            how = _capital(method) if action == "connect" else ""
            operation["operationId"] = f"{WORDS.get(action, action)}{of}{how}{name}"
            operation["tags"] = [f"{group}_{info.version}"]
            operation["description"] = f"{SENTENCES[action]} {info.kind}{f' ({sub})' if sub else ''}"


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]


def _subresource(info: KindInfo, sub: SubresourceInfo, one: str) -> JsonObject:
    kind = {"group": sub.group, "version": sub.version, "kind": sub.kind}
    path = f"{one}/{sub.name}"
    if is_stream(sub):
        items = connect_items(sub, path)
        return {at: item | {"parameters": _path_parameters(at, pretty=sub.name == "log")} for at, item in items.items()}
    own = sub.kind == info.kind
    schemas = {"one": info.schema.name if own else _name_of(sub), "list": ""}
    verbs = {"get": "get", "update": "put", "patch": "patch", "create": "post", "delete": "delete"}
    item = _item(sub.verbs, verbs, kind, schemas)
    return {path: item | {"parameters": _path_parameters(path)}} if item else {}


def _name_of(sub: SubresourceInfo) -> str:
    package = {"": "core", "authentication.k8s.io": "authentication"}.get(sub.group, sub.group)
    return f"io.k8s.api.{package}.{sub.version}.{sub.kind}"


def _item(verbs: tuple[str, ...], methods: dict[str, str], kind: JsonObject, schemas: dict[str, str]) -> JsonObject:
    return {method: _operation(verb, kind, schemas) for verb, method in methods.items() if verb in verbs}


ANSWERS = {
    "create": {"200": "OK", "201": "Created", "202": "Accepted"},
    "update": {"200": "OK", "201": "Created"},
    "patch": {"200": "OK", "201": "Created"},
    "delete": {"200": "OK", "202": "Accepted"},
}
ACTIONS = {"create": "post", "update": "put"}  # the other verbs are called the same


def _operation(verb: str, kind: JsonObject, schemas: dict[str, str]) -> JsonObject:
    answers = {code: _content(text, _answer(verb, schemas)) for code, text in ANSWERS.get(verb, {"200": "OK"}).items()}
    operation: JsonObject = {
        "responses": {**answers, "401": {"description": "Unauthorized"}},
        "x-kubernetes-action": ACTIONS.get(verb, verb),
        "x-kubernetes-group-version-kind": kind,
    }
    if verb in ("create", "update", "patch"):
        operation["parameters"] = [DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION, *([FORCE] if verb == "patch" else [])]
        operation["requestBody"] = _body(verb, schemas["one"])
    elif verb in ("delete", "deletecollection"):
        operation["parameters"] = [*DELETE_PARAMETERS, *(LIST_PARAMETERS if verb == "deletecollection" else ())]
        operation["requestBody"] = {"content": {"*/*": {"schema": {"$ref": REFERENCE + META + "DeleteOptions"}}}}
    elif verb == "list":
        operation["parameters"] = LIST_PARAMETERS
    return operation


def _answer(verb: str, schemas: dict[str, str]) -> str:
    if verb in ("delete", "deletecollection"):
        return META + "Status"
    return schemas["list"] if verb == "list" else schemas["one"]


def _content(description: str, schema: str) -> JsonObject:
    if not schema:
        return {"description": description}
    return {
        "description": description,
        "content": {type_: {"schema": {"$ref": REFERENCE + schema}} for type_ in ANSWER_TYPES},
    }


def _body(verb: str, schema: str) -> JsonObject:
    types = PATCH_TYPES if verb == "patch" else ("*/*",)
    name = META + "Patch" if verb == "patch" else schema
    reference = {"schema": {"$ref": REFERENCE + name}} if name else {}
    return {"content": dict.fromkeys(types, reference), "required": True}


def _path_parameters(path: str, *, pretty: bool = True) -> list[JsonObject]:
    parameters = [PRETTY] if pretty else []
    if "{name}" in path:
        parameters.append(_in_path("name", "The name of the object."))
    if "{namespace}" in path:
        parameters.append(_in_path("namespace", "The namespace of the object."))
    if "{path}" in path:
        parameters.append(_in_path("path", "Where the request goes behind the proxy."))
    return parameters


def _in_path(name: str, description: str) -> JsonObject:
    schema = {"type": "string", "uniqueItems": True}
    return {"name": name, "in": "path", "description": description, "required": True, "schema": schema}
