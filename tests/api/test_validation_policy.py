"""Roles, ingresses, network policies, budgets and classes are refused in upstream's words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.good_objects import DELETE, refused, refused_change

PATH = "spec/rules/0/http/paths/0"
BLOCK = "spec/ingress/0/from/0/ipBlock"
CASES: list[tuple[str, str, Any, str]] = [
    ("Role", "rules/0/verbs", [], "rules[0].verbs: Required value: verbs must contain at least one value"),
    (
        "Role",
        "rules/0",
        {"verbs": ["get"], "nonResourceURLs": ["/x"]},
        'rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs',
    ),
    (
        "ClusterRole",
        "rules/0/resources",
        ["pods"],
        'rules[0].nonResourceURLs: Invalid value: ["/healthz"]: rules cannot apply to both regular resources and '
        "non-resource URLs",
    ),
    (
        "ClusterRoleBinding",
        "roleRef/kind",
        "Role",
        'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
    ),
    ("ClusterRoleBinding", "subjects/0/namespace", DELETE, "subjects[0].namespace: Required value"),
    (
        "RoleBinding",
        "subjects/0/kind",
        "Cat",
        'subjects[0].kind: Unsupported value: "Cat": supported values: "ServiceAccount", "User", "Group"',
    ),
    (
        "Ingress",
        f"{PATH}/path",
        "/a/../b",
        "spec.rules[0].http.paths[0].path: Invalid value: \"/a/../b\": must not contain '/../'",
    ),
    (
        "Ingress",
        f"{PATH}/pathType",
        DELETE,
        "spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified",
    ),
    (
        "Ingress",
        f"{PATH}/backend",
        {},
        'spec.rules[0].http.paths[0].backend: Invalid value: "": resource or service backend is required',
    ),
    (
        "Ingress",
        "spec/rules/0/host",
        "10.0.0.1",
        'spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address',
    ),
    (
        "Ingress",
        "spec/rules/0/host",
        "a.*.b",
        'spec.rules[0].host: Invalid value: "a.*.b": a wildcard DNS-1123 subdomain',
    ),
    ("Ingress", "spec", {}, "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"),
    (
        "IngressClass",
        "spec/controller",
        "x",
        'spec.controller: Invalid value: "x": must be a domain-prefixed path (such as "acme.io/foo")',
    ),
    (
        "IngressClass",
        "spec/parameters/namespace",
        "n",
        "spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'",
    ),
    (
        "NetworkPolicy",
        f"{BLOCK}/except",
        ["11.0.0.0/16"],
        'spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`',
    ),
    (
        "NetworkPolicy",
        f"{BLOCK}/cidr",
        "10.0.0.0",
        'spec.ingress[0].from[0].ipBlock.cidr: Invalid value: "10.0.0.0": must be a valid CIDR value, (e.g. '
        "10.9.8.0/24 or 2001:db8::/64)",
    ),
    (
        "NetworkPolicy",
        "spec/ingress/0/ports/0/endPort",
        70,
        "spec.ingress[0].ports[0].endPort: Invalid value: 70: must be greater than or equal to `port`",
    ),
    ("NetworkPolicy", "spec/ingress/0/from/0", {}, "spec.ingress[0].from[0]: Required value: must specify a peer"),
    (
        "PodDisruptionBudget",
        "spec/minAvailable",
        "120%",
        'spec.minAvailable: Invalid value: "120%": must not be greater than 100%',
    ),
    ("StorageClass", "provisioner", DELETE, "provisioner: Required value"),
    (
        "StorageClass",
        "volumeBindingMode",
        "Later",
        'volumeBindingMode: Unsupported value: "Later": supported values: "Immediate", "WaitForFirstConsumer"',
    ),
    (
        "PriorityClass",
        "value",
        1_000_000_001,
        "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
    ),
    ("RuntimeClass", "handler", "", 'handler: Invalid value: "": a lowercase RFC 1123 label must consist of'),
]


@pytest.mark.parametrize(("kind", "path", "value", "error"), CASES)
def test_a_bad_field_is_named(kind: str, path: str, value: Any, error: str) -> None:
    assert any(found.startswith(error) for found in refused(kind, (path, value))), refused(kind, (path, value))


FIXED: list[tuple[str, str, Any, str]] = [
    (
        "RoleBinding",
        "roleRef/name",
        "other",
        'roleRef: Invalid value: {"APIGroup":"rbac.authorization.k8s.io","Kind":"Role","Name":"other"}: '
        "cannot change roleRef",
    ),
    ("IngressClass", "spec/controller", "a.b/c", 'spec.controller: Invalid value: "a.b/c": field is immutable'),
    ("StorageClass", "provisioner", "a.b/c", "provisioner: Forbidden: updates to provisioner are forbidden."),
    ("StorageClass", "reclaimPolicy", "Retain", "reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden."),
    ("PriorityClass", "value", 11, "value: Forbidden: may not be changed in an update."),
    ("RuntimeClass", "handler", "other", 'handler: Invalid value: "other": field is immutable'),
]


@pytest.mark.parametrize(("kind", "path", "value", "error"), FIXED)
def test_a_fixed_field_cannot_change(kind: str, path: str, value: Any, error: str) -> None:
    assert error in refused_change(kind, (path, value))


def test_a_systems_priority_class_has_its_own_value() -> None:
    name = ("metadata/name", "system-node-critical")
    text = "value of system-node-critical PriorityClass must be 2000001000"
    assert refused("PriorityClass", name) == [
        "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. "
        f"error: {text}"
    ]
    assert refused("PriorityClass", name, ("value", 2000001000)) == []
