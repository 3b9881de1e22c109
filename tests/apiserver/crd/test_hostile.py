"""No body for a definition or for a custom resource gives a 500; each row has a neighbour that is taken."""

from __future__ import annotations

import json
from typing import Any

import pytest
import pytest_asyncio

from tests.apiserver.cluster import Cluster
from tests.apiserver.crd.definitions import CRDS, crd, establish

pytestmark = pytest.mark.asyncio(loop_scope="module")

HARDS = "/apis/stable.example.com/v1/namespaces/default/hards"
GOOD = {"cronSpec": "* * * * *"}


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def hards(cluster: Cluster) -> None:
    await establish(cluster, crd("hards", "Hard", subresources={"status": {}}))


OBJECTS: list[tuple[Any, int]] = [
    ({"metadata": {"name": "x"}, "spec": GOOD}, 201),
    ({"metadata": 5}, 400),
    ({"metadata": {"name": "x", "labels": {"a": 5}}, "spec": GOOD}, 400),
    ({"metadata": {"name": "x"}, "spec": []}, 422),
    ({"metadata": {"name": "x"}, "spec": "text"}, 422),
    ({"metadata": {"name": "x"}, "spec": {**GOOD, "ports": {}}}, 422),
    ({"metadata": {"name": "x"}, "spec": {**GOOD, "ports": [5]}}, 422),
    ({"metadata": {"name": "x"}, "spec": {**GOOD, "ports": [{"name": {}}]}}, 422),
    ({"metadata": {"name": "x"}, "spec": {**GOOD, "ports": [{"name": "a"}, {"name": "a"}]}}, 422),
    ({"metadata": {"name": "x"}, "spec": {**GOOD, "settings": [1]}}, 422),
    ({"metadata": {"name": "x"}, "spec": {**GOOD, "replicas": 10**30}}, 422),
    ({"metadata": {"name": "x"}, "spec": {**GOOD, "replicas": True}}, 422),
    ({"metadata": {"name": "x"}, "spec": GOOD, "status": 5}, 201),
    ({"kind": 5, "metadata": {"name": "x"}}, 400),
    ({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "x"}}, 400),
]


@pytest.mark.parametrize(("body", "code"), OBJECTS, ids=[json.dumps(row[0])[:60] for row in OBJECTS])
async def test_an_object_is_taken_or_refused(cluster: Cluster, body: Any, code: int) -> None:
    answer = await cluster.request("POST", f"{HARDS}?dryRun=All", body)
    assert answer.status == code, answer.body


@pytest.mark.answers_500  # as upstream, where a configuration does not fit the schema
@pytest.mark.parametrize("spec", [[], "text", {"ports": {"a": 1}}, {"ports": [[]]}, {"replicas": {}}, None])
async def test_an_apply_or_a_patch_is_taken_or_refused_and_an_object_left_whole(cluster: Cluster, spec: Any) -> None:
    path = f"{HARDS}/whole"
    if (await cluster.request("GET", path)).status == 404:
        await cluster.must("POST", HARDS, {"metadata": {"name": "whole"}, "spec": GOOD})
    merged = await cluster.request("PATCH", path, {"spec": spec}, content_type="application/merge-patch+json")
    assert merged.status in (200, 422), merged.body
    config = {"apiVersion": "stable.example.com/v1", "kind": "Hard", "metadata": {"name": "whole"}, "spec": spec}
    kind = "application/apply-patch+yaml"
    applied = await cluster.request("PATCH", f"{path}?fieldManager=m&force=true", config, content_type=kind)
    if applied.status == 500:
        assert applied.json["message"].startswith("failed to create typed patch object"), applied.body
    await cluster.must("GET", path)


def ruled(rule: Any) -> dict[str, Any]:
    field = {"type": "string", "x-kubernetes-validations": [{"rule": rule}]}
    return {"type": "object", "properties": {"a": field}}


SCHEMAS: list[tuple[Any, int]] = [
    ({"type": "object"}, 201),
    ({"type": 5}, 400),
    ({"type": "object", "properties": 5}, 400),
    ({"type": "object", "properties": {"a": 5}}, 400),
    ({"type": "object", "properties": {"a": {"type": "array", "items": 5}}}, 422),
    ({"type": "object", "properties": {"a": {"type": "object", "additionalProperties": 5}}}, 422),
    ({"type": "object", "properties": {"a": {"type": "array", "items": {"properties": {"b": {"type": 7}}}}}}, 400),
    ({"type": "object", "properties": {"a": {"type": "string", "enum": 5}}}, 400),
    ({"type": "object", "required": [5]}, 400),
    ({"type": "object", "properties": {"a": {"type": "integer", "default": {}}}}, 422),
    ({"type": "object", "properties": {"a": {"type": "number", "multipleOf": 0}}}, 201),
    ({"type": "object", "properties": {"a": {"type": "integer", "maximum": "5"}}}, 400),
    ({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}, 422),
    ({"type": "object", "properties": {"a": {"type": "string", "pattern": "(a+)+" * 2000}}}, 422),
    (ruled(5), 400),
    (ruled("(" * 9000), 422),
    (ruled("-" * 9000), 422),
    (ruled("\0"), 422),
    ({"type": "object", "properties": {"": {"type": "string"}, "\ud7ff": {"type": "string"}, "1": {"type": "string"}},
      "x-kubernetes-validations": [{"rule": "true"}]}, 201),
    ({"type": "object", "properties": {"a_b": {"type": "string"}, "aB": {"type": "string"}, "a-b": {"type": "object",
      "additionalProperties": {"type": "string"}}, "a__dash__b": {"type": "string"}},
      "x-kubernetes-validations": [{"rule": "true"}]}, 201),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "code"), SCHEMAS, ids=[json.dumps(row[0])[:90] for row in SCHEMAS])
async def test_a_schema_is_taken_or_refused(cluster: Cluster, schema: Any, code: int) -> None:
    answer = await cluster.request(
        "POST", f"{CRDS}?dryRun=All", crd("tries", "Try", schema={"openAPIV3Schema": schema})
    )
    assert answer.status == code, answer.body[:600]
