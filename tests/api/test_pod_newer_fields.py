"""Validation of restart rules, resize policies and host names of pods."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.api.core.podspec_validation import pod_spec_errors


def errors(container: dict[str, Any], init: bool = False, **spec: Any) -> list[str]:
    plain = {"name": "c", "image": "x", "terminationMessagePolicy": "File", "imagePullPolicy": "Always"}
    field = "initContainers" if init else "containers"
    given = {"containers": [plain], field: [{**plain, "name": "d", **container}]}
    found = pod_spec_errors("spec", {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", **given, **spec})
    return [str(error) for error in found]


def rule(**codes: Any) -> dict[str, Any]:
    return {"action": "Restart", "exitCodes": {"operator": "In", "values": [1], **codes}}


RESTART = {"resourceName": "memory", "restartPolicy": "RestartContainer"}


@pytest.mark.parametrize(
    ("container", "spec", "wanted"),
    [
        ({"restartPolicy": "Never", "restartPolicyRules": [rule()]}, {}, ""),
        (
            {"restartPolicyRules": [rule()]},
            {},
            "spec.containers[0].restartPolicy: Required value: must specify restartP",
        ),
        (
            {"restartPolicy": "Never", "restartPolicyRules": [rule(operator="Is")]},
            {},
            'spec.containers[0].restartPolicyRules[0].exitCodes.operator: Unsupported value: "Is"',
        ),
        (
            {"restartPolicy": "Never", "restartPolicyRules": [{"action": "Dance"}]},
            {},
            'spec.containers[0].restartPolicyRules[0].action: Unsupported value: "Dance"',
        ),
        ({"restartPolicy": "Never", "restartPolicyRules": [rule()] * 21}, {}, "restartPolicyRules: Too many: 21"),
        ({"resizePolicy": [RESTART]}, {}, ""),
        ({"resizePolicy": [RESTART, RESTART]}, {}, "spec.containers[0].resizePolicy[1]: Duplicate value"),
        ({"resizePolicy": [{**RESTART, "resourceName": "disk"}]}, {}, 'resourceName: Unsupported value: "disk"'),
        (
            {"resizePolicy": [RESTART]},
            {"restartPolicy": "Never"},
            "must be 'NotRequired' when `restartPolicy` is 'Never'",
        ),
        ({}, {"hostnameOverride": "any.name"}, ""),
        ({}, {"hostnameOverride": "x" * 65}, "spec.hostnameOverride: Too long"),
        ({}, {"hostnameOverride": "Not Good"}, "spec.hostnameOverride: Invalid value"),
        ({}, {"hostnameOverride": "a", "hostNetwork": True}, "spec.hostnameOverride: Forbidden"),
    ],
)
def test_what_is_wrong_is_named_by_its_field(container: dict[str, Any], spec: dict[str, Any], wanted: str) -> None:
    found = errors(container, **spec)
    assert any(wanted in text for text in found) if wanted else found == [], found


def test_a_sidecar_has_no_rules() -> None:
    sidecar = {"restartPolicy": "Always", "restartPolicyRules": [rule()]}
    assert any("restartPolicyRules: Forbidden" in text for text in errors(sidecar, init=True))
