"""The core group's kinds beyond the first walk are refused in upstream's words."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.api.good_objects import DELETE, GOOD, prepared, refused, refused_change

LIMIT = "spec/limits/0"
CASES: list[tuple[str, str, Any, str]] = [
    ("ReplicationController", "spec/selector", {"app": "y"}, "spec.template.metadata.labels: Invalid value: "),
    ("ReplicationController", "spec/template/spec/containers", [], "spec.template.spec.containers: Required value"),
    ("Endpoints", "subsets/0/addresses", [], "subsets[0]: Required value: must specify `addresses` or `notReady"),
    (
        "Endpoints",
        "subsets/0/addresses/0/ip",
        "127.0.0.1",
        'subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, '
        "::1/128)",
    ),
    (
        "Endpoints",
        "subsets/0/addresses/0/ip",
        "169.254.169.254",
        'subsets[0].addresses[0].ip: Invalid value: "169.254.169.254": may not be in the link-local range '
        "(169.254.0.0/16, fe80::/10)",
    ),
    ("Endpoints", "subsets/0/ports", [{"port": 1}, {"port": 2}], "subsets[0].ports[0].name: Required value"),
    (
        "EndpointSlice",
        "addressType",
        "IP",
        'addressType: Unsupported value: "IP": supported values: "FQDN", "IPv4", "IPv6"',
    ),
    (
        "EndpointSlice",
        "endpoints/0/addresses",
        ["fd00::1"],
        'endpoints[0].addresses[0]: Invalid value: "fd00::1": must be an IPv4 address',
    ),
    (
        "EndpointSlice",
        "endpoints/0/addresses",
        [],
        "endpoints[0].addresses: Required value: must contain at least 1 address",
    ),
    ("EndpointSlice", "ports", [{"port": 1}, {"port": 2}], 'ports[1].name: Duplicate value: ""'),
    ("PersistentVolume", "spec/hostPath", DELETE, "spec: Required value: must specify a volume type"),
    ("PersistentVolume", "spec/capacity", DELETE, "spec.capacity: Required value"),
    (
        "PersistentVolume",
        "spec/nfs",
        {"server": "s", "path": "/p"},
        "spec.nfs: Forbidden: may not specify more than 1 volume type",
    ),
    (
        "PersistentVolume",
        "spec/hostPath/path",
        "/a/../b",
        "spec.hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
    ),
    ("PersistentVolumeClaim", "spec/accessModes", DELETE, "spec.accessModes: Required value: at least 1 access mode"),
    (
        "PersistentVolumeClaim",
        "spec/accessModes",
        ["ReadWriteOnce", "ReadWriteOncePod"],
        "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
    ),
    (
        "PersistentVolumeClaim",
        "spec/resources/requests/storage",
        "0",
        'spec.resources[storage]: Invalid value: "0": must be greater than zero',
    ),
    (
        "PersistentVolumeClaim",
        "spec/dataSource",
        {"kind": "Pod", "name": "p"},
        "spec.dataSource: Invalid value: \"Pod\": must be 'PersistentVolumeClaim' when referencing the default "
        "apiGroup",
    ),
    (
        "ResourceQuota",
        "spec/hard",
        {"bananas": "1"},
        'spec.hard[bananas]: Invalid value: "bananas": must be a standard resource for quota',
    ),
    ("ResourceQuota", "spec/hard/pods", "1500m", 'spec.hard[pods]: Invalid value: "1500m": must be an integer'),
    (
        "ResourceQuota",
        "spec/scopes",
        ["BestEffort", "NotBestEffort"],
        'spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes',
    ),
    (
        "ResourceQuota",
        "spec/scopes",
        ["BestEffort"],
        'spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource',
    ),
    (
        "LimitRange",
        f"{LIMIT}/min/cpu",
        "3",
        'spec.limits[0].min[cpu]: Invalid value: "3": min value 3 is greater than max value 2',
    ),
    (
        "LimitRange",
        f"{LIMIT}/type",
        "Thing",
        'spec.limits[0].type: Invalid value: "Thing": must be a standard limit type or fully qualified',
    ),
    (
        "LimitRange",
        f"{LIMIT}/maxLimitRequestRatio",
        {"cpu": "50"},
        'spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "50": ratio 50 is greater than max/min = 20.000000',
    ),
    ("PodTemplate", "template/spec/containers", [], "template.spec.containers: Required value"),
]


@pytest.mark.parametrize(("kind", "path", "value", "error"), CASES)
def test_a_bad_field_is_named(kind: str, path: str, value: Any, error: str) -> None:
    assert any(found.startswith(error) for found in refused(kind, (path, value))), refused(kind, (path, value))


FIXED: list[tuple[str, str, Any, str]] = [
    ("EndpointSlice", "addressType", "IPv6", 'addressType: Invalid value: "IPv6": field is immutable'),
    (
        "PersistentVolume",
        "spec/hostPath/path",
        "/other",
        "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation",
    ),
    ("PersistentVolume", "spec/volumeMode", "Block", 'spec.volumeMode: Invalid value: "Block": field is immutable'),
    (
        "PersistentVolumeClaim",
        "spec/accessModes",
        ["ReadWriteMany"],
        "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName "
        "for bound claims",
    ),
    (
        "PersistentVolumeClaim",
        "spec/resources/requests/storage",
        "1Mi",
        "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity",
    ),
    (
        "ResourceQuota",
        "spec/scopes",
        ["Terminating"],
        'spec.scopes: Invalid value: ["Terminating"]: field is immutable',
    ),
]


@pytest.mark.parametrize(("kind", "path", "value", "error"), FIXED)
def test_a_fixed_field_cannot_change(kind: str, path: str, value: Any, error: str) -> None:
    found = refused_change(kind, (path, value))
    assert any(text.startswith(error) for text in found), found


def test_a_bound_claim_may_grow() -> None:
    info, old = prepared(GOOD["PersistentVolumeClaim"])
    old["spec"]["volumeName"], old["status"] = "v", {"phase": "Bound", "capacity": {"storage": "1Gi"}}
    new = deepcopy(old)
    new["spec"]["resources"]["requests"]["storage"] = "2Gi"
    assert info.validate_update(new, old) == []


def test_a_volume_may_be_bound_to_a_claim() -> None:
    assert refused_change("PersistentVolumeClaim", ("spec/volumeName", "v")) == []
    assert refused_change("PersistentVolume", ("spec/claimRef", {"name": "c", "namespace": "default"})) == []
