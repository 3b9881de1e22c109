"""Server-side field validation: `fieldValidation=Strict` names what an object must not have."""

from __future__ import annotations

import json
from typing import Any

import yaml

from tests.conformance.api import PATCHES, Answer, Api, Object
from tests.conformance.crds import ANYTHING, CustomResource, installed
from tests.conformance.rows import row

SCHEMA: Object = {
    "type": "object",
    "properties": {
        "spec": {"type": "object", "properties": {"foo": {"type": "string"}, "number": {"type": "integer"}}}
    },
}


def apply_strictly(api: Api, path: str, obj: Object | bytes) -> Answer:
    kind = PATCHES["apply"]
    return api.call("PATCH", path, obj, content_type=kind, fieldManager="conformance", fieldValidation="Strict")


def deployment(**metadata: Any) -> Object:
    pod = {"containers": [{"name": "nginx", "image": "nginx:latest"}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "example", "labels": {"app": "nginx"}, **metadata},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "nginx"}},
            "template": {"metadata": {"labels": {"app": "nginx"}}, "spec": pod},
        },
    }


@row(51, "Server side field validation, unknown fields CR no validation schema")
def test_a_cr_with_unknown_fields_is_applied_for_a_crd_with_no_validation_schema(api: Api, namespace: str) -> None:
    with installed(api, CustomResource.make(ANYTHING)) as resource:
        path = resource.instances(namespace)
        answer = apply_strictly(
            api, f"{path}/example", resource.instance("example", spec={"foo": "a"}, other=[{"b": 1}])
        )
        assert answer.status == 201, answer.message
        found = api.get(f"{path}/example")
        assert (found["spec"], found["other"]) == ({"foo": "a"}, [{"b": 1}])


@row(52, "Server side field validation, valid CR with validation schema")
def test_a_valid_cr_is_applied_for_a_crd_with_validation_schema(api: Api, namespace: str) -> None:
    with installed(api, CustomResource.make(SCHEMA)) as resource:
        path = f"{resource.instances(namespace)}/example"
        obj = resource.instance("example", spec={"foo": "a", "number": 1})
        assert apply_strictly(api, path, obj).status == 201
        obj["spec"]["number"] = 2
        assert apply_strictly(api, path, obj).status == 200
        assert api.get(path)["spec"] == {"foo": "a", "number": 2}


@row(53, "Server side field validation, unknown fields CR fails validation")
def test_an_invalid_cr_with_extra_properties_is_refused_for_a_crd_with_validation_schema(
    api: Api, namespace: str
) -> None:
    with installed(api, CustomResource.make(SCHEMA)) as resource:
        path = f"{resource.instances(namespace)}/example"
        answer = apply_strictly(api, path, resource.instance("example", spec={"foo": "a", "extra": "b"}))
        assert answer.status >= 400
        assert ".spec.extra: field not declared in schema" in answer.message
        api.refused(404, "GET", path)


@row(54, "Server side field validation, CR duplicates")
def test_duplicates_in_a_cr_are_detected_when_preserving_unknown_fields(api: Api, namespace: str) -> None:
    with installed(api, CustomResource.make(ANYTHING)) as resource:
        path = f"{resource.instances(namespace)}/example"
        text = json.dumps(resource.instance("example"))[:-1] + ', "spec": {"foo": "a",\n "foo": "b"}}'
        answer = apply_strictly(api, path, text.encode())
        assert answer.status == 400
        assert 'line 2: key "foo" already set in map' in answer.message
        lines = yaml.safe_dump({**resource.instance("example"), "spec": {"foo": "a"}}).splitlines()
        answer = apply_strictly(api, path, "\n".join([*lines, "  foo: b"]).encode())
        assert answer.status == 400
        assert f'line {len(lines) + 1}: key "foo" already set in map' in answer.message
        answer = api.call("POST", resource.instances(namespace), text.encode(), fieldValidation="Strict")
        assert answer.status == 400
        assert 'strict decoding error: duplicate field "spec.foo"' in answer.message, answer.message


@row(55, "Server side field validation, typed object")
def test_unknown_and_duplicate_fields_of_a_typed_object_are_detected(api: Api, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    text = json.dumps(deployment()).replace('"replicas": 0', '"unknownField": "foo", "replicas": 0, "replicas": 1')
    answer = api.call("POST", path, text.encode(), fieldValidation="Strict")
    assert answer.status == 400
    assert 'strict decoding error: unknown field "spec.unknownField", duplicate field "spec.replicas"' in answer.message
    assert api.items(path) == []


@row(56, "Server side field validation, unknown metadata")
def test_unknown_metadata_fields_in_the_root_and_the_embedded_object_of_a_cr_are_detected(
    api: Api, namespace: str
) -> None:
    bare = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
    check_embedded_metadata(api, namespace, {"type": "object", "properties": {"template": bare}})

    strings: Object = {name: {"type": "string"} for name in ("name", "namespace")}
    metadata = {"type": "object", "properties": strings}
    own = {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"metadata": metadata}}
    open_spec = {**ANYTHING, "properties": {"template": own}}
    check_embedded_metadata(api, namespace, open_spec)


def check_embedded_metadata(api: Api, namespace: str, spec: Object) -> None:
    """`spec`: the schema of .spec, whose `template` is an embedded resource."""
    with installed(api, CustomResource.make({"type": "object", "properties": {"spec": spec}})) as resource:
        metadata = {"name": "inner", "unknownSubMeta": "b"}
        inner = {"apiVersion": "example.com/v1", "kind": "Inner", "metadata": metadata}
        obj = resource.instance("example", spec={"template": inner})
        obj["metadata"]["unknownMeta"] = "a"
        path = resource.instances(namespace)
        answer = apply_strictly(api, f"{path}/example", obj)
        assert answer.status >= 400
        assert ".metadata.unknownMeta: field not declared in schema" in answer.message
        assert ".spec.template.metadata.unknownSubMeta: field not declared in schema" in answer.message

        answer = api.call("POST", path, obj, fieldValidation="Strict")
        assert answer.status == 400
        for field in ("metadata.unknownMeta", "spec.template.metadata.unknownSubMeta"):
            assert f'unknown field "{field}"' in answer.message
        del obj["metadata"]["unknownMeta"], metadata["unknownSubMeta"]
        assert apply_strictly(api, f"{path}/example", obj).status == 201


@row(57, "Server side field validation, typed unknown metadata")
def test_unknown_metadata_fields_of_a_typed_object_are_detected(api: Api, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    obj = deployment(unknownMeta="a")
    obj["spec"]["template"]["metadata"]["unknownSubMeta"] = "b"
    answer = api.call("POST", path, obj, fieldValidation="Strict")
    assert answer.status == 400
    assert answer.message.count("strict decoding error") == 1
    for field in ("metadata.unknownMeta", "spec.template.metadata.unknownSubMeta"):
        assert f'unknown field "{field}"' in answer.message
    assert api.items(path) == []
