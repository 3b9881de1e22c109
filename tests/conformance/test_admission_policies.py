"""ValidatingAdmissionPolicies, MutatingAdmissionPolicies and their bindings: their API and what they do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.conformance.api import Answer, Api, Object, eventually
from tests.conformance.operations import Resource, Scenario, check_api_operations
from tests.conformance.rows import row

_GROUP = ("admissionregistration.k8s.io", "v1")
_RULE = {"apiGroups": ["example.com"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["examples"]}


def constraints(label: str) -> Object:
    """Nothing but the test's own objects, of which there are none, falls under the policy."""
    return {
        "namespaceSelector": {"matchLabels": {"conformance-policy": label}},
        "resourceRules": [_RULE],
    }


@row(93, "ValidatingAdmissionPolicy API")
def test_validatingadmissionpolicy_supports_its_api_operations(api: Api, unique: str) -> None:
    def policy(name: str) -> Object:
        validations = [{"expression": "object.spec.replicas <= 100", "messageExpression": "'too many'"}]
        return {"spec": {"matchConstraints": constraints(unique), "validations": validations}}

    def change(obj: Object) -> None:
        obj["spec"]["failurePolicy"] = "Ignore"

    plural = "validatingadmissionpolicies"
    resource = Resource(*_GROUP, plural, "ValidatingAdmissionPolicy", namespaced=False, subresources=("status",))
    condition = {
        "type": "Conformance",
        "status": "True",
        "reason": "Patched",
        "message": "by the test",
        "lastTransitionTime": "2026-01-02T03:04:05Z",
    }
    scenario = Scenario(resource, policy, unique, change=change, status={"conditions": [condition]})
    check_api_operations(api, scenario)


@row(94, "ValidatingadmissionPolicyBinding API")
def test_validatingadmissionpolicybinding_supports_its_api_operations(api: Api, unique: str) -> None:
    def binding(name: str) -> Object:
        return {"spec": {"policyName": f"no-policy-{unique}", "validationActions": ["Deny"]}}

    def change(obj: Object) -> None:
        obj["spec"]["validationActions"] = ["Warn"]

    plural = "validatingadmissionpolicybindings"
    resource = Resource(*_GROUP, plural, "ValidatingAdmissionPolicyBinding", namespaced=False)
    check_api_operations(api, Scenario(resource, binding, unique, change=change))


@row(67, "MutatingAdmissionPolicy API")
def test_mutatingadmissionpolicy_supports_its_api_operations(api: Api, unique: str) -> None:
    def policy(name: str) -> Object:
        expression = "Object{metadata: Object.metadata{labels: {'mutated': 'true'}}}"
        mutations = [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}]
        return {
            "spec": {"matchConstraints": constraints(unique), "mutations": mutations, "reinvocationPolicy": "Never"}
        }

    def change(obj: Object) -> None:
        obj["spec"]["failurePolicy"] = "Ignore"

    resource = Resource(*_GROUP, "mutatingadmissionpolicies", "MutatingAdmissionPolicy", namespaced=False)
    check_api_operations(api, Scenario(resource, policy, unique, change=change))


@row(68, "MutatingAdmissionPolicyBinding API")
def test_mutatingadmissionpolicybinding_supports_its_api_operations(api: Api, unique: str) -> None:
    def binding(name: str) -> Object:
        return {"spec": {"policyName": f"no-policy-{unique}"}}

    def change(obj: Object) -> None:
        obj["spec"]["policyName"] = f"no-other-policy-{unique}"

    plural = "mutatingadmissionpolicybindings"
    resource = Resource(*_GROUP, plural, "MutatingAdmissionPolicyBinding", namespaced=False)
    check_api_operations(api, Scenario(resource, binding, unique, change=change))


def deployment(name: str, replicas: int) -> Object:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "busybox"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


