"""ValidatingAdmissionPolicies, MutatingAdmissionPolicies and their bindings: their API."""

from __future__ import annotations

from tests.conformance.api import Api, Object
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
