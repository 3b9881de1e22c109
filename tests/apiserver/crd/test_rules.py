"""x-kubernetes-validations on a running server: refused when wrong, asked on every write."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apiserver.cluster import Cluster
from tests.apiserver.crd.definitions import CRDS, crd, establish

pytestmark = pytest.mark.asyncio(loop_scope="module")

MERGE = "application/merge-patch+json"


def ruled(plural: str, kind: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    definition = crd(plural, kind)
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["x-kubernetes-validations"] = rules
    return definition


async def test_rules_are_asked_on_create_and_transition_rules_on_update(cluster: Cluster) -> None:
    rules = [
        {"rule": "self.replicas <= 5 || self.image == 'big'", "message": "more than five need the big image"},
        {
            "rule": "self.image == oldSelf.image",
            "messageExpression": "'image stays ' + oldSelf.image",
            "fieldPath": ".image",
        },
    ]
    await establish(cluster, ruled("rules", "Rule", rules))
    path = "/apis/stable.example.com/v1/namespaces/default/rules"
    sent = {"apiVersion": "stable.example.com/v1", "kind": "Rule", "metadata": {"name": "a"}}
    refused = await cluster.request("POST", path, {**sent, "spec": {"cronSpec": "* * * * *", "replicas": 6}})
    assert refused.status == 422
    assert refused.json["message"] == (
        'Rule.stable.example.com "a" is invalid: spec: Invalid value: "object": more than five need the big image'
    )
    await cluster.must("POST", path, {**sent, "spec": {"cronSpec": "* * * * *"}})
    changed = await cluster.request("PATCH", f"{path}/a", {"spec": {"image": "x"}}, content_type=MERGE)
    assert changed.status == 422
    cause = changed.json["details"]["causes"][0]
    assert (cause["field"], cause["message"]) == ("spec.image", 'Invalid value: "object": image stays busybox')
    wrong_type = {**sent, "metadata": {"name": "b"}, "spec": {"cronSpec": 5}}
    blocked = await cluster.request("POST", path, wrong_type)
    assert "some validation rules were not checked because the object was invalid" in blocked.json["message"]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("self.nope == 1", "compilation failed: ERROR: <input>:1:5: undefined field 'nope'"),
        ("self.replicas == 'x'", "found no matching overload for '_==_' applied to '(int, string)'"),
        ("self.replicas", "cel expression must evaluate to a bool"),
        ("self.ports.all(p, self.ports.all(q, self.ports.all(r, p.name == r.name)))", "estimated rule cost exceeds"),
    ],
)
async def test_a_rule_that_cannot_be_taken_is_refused_with_the_definition(
    cluster: Cluster, rule: str, said: str
) -> None:
    answer = await cluster.request("POST", CRDS, ruled("refuseds", "Refused", [{"rule": rule}]))
    assert answer.status == 422
    assert said in answer.json["message"]
    path = "spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule"
    assert answer.json["details"]["causes"][0]["field"] == path
