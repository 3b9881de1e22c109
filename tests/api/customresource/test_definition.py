"""What a definition must be, in upstream's words, as a table of one mistake each."""

# ruff: noqa: E501 - a row of a table stays on one line

from __future__ import annotations

import copy
from typing import Any

import pytest

from tiphys.api.apiextensions.customresourcedefinition import CustomResourceDefinition
from tiphys.api.customresource.kind import versions_of
from tiphys.api.decode import decode
from tiphys.api.defaults import apply_defaults
from tiphys.api.kinds import info_of

INFO = info_of(CustomResourceDefinition)
ROOT = "spec.validation.openAPIV3Schema"


def definition(schema: Any = None, **spec: Any) -> dict[str, Any]:
    version = {"name": "v1", "served": True, "storage": True}
    text = {"type": "object"} if schema is None else schema
    base = {
        "group": "ex.io",
        "scope": "Namespaced",
        "names": {"plural": "foos", "kind": "Foo"},
        "versions": [{**version, "schema": {"openAPIV3Schema": text}, **spec.pop("version", {})}],
    }
    return {"metadata": {"name": "foos.ex.io"}, "spec": {**base, **spec}}


def errors(obj: dict[str, Any]) -> list[str]:
    obj = decode(copy.deepcopy(obj), INFO.schema).value
    apply_defaults(obj, INFO.schema)
    return [str(error) for error in INFO.validate(obj)]


def of(**below: Any) -> dict[str, Any]:
    """A schema with one field f."""
    return {"type": "object", "properties": {"f": below}}


F = f"{ROOT}.properties[f]"
MAP_LIST = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
WRONG: list[tuple[dict[str, Any], str]] = [
    (definition(scope="Nowhere"), 'spec.scope: Unsupported value: "Nowhere": supported values: "Cluster", "Namespaced"'),
    (definition(names={"plural": "foos", "kind": "Foo", "listKind": "Foo"}), 'spec.names.listKind: Invalid value: "Foo": kind and listKind may not be the same'),
    (definition(version={"storage": False}), 'spec.versions: Invalid value: ["v1"]: must have exactly one version marked as storage version'),
    (definition(version={"schema": None}), "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required"),
    (definition(preserveUnknownFields=True), "spec.preserveUnknownFields: Invalid value: true: cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"),
    (definition(conversion={"strategy": "Webhook"}), "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook"),
    (definition({"type": "object", "additionalProperties": {"type": "string"}}), f"{ROOT}.additionalProperties: Forbidden: must not be used at the root"),
    (definition(of()), f"{F}.type: Required value: must not be empty for specified object fields"),
    (definition(of(type="array")), f"{F}.items: Required value: must be specified"),
    (definition(of(type="text")), f'{F}.type: Unsupported value: "text": supported values: "array", "boolean", "integer", "number", "object", "string"'),
    (definition(of(type="array", items={"type": "string"}, uniqueItems=True)), f"{F}.uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic"),
    (definition(of(type="array", items=[{"type": "string"}])), f"{F}.items: Forbidden: items must be a schema object and not an array"),
    (definition(of(type="object", properties={"a": {"type": "string"}}, additionalProperties={"type": "string"})), f"{F}.additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive"),
    (definition(of(**{"$ref": "#/x", "type": "string"})), f"{F}.$ref: Forbidden: $ref is not supported"),
    (definition(of(type="string", anyOf=[{"type": "string"}])), f"{F}.anyOf[0].type: Forbidden: must be empty to be structural"),
    (definition(of(type="object", allOf=[{"properties": {"x": {"minLength": 1}}}])), f"{F}.properties[x]: Required value: because it is defined in {F}.allOf[0].properties[x]"),
    (definition(of(type="string", pattern="(")), f'{F}.pattern: Invalid value: "(": must be a valid regular expression, but isn\'t: error parsing regexp: missing ): ('),
    (definition(of(**MAP_LIST, items={"type": "object", "properties": {"k": {"type": "string"}}})), f"{F}.items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"),
    (definition(of(type="string", **{"x-kubernetes-list-type": "set"})), f'{F}.type: Invalid value: "string": must be array if x-kubernetes-list-type is specified'),
    (definition(of(type="integer", default="x")), f'{F}.default: Invalid value: "string": in body must be of type integer: "string"'),
    (definition(of(type="object", properties={"a": {"type": "string"}}, default={"b": 1})), f'{F}.default: Invalid value: {{"b":1}}: must not have unknown fields'),
    (definition({"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}}), f"{ROOT}.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified"),
    (definition(version={"additionalPrinterColumns": [{"name": "A", "type": "float", "jsonPath": ".a"}]}), 'spec.additionalPrinterColumns[0].type: Invalid value: "float": must be one of boolean,date,integer,number,string'),
    (definition(version={"subresources": {"scale": {"specReplicasPath": ".status.x", "statusReplicasPath": ".status.x"}}}), 'spec.subresources.scale.specReplicasPath: Invalid value: ".status.x": should be a json path under .spec'),
    (definition(version={"selectableFields": [{"jsonPath": ".spec.x"}]}), 'spec.selectableFields[0].jsonPath: Invalid value: ".spec.x": is an invalid path: does not refer to a valid field'),
    (definition(version={"deprecationWarning": "old"}), 'spec.versions[0].deprecationWarning: Invalid value: "old": can only be set for deprecated versions'),
]  # fmt: skip


@pytest.mark.parametrize(("obj", "said"), WRONG, ids=[row[1].partition(":")[0] for row in WRONG])
def test_a_mistake_is_named(obj: dict[str, Any], said: str) -> None:
    assert said in errors(obj)


GOOD: list[dict[str, Any]] = [
    definition(),
    definition(of(**{"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]})),
    definition(of(**{"x-kubernetes-preserve-unknown-fields": True})),
    definition(of(type="object", additionalProperties={"type": "array", "items": {"type": "string", "default": "x"}})),
    definition(of(**MAP_LIST, items={"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}}})),
    definition({"type": "object", "properties": {"metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 5}}}}}),
    definition(of(type="object", properties={"x": {"type": "string"}}, oneOf=[{"required": ["x"]}, {"properties": {"x": {"enum": ["a"]}}}])),
]  # fmt: skip


@pytest.mark.parametrize("obj", GOOD)
def test_what_is_right_is_taken(obj: dict[str, Any]) -> None:
    assert errors(obj) == []


def test_a_protected_group_needs_an_approval() -> None:
    obj = definition(group="x.k8s.io")
    obj["metadata"]["name"] = "foos.x.k8s.io"
    assert errors(obj)[0].startswith(
        "metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups"
    )
    obj["metadata"]["annotations"] = {"api-approved.kubernetes.io": "https://example.com/pull/1"}
    assert errors(obj) == []


def test_versions_come_most_stable_first() -> None:
    obj = definition()
    template = obj["spec"]["versions"][0]
    names = ["v1alpha1", "v10", "foo", "v2beta1", "v2"]
    obj["spec"]["versions"] = [{**template, "name": name, "storage": name == "v2"} for name in names]
    assert [version.name for version in versions_of(obj)] == ["v10", "v2", "v2beta1", "v1alpha1", "foo"]


def test_a_schema_deeper_than_a_body_may_be_never_gets_here_and_one_as_deep_is_read() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(90):
        schema = {"type": "object", "properties": {"a": schema}}
    assert errors(definition(schema)) == []