@contextmanager
def in_force(api: Api, word: str, namespace: str, spec: Object, holds: Callable[[], bool]) -> Iterator[None]:
    """A policy about the Deployments of a namespace, bound, and seen to work; `word`: validating or mutating."""
    name = f"policy-{namespace}"
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]}
    policies, bindings = (f"/apis/{_GROUP[0]}/v1/{word}admission{what}" for what in ("policies", "policybindings"))
    spec = {"matchConstraints": {"resourceRules": [rule]}, **spec}
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    binding: Object = {"policyName": name, "matchResources": {"namespaceSelector": selector}}
    if word == "validating":
        binding["validationActions"] = ["Deny"]
    api.create(policies, {"metadata": {"name": name}, "spec": spec})
    try:
        api.create(bindings, {"metadata": {"name": name}, "spec": binding})
        eventually(holds, "the policy is in force")
        yield
    finally:
        api.call("DELETE", f"{bindings}/{name}")
        api.delete(f"{policies}/{name}")


def tried(api: Api, namespace: str, replicas: int, plural: str = "deployments") -> Answer:
    obj = deployment("tried", replicas)
    if plural == "replicasets":
        obj["kind"] = "ReplicaSet"
    return api.call("POST", f"/apis/apps/v1/namespaces/{namespace}/{plural}", obj, dryRun="All")


@row(95, "ValidatingAdmissionPolicy")
def test_a_validating_policy_denies_deployments_and_nothing_else(api: Api, namespace: str) -> None:
    spec: Object = {"validations": [{"expression": "object.spec.replicas > 1", "messageExpression": "'too few'"}]}

    def is_denied() -> bool:
        answer = tried(api, namespace, 1)
        assert answer.status in (201, 422)
        return answer.status == 422 and answer.json["reason"] == "Invalid" and "too few" in answer.message

    with in_force(api, "validating", namespace, spec, is_denied):
        assert tried(api, namespace, 2).status == 201
        assert tried(api, namespace, 1, "replicasets").status == 201


@row(92, "ValidatingAdmissionPolicy")
def test_the_expressions_of_a_policy_use_its_variables(api: Api, namespace: str) -> None:
    variables = [
        {"name": "replicas", "expression": "object.spec.replicas"},
        {"name": "oddReplicas", "expression": "variables.replicas % 2 == 1"},
    ]
    validations = [{"expression": "variables.replicas > 1"}, {"expression": "variables.oddReplicas"}]
    spec: Object = {"variables": variables, "validations": validations}
    with in_force(api, "validating", namespace, spec, lambda: tried(api, namespace, 1).status == 422):
        assert tried(api, namespace, 2).json["reason"] == "Invalid"
        assert tried(api, namespace, 3).status == 201


def check_mutation(api: Api, namespace: str, expression: str, holds: Callable[[Object], bool]) -> None:
    mutations = [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}]
    spec: Object = {"mutations": mutations, "reinvocationPolicy": "Never"}
    with in_force(api, "mutating", namespace, spec, lambda: holds(tried(api, namespace, 1).json)):
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        api.create(path, deployment("stored", 1))
        assert holds(api.get(f"{path}/stored"))


@row(65, "MutatingAdmissionPolicy")
def test_a_mutating_policy_changes_a_deployment(api: Api, namespace: str) -> None:
    expression = "Object{spec: Object.spec{replicas: object.spec.replicas + 2}}"
    check_mutation(api, namespace, expression, lambda obj: bool(obj["spec"]["replicas"] == 3))


@row(66, "MutatingAdmissionPolicy")
def test_a_mutating_policy_annotates_a_deployment(api: Api, namespace: str) -> None:
    expression = "Object{metadata: Object.metadata{annotations: {'mutated-by': 'admission-policy'}}}"

    def holds(obj: Object) -> bool:
        return bool(obj["metadata"].get("annotations", {}).get("mutated-by") == "admission-policy")

    check_mutation(api, namespace, expression, holds)
