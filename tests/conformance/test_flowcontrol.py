"""FlowSchemas and PriorityLevelConfigurations."""

from __future__ import annotations

from tests.conformance.api import Api, Object
from tests.conformance.operations import Resource, Scenario, check_api_operations
from tests.conformance.rows import row

_GROUP = ("flowcontrol.apiserver.k8s.io", "v1")
_CONDITION = {
    "status": "False",
    "reason": "Patched",
    "message": "by the test",
    "lastTransitionTime": "2026-01-02T03:04:05Z",
}


@row(2, "Priority and Fairness FlowSchema API")
def test_priority_and_fairness_supports_flowschema_api_operations(api: Api, unique: str) -> None:
    def change(obj: Object) -> None:
        obj["spec"]["matchingPrecedence"] = 9998

    def flow_schema(name: str) -> Object:
        subject = {"kind": "User", "user": {"name": "conformance-nobody"}}
        everything = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["*"]}
        return {
            "spec": {
                "matchingPrecedence": 9999,
                "priorityLevelConfiguration": {"name": "global-default"},
                "distinguisherMethod": {"type": "ByUser"},
                "rules": [{"subjects": [subject], "resourceRules": [everything]}],
            }
        }

    resource = Resource(*_GROUP, "flowschemas", "FlowSchema", namespaced=False, subresources=("status",))
    status = {"conditions": [{"type": "Conformance", **_CONDITION}]}
    check_api_operations(api, Scenario(resource, flow_schema, unique, change=change, status=status))


@row(3, "Priority and Fairness PriorityLevelConfiguration API")
def test_priority_and_fairness_supports_prioritylevelconfiguration_api_operations(api: Api, unique: str) -> None:
    def change(obj: Object) -> None:
        obj["spec"]["limited"]["nominalConcurrencyShares"] = 4

    def level(name: str) -> Object:
        limited = {"nominalConcurrencyShares": 2, "limitResponse": {"type": "Reject"}}
        return {"spec": {"type": "Limited", "limited": limited}}

    resource = Resource(
        *_GROUP, "prioritylevelconfigurations", "PriorityLevelConfiguration", namespaced=False, subresources=("status",)
    )
    status = {"conditions": [{"type": "Conformance", **_CONDITION}]}
    check_api_operations(api, Scenario(resource, level, unique, change=change, status=status))
