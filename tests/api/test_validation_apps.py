"""StatefulSet, DaemonSet and ControllerRevision are refused in upstream's words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.good_objects import DELETE, refused, refused_change

STRATEGY, ROLLING = "spec/updateStrategy", "spec/updateStrategy/rollingUpdate"
CASES: list[tuple[str, str, Any, str]] = [
    ("StatefulSet", "metadata/name", "a.b", 'metadata.name: Invalid value: "a.b": must not contain dots'),
    (
        "StatefulSet",
        "spec/podManagementPolicy",
        "Foo",
        "spec.podManagementPolicy: Invalid value: \"Foo\": must be 'OrderedReady' or 'Parallel'",
    ),
    (
        "StatefulSet",
        STRATEGY,
        {"type": "Foo"},
        'spec.updateStrategy: Invalid value: {"Type":"Foo","RollingUpdate":null}: must be \'RollingUpdate\' or '
        "'OnDelete'",
    ),
    (
        "StatefulSet",
        STRATEGY,
        {"type": "OnDelete", "rollingUpdate": {"partition": 1}},
        'spec.updateStrategy.rollingUpdate: Invalid value: {"Partition":1,"MaxUnavailable":null}: '
        "only allowed for updateStrategy 'RollingUpdate'",
    ),
    ("StatefulSet", "spec/selector", DELETE, "spec.selector: Required value"),
    (
        "StatefulSet",
        "spec/persistentVolumeClaimRetentionPolicy/whenScaled",
        "Keep",
        'spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: "Keep": '
        'supported values: "Retain", "Delete"',
    ),
    (
        "StatefulSet",
        "spec/template/spec/restartPolicy",
        "Never",
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
    ),
    ("StatefulSet", "spec/replicas", -1, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
    ("DaemonSet", "spec/selector", {}, "spec.selector: Invalid value: {}: empty selector is invalid for daemonset"),
    (
        "DaemonSet",
        "spec/selector/matchLabels/app",
        "y",
        'spec.template.metadata.labels: Invalid value: {"app":"x"}: `selector` does not match template `labels`',
    ),
    (
        "DaemonSet",
        ROLLING,
        {"maxUnavailable": 0, "maxSurge": 0},
        "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
    ),
    (
        "DaemonSet",
        ROLLING,
        {"maxUnavailable": 1, "maxSurge": "10%"},
        'spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: "10%": '
        "may not be set when maxUnavailable is non-zero",
    ),
    ("DaemonSet", "spec/template/spec/containers", [], "spec.template.spec.containers: Required value"),
    ("ControllerRevision", "data", DELETE, "data: Required value: data is mandatory"),
    ("ControllerRevision", "revision", -1, "revision: Invalid value: -1: must be greater than or equal to 0"),
]


@pytest.mark.parametrize(("kind", "path", "value", "error"), CASES)
def test_a_bad_field_is_named(kind: str, path: str, value: Any, error: str) -> None:
    assert any(found.startswith(error) for found in refused(kind, (path, value))), refused(kind, (path, value))


FIXED: list[tuple[str, str, Any, str]] = [
    (
        "StatefulSet",
        "spec/serviceName",
        "other",
        "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
        "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' "
        "are forbidden",
    ),
    ("ControllerRevision", "data", {"a": 1}, 'data: Invalid value: {"a":1}: field is immutable'),
    (
        "DaemonSet",
        "spec/selector/matchLabels/app",
        "z",
        'spec.selector: Invalid value: {"matchLabels":{"app":"z"}}: field is immutable',
    ),
]


@pytest.mark.parametrize(("kind", "path", "value", "error"), FIXED)
def test_a_fixed_field_cannot_change(kind: str, path: str, value: Any, error: str) -> None:
    assert error in refused_change(kind, (path, value))


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("StatefulSet", "spec/replicas", 5),
        ("StatefulSet", "spec/revisionHistoryLimit", 3),
        ("DaemonSet", "spec/template/spec/containers/0/image", "i:2"),
    ],
)
def test_the_rest_may_change(kind: str, path: str, value: Any) -> None:
    assert refused_change(kind, (path, value)) == []
