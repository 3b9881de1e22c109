"""The kinds that extend the server (webhooks, policies, storage, devices, flows, scaling) are refused by path."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.good_objects import DELETE, refused, refused_change

CASES: list[tuple[str, str, Any, str]] = [
    (
        "CSIDriver",
        "spec/fsGroupPolicy",
        "Foo",
        'spec.fsGroupPolicy: Unsupported value: "Foo": supported values: "File"',
    ),
    ("CSINode", "spec/drivers/0/nodeID", DELETE, "spec.drivers[0].nodeID: Required value"),
    ("CSIStorageCapacity", "capacity", "-1", 'capacity: Invalid value: "-1": must be greater than or equal to 0'),
    ("VolumeAttachment", "spec/source", {}, "spec.source: Required value: must specify exactly one of"),
    ("VolumeAttributesClass", "driverName", DELETE, "driverName: Required value"),
    (
        "IPAddress",
        "metadata/name",
        "10.9.8.07",
        'metadata.name: Invalid value: "10.9.8.07": must be a valid IP address',
    ),
    ("IPAddress", "spec/parentRef", DELETE, "spec.parentRef: Required value"),
    ("ServiceCIDR", "spec/cidrs", [], "spec.cidrs: Required value: at least one CIDR required"),
    ("ServiceCIDR", "spec/cidrs", ["10.0.0.0/24", "10.1.0.0/24"], "spec.cidrs: Invalid value: "),
    (
        "HorizontalPodAutoscaler",
        "spec/maxReplicas",
        0,
        "spec.maxReplicas: Invalid value: 0: must be greater than 0",
    ),
    (
        "HorizontalPodAutoscaler",
        "spec/metrics",
        [{"type": "Resource"}],
        "spec.metrics[0].resource: Required value: must populate information for the given metric source",
    ),
    (
        "FlowSchema",
        "spec/matchingPrecedence",
        1,
        "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1",
    ),
    (
        "FlowSchema",
        "spec/rules/0/subjects",
        [],
        "spec.rules[0].subjects: Required value: subjects must contain at least one value",
    ),
    (
        "PriorityLevelConfiguration",
        "spec/limited",
        DELETE,
        "spec.limited: Required value: must not be empty when type is Limited",
    ),
    (
        "CertificateSigningRequest",
        "spec/request",
        "",
        'spec.request: Invalid value: "": PEM block type must be CERTIFICATE REQUEST',
    ),
    ("CertificateSigningRequest", "spec/signerName", "x", 'spec.signerName: Invalid value: "x": must be a fully'),
    (
        "CertificateSigningRequest",
        "spec/expirationSeconds",
        5,
        "spec.expirationSeconds: Invalid value: 5: may not specify a duration less than 600 seconds (10 minutes)",
    ),
    (
        "ValidatingWebhookConfiguration",
        "webhooks/0/name",
        "short",
        'webhooks[0].name: Invalid value: "short": should be a domain with at least three segments separated by dots',
    ),
    (
        "ValidatingWebhookConfiguration",
        "webhooks/0/sideEffects",
        DELETE,
        "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun",
    ),
    (
        "MutatingWebhookConfiguration",
        "webhooks/0/clientConfig/url",
        "http://hooks.example.com",
        "webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired "
        "format: https://host[/path]",
    ),
    (
        "MutatingWebhookConfiguration",
        "webhooks/0/timeoutSeconds",
        31,
        "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
    ),
    ("ValidatingAdmissionPolicy", "spec/matchConstraints", DELETE, "spec.matchConstraints: Required value"),
    (
        "ValidatingAdmissionPolicyBinding",
        "spec/validationActions",
        ["Deny", "Warn"],
        'spec.validationActions: Invalid value: ["Deny","Warn"]: must not contain both Deny and Warn',
    ),
    ("MutatingAdmissionPolicy", "spec/mutations", [], "spec.mutations: Required value"),
    ("MutatingAdmissionPolicyBinding", "spec/policyName", DELETE, "spec.policyName: Required value"),
    (
        "APIService",
        "metadata/name",
        "v2.ex.io",
        'metadata.name: Invalid value: "v2.ex.io": must be `spec.version+"."+spec.group`: "v1.ex.io"',
    ),
    (
        "APIService",
        "spec/versionPriority",
        0,
        "spec.versionPriority: Invalid value: 0: must be positive and less than 1000",
    ),
    ("DeviceClass", "spec/selectors/0/cel", DELETE, "spec.selectors[0].cel: Required value"),
    (
        "ResourceClaim",
        "spec/devices/requests/0",
        {"name": "r"},
        "spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required",
    ),
    ("ResourceSlice", "spec/nodeName", DELETE, "spec: Required value: exactly one of `nodeName`"),
]


@pytest.mark.parametrize(("kind", "path", "value", "error"), CASES)
def test_a_bad_field_is_named(kind: str, path: str, value: Any, error: str) -> None:
    assert any(found.startswith(error) for found in refused(kind, (path, value))), refused(kind, (path, value))


FIXED: list[tuple[str, str, Any, str]] = [
    ("CSIDriver", "spec/attachRequired", False, "spec.attachRequired: Invalid value: false: field is immutable"),
    ("VolumeAttachment", "spec/nodeName", "other", "spec: Invalid value: "),
    ("VolumeAttributesClass", "parameters", {"a": "b"}, 'parameters: Invalid value: {"a":"b"}: field is immutable'),
    ("IPAddress", "spec/parentRef/name", "other", "spec.parentRef: Invalid value: "),
    ("ServiceCIDR", "spec/cidrs", ["10.8.0.0/24"], 'spec.cidrs: Invalid value: ["10.8.0.0/24"]: field is immutable'),
    ("ResourceClaim", "spec/devices/requests/0/name", "other", "spec: Invalid value: "),
    (
        "ResourceSlice",
        "spec/driver",
        "e.example.com",
        'spec.driver: Invalid value: "e.example.com": field is immutable',
    ),
]


@pytest.mark.parametrize(("kind", "path", "value", "error"), FIXED)
def test_a_fixed_field_cannot_change(kind: str, path: str, value: Any, error: str) -> None:
    assert any(found.startswith(error) for found in refused_change(kind, (path, value)))


def test_a_second_address_family_may_join() -> None:
    assert refused_change("ServiceCIDR", ("spec/cidrs", ["10.9.0.0/24", "fd00::/64"])) == []


def test_who_asks_for_a_certificate_is_not_for_the_asker_to_say() -> None:
    from tests.api.good_objects import changed, prepared

    _, request = prepared(changed("CertificateSigningRequest", ("spec/username", "admin"), ("spec/groups", ["root"])))
    assert not {"username", "groups", "uid", "extra"} & request["spec"].keys()
