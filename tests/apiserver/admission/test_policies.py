"""Admission policies: expressions that say no, and expressions that change what is written."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.apiserver.admission.configured import (
    CONFIGMAPS,
    GROUP,
    config_map,
    configured,
    create,
    hook,
    new_namespace,
    until_cached,
)
from tests.apiserver.admission.webhookserver import WebhookServer, patch_of
from tests.apiserver.cluster import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")
Object = dict[str, Any]


@asynccontextmanager
async def policy(
    cluster: Cluster, kind: str, namespace: str, spec: Object, binding: Object | None = None, rule: Object = CONFIGMAPS
) -> AsyncIterator[str]:
    """A policy and its binding for one namespace; `kind`: mutating or validating."""
    name = f"p-{uuid.uuid4().hex[:8]}"
    constraints = {"resourceRules": [rule], **spec.pop("matchConstraints", {})}
    plural = f"{kind}admissionpolicies"
    made = [
        await cluster.must(
            "POST", f"{GROUP}/{plural}", {"metadata": {"name": name}, "spec": {"matchConstraints": constraints, **spec}}
        )
    ]
    selector = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    bound = {"policyName": name, "matchResources": selector, **(binding or {})}
    if kind == "validating":
        bound.setdefault("validationActions", ["Deny"])
    bindings = f"{GROUP}/{kind}admissionpolicybindings"
    made.append(await cluster.must("POST", bindings, {"metadata": {"name": name}, "spec": bound}))
    for one in made:
        await until_cached(cluster, one)
    try:
        yield name
    finally:
        await cluster.must("DELETE", f"{bindings}/{name}")
        await cluster.must("DELETE", f"{GROUP}/{plural}/{name}")


async def test_a_validation_that_does_not_hold_denies_in_upstreams_words(cluster: Cluster) -> None:
    namespace = await new_namespace(cluster)
    validations = [
        {"expression": "object.data.a == '1'"},
        {"expression": "!has(object.data.b)", "message": " no b ", "reason": "Forbidden"},
        {"expression": "!has(object.data.c)", "messageExpression": "'c is ' + object.data.c"},
    ]
    async with policy(cluster, "validating", namespace, {"validations": validations}) as name:
        said = f"ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request: "
        answer = await create(cluster, namespace, config_map(a="2"))
        assert (answer.status, answer.json["reason"]) == (422, "Invalid")
        assert answer.json["message"] == f"configmaps \"x\" is forbidden: {said}failed expression: object.data.a == '1'"
        assert answer.json["details"]["causes"] == [{"message": f"{said}failed expression: object.data.a == '1'"}]
        answer = await create(cluster, namespace, config_map(a="1", b="1"))
        assert (answer.status, answer.json["reason"]) == (403, "Forbidden")
        assert answer.json["message"].endswith(f"{said}no b")
        answer = await create(cluster, namespace, config_map(a="1", c="3"))
        assert answer.json["message"].endswith(f"{said}c is 3")
        answer = await create(cluster, namespace, {"metadata": {"name": "x"}})
        expected = "expression 'object.data.a == '1'' resulted in error: no such key: data"
        assert answer.json["message"].endswith(said + expected)
        assert (await create(cluster, namespace, config_map(a="1"))).status == 201
        elsewhere = await new_namespace(cluster)
        assert (await create(cluster, elsewhere, config_map(a="2"))).status == 201
    assert (await create(cluster, namespace, config_map("free", a="2"))).status == 201


async def test_failures_are_ignored_where_the_policy_says_so_and_warnings_go_to_the_caller(cluster: Cluster) -> None:
    namespace = await new_namespace(cluster)
    spec = {"validations": [{"expression": "object.data.a == '1'"}], "failurePolicy": "Ignore"}
    async with policy(cluster, "validating", namespace, spec, {"validationActions": ["Warn", "Audit"]}) as name:
        answer = await create(cluster, namespace, config_map("failing"))
        assert (answer.status == 201 and "Warning" not in answer.headers) or "data" not in answer.headers["Warning"]
        answer = await create(cluster, namespace, config_map("warned", a="2"))
        text = f"Validation failed for ValidatingAdmissionPolicy '{name}' with binding '{name}': failed expression: "
        assert answer.status == 201 and answer.headers["Warning"] == f"299 - \"{text}object.data.a == '1'\""


async def test_variables_conditions_and_everything_an_expression_may_name(cluster: Cluster) -> None:
    namespace = await new_namespace(cluster, team="red")
    spec = {
        "variables": [
            {"name": "broken", "expression": "object.data.absent"},
            {"name": "team", "expression": "namespaceObject.metadata.labels['team']"},
            {"name": "greeting", "expression": "'hello ' + variables.team"},
        ],
        "matchConditions": [{"name": "checked", "expression": "object.metadata.name.startsWith('checked')"}],
        "validations": [
            {"expression": "object.data.greeting == variables.greeting"},
            {"expression": "request.operation == 'CREATE' && request.userInfo.username == 'kubernetes-admin'"},
            {"expression": "oldObject == null && params == null"},
            {"expression": "object.data.all != 'x' || variables.broken == 'y'"},
            {"expression": "authorizer.requestResource.check('create').allowed()"},
        ],
    }
    async with policy(cluster, "validating", namespace, spec):
        made = await create(cluster, namespace, config_map("checked-1", greeting="hello red", all="no"))
        assert made.status == 201, made.body
        assert (await create(cluster, namespace, config_map("unchecked"))).status == 201
        refused = await create(cluster, namespace, config_map("checked-2", greeting="hello blue", all="no"))
        assert refused.status == 422
        refused = await create(cluster, namespace, config_map("checked-3", greeting="hello red", all="x"))
        text = 'composited variable "broken" fails to evaluate: no such key: absent'
        assert refused.json["message"].endswith(text)


async def test_parameters_come_from_the_object_that_the_binding_names(cluster: Cluster) -> None:
    namespace, limits = await new_namespace(cluster), await new_namespace(cluster)
    spec = {
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "validations": [{"expression": "size(object.data) <= int(params.data.limit)"}],
    }
    reference = {"name": "limit", "namespace": limits, "parameterNotFoundAction": "Deny"}
    async with policy(cluster, "validating", namespace, spec, {"paramRef": reference}) as name:
        refused = await create(cluster, namespace, config_map(a="1"))
        text = "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
        assert refused.json["message"].endswith(text), name
        made = await create(cluster, limits, config_map("limit", limit="1"))
        await until_cached(cluster, made.json)
        assert (await create(cluster, namespace, config_map("one", a="1"))).status == 201
        assert (await create(cluster, namespace, config_map("two", a="1", b="2"))).status == 422
    spec = {"paramKind": {"apiVersion": "v1", "kind": "Nothing"}, "validations": [{"expression": "true"}]}
    async with policy(cluster, "validating", namespace, spec, {"paramRef": reference}):
        refused = await create(cluster, namespace, config_map("no-kind"))
        assert "failed to find resource referenced by paramKind: 'v1, Kind=Nothing'" in refused.json["message"]


@pytest.mark.parametrize(
    ("part", "value", "field"),
    [
        ("validations", [{"expression": "object.x +"}], "spec.validations[0].expression"),
        ("validations", [{"expression": "nobody.x"}], "spec.validations[0].expression"),
        ("validations", [{"expression": "'text'"}], "spec.validations[0].expression"),
        ("validations", [{"expression": "true", "messageExpression": "1"}], "spec.validations[0].messageExpression"),
        ("variables", [{"name": "a", "expression": "1 +"}], "spec.variables[0].expression"),
        ("matchConditions", [{"name": "a", "expression": "1"}], "spec.matchConditions[0].expression"),
    ],
)
async def test_an_expression_that_does_not_compile_is_refused(
    cluster: Cluster, part: str, value: list[Object], field: str
) -> None:
    spec = {"matchConstraints": {"resourceRules": [CONFIGMAPS]}, "validations": [{"expression": "true"}], part: value}
    body = {"metadata": {"name": "does-not-compile"}, "spec": spec}
    answer = await cluster.request("POST", f"{GROUP}/validatingadmissionpolicies", body)
    assert answer.status == 422
    assert [cause["field"] for cause in answer.json["details"]["causes"]] == [field]


def apply(expression: str) -> Object:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def patches(expression: str) -> Object:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


async def test_mutations_apply_configurations_and_patches_one_after_another(cluster: Cluster) -> None:
    namespace = await new_namespace(cluster)
    mutations = [
        apply("Object{metadata: Object.metadata{labels: {'by': 'policy'}}, data: Object.data{first: 'yes'}}"),
        patches(
            "has(object.data.first) ? [JSONPatch{op: 'add', path: '/data/' + jsonpatch.escapeKey('a/b'), value: 'x'},"
            " JSONPatch{op: 'test', path: '/data/first', value: variables.yes}] : []"
        ),
    ]
    spec = {
        "mutations": mutations,
        "variables": [{"name": "yes", "expression": "'yes'"}],
        "reinvocationPolicy": "Never",
        "matchConditions": [{"name": "not", "expression": "object.metadata.name != 'skip'"}],
    }
    async with policy(cluster, "mutating", namespace, spec):
        refused = await create(cluster, namespace, config_map(own="1"))
        assert refused.status == 422 and "data[a/b]: Invalid value" in refused.json["message"]
        skipped = (await create(cluster, namespace, config_map("skip", own="1"))).json
        assert skipped["data"] == {"own": "1"}
    mutations[1] = patches("[JSONPatch{op: 'add', path: '/data/second', value: object.data.first}]")
    async with policy(cluster, "mutating", namespace, {**spec, "mutations": mutations}):
        made = (await create(cluster, namespace, config_map(own="1"))).json
        assert made["data"] == {"own": "1", "first": "yes", "second": "yes"}
        assert made["metadata"]["labels"] == {"by": "policy"}


async def test_an_applied_list_is_merged_by_its_keys(cluster: Cluster) -> None:
    namespace = await new_namespace(cluster)
    await cluster.must("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "default"}})
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    side = "Object.spec.initContainers{name: 'side', image: 'side:1', restartPolicy: 'Always'}"
    change = "Object.spec.containers{name: 'main', ?imagePullPolicy: optional.of('Always')}"
    expression = f"Object{{spec: Object.spec{{initContainers: [{side}], containers: [{change}]}}}}"
    spec = {"mutations": [apply(expression)], "reinvocationPolicy": "IfNeeded"}
    async with policy(cluster, "mutating", namespace, spec, rule=rule):
        containers = [{"name": "main", "image": "main:1"}, {"name": "other", "image": "other:1"}]
        pod = {"metadata": {"name": "p"}, "spec": {"containers": containers, "automountServiceAccountToken": False}}
        made = (await create(cluster, namespace, pod, "pods")).json["spec"]
    shown = [(one["name"], one["image"], one["imagePullPolicy"]) for one in made["containers"]]
    assert shown == [("main", "main:1", "Always"), ("other", "other:1", "IfNotPresent")]
    assert [one["name"] for one in made["initContainers"]] == ["side"]


async def test_a_policy_that_asked_for_it_sees_what_a_webhook_made_later(
    cluster: Cluster, webhooks: WebhookServer
) -> None:
    namespace = await new_namespace(cluster)
    webhooks.answering["/add"] = lambda request: patch_of({"op": "add", "path": "/data/hook", "value": "1"})
    count = "has(object.data.hook) ? Object{data: Object.data{seen: 'hook'}} : Object{data: Object.data{seen: 'none'}}"
    for again, seen in (("IfNeeded", "hook"), ("Never", "none")):
        spec = {"mutations": [apply(count)], "reinvocationPolicy": again}
        async with (
            policy(cluster, "mutating", namespace, spec),
            configured(cluster, "mutating", namespace, hook(webhooks.url("/add"))),
        ):
            made = (await create(cluster, namespace, config_map(again.lower(), own="1"))).json
            assert made["data"] == {"own": "1", "hook": "1", "seen": seen}


@pytest.mark.parametrize(
    "mutation", [apply("Object{kind: 'Secret'}"), apply("'text'"), patches("{'op': 'add'}"), apply("object.nothing")]
)
async def test_a_mutation_that_cannot_be_made_follows_the_failure_policy(cluster: Cluster, mutation: Object) -> None:
    namespace = await new_namespace(cluster)
    spec = {"mutations": [mutation], "reinvocationPolicy": "Never"}
    async with policy(cluster, "mutating", namespace, dict(spec)) as name:
        refused = await create(cluster, namespace, config_map(a="1"))
        assert refused.status == 422, refused.body
        assert f"policy '{name}' with binding '{name}' denied request: " in refused.json["message"]
    async with policy(cluster, "mutating", namespace, {**spec, "failurePolicy": "Ignore"}):
        made = await create(cluster, namespace, config_map(a="1"))
        assert made.status == 201 and made.json["data"] == {"a": "1"}
