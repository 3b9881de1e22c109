"""OpenAPI over the wire: negotiation, caching, the protobuf form, and the clients that read it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.apiserver.cluster import Cluster
from tiphys.api.openapi_v2 import schema_v2
from tiphys.api.protobuf_values import LENGTH, read_fields

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
SPELLINGS = [
    PROTOBUF,
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2.v1.1+protobuf",
]
GVK = "x-kubernetes-group-version-kind"


def messages(raw: bytes, number: int) -> Iterator[bytes]:
    """The length-delimited fields of that number."""
    for tag, wire, value in read_fields(raw, 0, len(raw)):
        if tag == number and wire == LENGTH:
            yield value


def one(raw: bytes, number: int) -> bytes:
    return next(messages(raw, number), b"")


def by_name(raw: bytes, inside: int = 1) -> dict[str, bytes]:
    return {one(item, 1).decode(): one(item, 2) for item in messages(raw, inside)}


def vendor(schema: bytes, number: int) -> dict[str, Any]:
    return {name: json.loads(one(value, 2)) for name, value in by_name(schema, number).items()}


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_v2_comes_as_the_protobuf_that_go_clients_ask_for(cluster: Cluster, spelling: str) -> None:
    answer = await cluster.request("GET", "/openapi/v2", headers={"Accept": f"{spelling}, application/json;q=0.5"})
    assert answer.headers["Content-Type"] == PROTOBUF
    document = await cluster.must("GET", "/openapi/v2", headers={"Accept": "application/json"})
    assert one(answer.body, 1) == b"2.0" and one(one(answer.body, 2), 1) == b"Kubernetes"
    definitions = by_name(one(answer.body, 9))
    assert definitions.keys() == document["definitions"].keys()
    pod = definitions["io.k8s.api.core.v1.Pod"]
    assert vendor(pod, 31)[GVK] == [{"group": "", "version": "v1", "kind": "Pod"}]
    assert one(one(pod, 22), 1) == b"object"
    assert one(by_name(one(pod, 25))["spec"], 1) == b"#/definitions/io.k8s.api.core.v1.PodSpec"
    spec = definitions["io.k8s.api.core.v1.PodSpec"]
    containers = by_name(one(spec, 25))["containers"]
    assert one(one(one(containers, 23), 1), 1) == b"#/definitions/io.k8s.api.core.v1.Container"
    assert vendor(containers, 31)["x-kubernetes-list-map-keys"] == ["name"]
    assert [text.decode() for text in messages(spec, 19)] == ["containers"]
    paths = by_name(one(answer.body, 8), inside=2)
    assert paths.keys() == document["paths"].keys()
    post = one(paths["/api/v1/namespaces/{namespace}/pods"], 4)
    assert vendor(post, 13)["x-kubernetes-action"] == "post"
    named = by_name(one(answer.body, 10))
    for item in messages(post, 8):
        reference = one(one(item, 2), 1).decode().removeprefix("#/parameters/")
        body = one(one(item, 1), 1)
        assert reference in named or one(body, 2) == b"body"


async def test_v2_says_only_what_v2_can_and_every_reference_has_a_target(cluster: Cluster) -> None:
    document = await cluster.must("GET", "/openapi/v2")
    text = json.dumps(document)
    for section in ("definitions", "parameters"):
        wanted = set(re.findall(rf'"#/{section}/([^"]+)"', text))
        assert wanted and wanted <= document[section].keys()
    assert "#/components/" not in text
    quantity = document["definitions"]["io.k8s.apimachinery.pkg.api.resource.Quantity"]
    port = document["definitions"]["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]
    assert quantity["type"] == "string" and (port["type"], port["format"]) == ("string", "int-or-string")
    for name, schema in document["definitions"].items():
        assert not {"oneOf", "anyOf", "not", "nullable", "default", "allOf"} & schema.keys(), name


async def test_every_kind_has_one_definition_and_every_operation_a_name_of_its_own(cluster: Cluster) -> None:
    document = await cluster.must("GET", "/openapi/v2")
    kinds = [tuple(kind.values()) for schema in document["definitions"].values() for kind in schema.get(GVK, ())]
    assert len(kinds) == len(set(kinds)) and ("apps", "v1", "Deployment") in kinds
    operations = [
        operation for item in document["paths"].values() for method, operation in item.items() if method != "parameters"
    ]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    assert {"readCoreV1NamespacedPodLog", "connectCoreV1PostNamespacedPodExec", "patchAppsV1NamespacedDeployment"} <= {
        *names
    }
    assert all("x-kubernetes-action" in operation and GVK in operation for operation in operations)
    apply = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert "application/apply-patch+yaml" in apply["consumes"] and apply["tags"] == ["apps_v1"]
    parameters = [document["parameters"][one["$ref"].split("/")[-1]] for one in apply["parameters"] if "$ref" in one]
    assert {"dryRun", "fieldManager", "fieldValidation", "force"} <= {one["name"] for one in parameters}


V2_CASES = [
    (
        {"allOf": [{"$ref": "#/components/schemas/a.B"}], "description": "d", "default": {}},
        {"$ref": "#/definitions/a.B", "description": "d"},
    ),
    ({"type": "string", "default": "x", "enum": ["x"]}, {"type": "string", "enum": ["x"]}),
    ({"oneOf": [{"type": "string"}, {"type": "number"}]}, {"type": "string"}),
    (
        {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True},
        {"x-kubernetes-int-or-string": True},
    ),
    ({"type": "object", "nullable": True, "properties": {"a": {"type": "string"}}}, {}),
    (
        {"type": "object", "properties": {"default": {"type": "string", "default": ""}}},
        {"type": "object", "properties": {"default": {"type": "string"}}},
    ),
    (
        {"type": "object", "required": ["a", "b"], "properties": {"a": {"nullable": True}, "b": {"type": "string"}}},
        {"type": "object", "required": ["b"], "properties": {"a": {}, "b": {"type": "string"}}},
    ),
    (
        {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"a": {}}},
        {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    ),
    ({"type": "object", "additionalProperties": True}, {"type": "object", "additionalProperties": True}),
    ({"type": "array", "items": {"type": "string", "default": ""}}, {"type": "array", "items": {"type": "string"}}),
]


@pytest.mark.parametrize(("v3", "v2"), V2_CASES)
async def test_a_v3_schema_loses_what_v2_cannot_say(v3: dict[str, Any], v2: dict[str, Any]) -> None:
    assert schema_v2(v3) == v2


async def test_documents_are_cached_by_their_hash(cluster: Cluster) -> None:
    index = await cluster.must("GET", "/openapi/v3")
    url = index["paths"]["apis/apps/v1"]["serverRelativeURL"]
    hashed = await cluster.request("GET", url)
    assert hashed.headers["Cache-Control"] == "public, immutable" and hashed.json["openapi"] == "3.0.0"
    plain = await cluster.request("GET", url.partition("?")[0])
    assert plain.headers["Cache-Control"] == "no-cache, private"
    again = await cluster.request("GET", url, headers={"If-None-Match": hashed.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    other = await cluster.request("GET", url, headers={"If-None-Match": '"other"'})
    assert other.status == 200
    async with cluster.session().get(f"{cluster.url}{url[:-4]}0000", allow_redirects=False) as stale:
        assert stale.status == 301 and stale.headers["Location"] == url
    two = await cluster.request("GET", "/openapi/v2")
    again = await cluster.request("GET", "/openapi/v2", headers={"If-None-Match": two.headers["ETag"]})
    assert again.status == 304
    assert (await cluster.request("GET", "/openapi/v2", headers={"Accept": "text/html"})).status == 406
    assert (await cluster.request("GET", "/openapi/v3/apis/nowhere/v1")).status == 404


async def test_kubectl_explains_from_both_and_validates_strictly(cluster: Cluster) -> None:
    for words in (("--output=plaintext-openapiv2",), ()):
        code, out, error = await cluster.kubectl("explain", "deployments.spec.template.spec.containers.image", *words)
        assert code == 0 and "image <string>" in out, error
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "strict", "namespace": "default"},
        "daata": {"a": "b"},
    }
    code, _, error = await cluster.kubectl("apply", "--validate=strict", "-f", "-", stdin=json.dumps(manifest))
    assert code == 1 and 'unknown field "daata"' in error
    manifest["data"] = manifest.pop("daata")
    code, out, error = await cluster.kubectl("apply", "--validate=strict", "-f", "-", stdin=json.dumps(manifest))
    assert code == 0 and "configmap/strict created" in out, error
