"""OpenAPI v2, made from the v3 documents: one document for everything, for clients that know nothing newer.

What must stay true: v2 says only what v2 can.  Defaults, oneOf, anyOf, not and nullable are left out as upstream leaves
them out (old clients take them for refusals), and a definition's name means the same type in every group.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

JsonObject = dict[str, Any]

_V3, _V2 = "#/components/schemas/", "#/definitions/"
_GVK = "x-kubernetes-group-version-kind"
_LEFT_OUT = frozenset({"allOf", "anyOf", "default", "not", "nullable", "oneOf"})


def swagger(documents: Iterable[JsonObject], *, server_version: str) -> JsonObject:
    """One v2 document of many v3 ones."""
    definitions: JsonObject = {}
    paths: JsonObject = {}
    parameters = _Parameters()
    for document in documents:
        for name, found in document["components"]["schemas"].items():
            schema = schema_v2(found)
            known = definitions.setdefault(name, schema)
            if known is not schema and _GVK in schema:
                kinds = known.get(_GVK, [])
                known[_GVK] = [*kinds, *(kind for kind in schema[_GVK] if kind not in kinds)]
        for path, item in document["paths"].items():
            paths[path] = {
                method: parameters.all(operation) if method == "parameters" else _operation(operation, parameters)
                for method, operation in item.items()
            }
    bearer = {"type": "apiKey", "name": "authorization", "in": "header", "description": "Bearer Token authentication"}
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": server_version},
        "paths": dict(sorted(paths.items())),
        "definitions": dict(sorted(definitions.items())),
        "parameters": dict(sorted(parameters.named.items())),
        "securityDefinitions": {"BearerToken": bearer},
        "security": [{"BearerToken": []}],
    }


def schema_v2(node: Any) -> Any:
    """A v3 schema as v2 says it."""
    if not isinstance(node, dict):
        return node  # additionalProperties: true
    out = {key: value for key, value in node.items() if key not in _LEFT_OUT}
    if isinstance(node.get("$ref"), str):
        out["$ref"] = node["$ref"].replace(_V3, _V2)
    only = node.get("allOf")
    if isinstance(only, list) and len(only) == 1 and "$ref" in only[0]:
        out = {**out, **schema_v2(only[0])}
    if "type" not in out and _is_scalar_choice(node) and not node.get("x-kubernetes-int-or-string"):
        out["type"] = "string"  # Quantity and IntOrString: what they are in v2
    if node.get("nullable"):
        out.pop("type", None)
    if node.get("nullable") or node.get("x-kubernetes-preserve-unknown-fields"):
        out.pop("items", None)
        out.pop("properties", None)
    if "properties" in out:
        out["required"] = [
            name for name in out.get("required", ()) if not (out["properties"].get(name) or {}).get("nullable")
        ]
        if not out["required"]:
            del out["required"]
        out["properties"] = {name: schema_v2(value) for name, value in out["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in out:
            out[key] = schema_v2(out[key])
    return out


def _is_scalar_choice(node: JsonObject) -> bool:
    choices = node.get("oneOf")
    return isinstance(choices, list) and any(choice == {"type": "string"} for choice in choices)


class _Parameters:
    """Parameters that occur thousands of times, each written once and referred to by name."""

    def __init__(self) -> None:
        self.named: JsonObject = {}
        self._names: dict[str, str] = {}

    def all(self, parameters: Iterable[JsonObject]) -> list[JsonObject]:
        return [{"$ref": "#/parameters/" + self._name(one)} for one in parameters]

    def _name(self, parameter: JsonObject) -> str:
        text = json.dumps(parameter, sort_keys=True)
        name = self._names.get(text)
        if name is None:
            name = self._names[text] = f"{parameter['name']}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
            flat = {key: value for key, value in parameter.items() if key != "schema"}
            self.named[name] = flat | parameter["schema"]
        return name


def _operation(operation: JsonObject, parameters: _Parameters) -> JsonObject:
    out = {key: value for key, value in operation.items() if key not in ("parameters", "requestBody", "responses")}
    body = operation.get("requestBody")
    out["consumes"] = list(body["content"]) if body else ["*/*"]
    answers = [answer for answer in operation["responses"].values() if "content" in answer]
    out["produces"] = list(answers[0]["content"]) if answers else ["*/*"]
    out["schemes"] = ["https"]
    shown: list[JsonObject] = []
    if body:
        schema = next(iter(body["content"].values())).get("schema")
        parameter: JsonObject = {"name": "body", "in": "body", "schema": schema_v2(schema or {"type": "object"})}
        shown.append({**parameter, "required": True} if body.get("required") else parameter)
    shown += parameters.all(operation.get("parameters", ()))
    if shown:
        out["parameters"] = shown
    out["responses"] = {code: _response(answer) for code, answer in operation["responses"].items()}
    return out


def _response(answer: JsonObject) -> JsonObject:
    out = {"description": answer["description"]}
    for content in answer.get("content", {}).values():
        return {**out, "schema": schema_v2(content["schema"])}
    return out
