"""Who has the default roles, and the roles of the system namespaces: upstream's table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apiserver.authorization.controllerroles import NAMESPACE, PREFIX, controller_rules
from apiserver.authorization.defaultroles import AGGREGATED, AGGREGATES_TO, CLUSTER_ROLES, EVENTS, READ
from apiserver.authorization.rules import Rule, rule

Obj = dict[str, Any]

GROUP = "rbac.authorization.k8s.io"
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
_AGGREGATE_TO = "rbac.authorization.k8s.io/aggregate-to-"

# Subjects: "group:x", "user:x", "account:namespace/x".
CLUSTER_BINDINGS: Mapping[str, tuple[str, str]] = {
    "cluster-admin": ("cluster-admin", "group:system:masters"),
    "system:monitoring": ("system:monitoring", "group:system:monitoring"),
    "system:discovery": ("system:discovery", "group:system:authenticated"),
    "system:basic-user": ("system:basic-user", "group:system:authenticated"),
    "system:public-info-viewer": (
        "system:public-info-viewer",
        "group:system:authenticated group:system:unauthenticated",
    ),
    "system:node-proxier": ("system:node-proxier", "user:system:kube-proxy"),
    "system:kube-controller-manager": ("system:kube-controller-manager", "user:system:kube-controller-manager"),
    "system:kube-dns": ("system:kube-dns", "account:kube-system/kube-dns"),
    "system:kube-scheduler": ("system:kube-scheduler", "user:system:kube-scheduler"),
    "system:volume-scheduler": ("system:volume-scheduler", "user:system:kube-scheduler"),
    "system:node": ("system:node", ""),  # nodes go by the Node authorizer
    "system:service-account-issuer-discovery": (
        "system:service-account-issuer-discovery",
        "group:system:serviceaccounts",
    ),
    "tiphys:node-approval": (
        "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
        "group:system:bootstrappers",
    ),
    "tiphys:node-bootstrap": ("system:node-bootstrapper", "group:system:bootstrappers"),
    "tiphys:node-renewal": (
        "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
        "group:system:nodes",
    ),
    "tiphys:controllers": ("tiphys:controllers", "user:system:kube-controller-manager"),
    "tiphys:node-agent": ("tiphys:node-agent", "group:system:nodes"),
    "tiphys:scheduler": ("tiphys:scheduler", "user:system:kube-scheduler"),
}

_LEADER = (
    rule("create get list update watch", "coordination.k8s.io", "leases"),
    rule("create get list update watch", "coordination.k8s.io", "leasecandidates"),
)

ROLES: Mapping[tuple[str, str], Sequence[Rule]] = {
    ("kube-public", "system:controller:bootstrap-signer"): (
        rule(READ, "core", "configmaps"),
        rule("update", "core", "configmaps", "cluster-info"),
        EVENTS,
    ),
    ("kube-public", "tiphys:cluster-info"): (rule("get", "core", "configmaps", "cluster-info"),),
    ("kube-system", "extension-apiserver-authentication-reader"): (
        rule(READ, "core", "configmaps", "extension-apiserver-authentication"),
    ),
    ("kube-system", "system::leader-locking-kube-controller-manager"): _LEADER,
    ("kube-system", "system::leader-locking-kube-scheduler"): _LEADER,
    ("kube-system", "system:controller:bootstrap-signer"): (rule(READ, "core", "secrets"),),
    ("kube-system", "system:controller:cloud-provider"): (rule(f"create {READ}", "core", "configmaps"),),
    ("kube-system", "system:controller:token-cleaner"): (rule(f"delete {READ}", "core", "secrets"), EVENTS),
    ("kube-system", "tiphys:controllers"): (
        rule("impersonate", "core", "serviceaccounts", " ".join(controller_rules())),
    ),
}

BINDINGS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("kube-public", "system:controller:bootstrap-signer"): (
        "system:controller:bootstrap-signer",
        "account:kube-system/bootstrap-signer",
    ),
    ("kube-public", "tiphys:cluster-info"): ("tiphys:cluster-info", "user:system:anonymous"),
    ("kube-system", "system::extension-apiserver-authentication-reader"): (
        "extension-apiserver-authentication-reader",
        "user:system:kube-controller-manager user:system:kube-scheduler",
    ),
    ("kube-system", "system::leader-locking-kube-controller-manager"): (
        "system::leader-locking-kube-controller-manager",
        "user:system:kube-controller-manager account:kube-system/kube-controller-manager "
        "account:kube-system/leader-election-controller",
    ),
    ("kube-system", "system::leader-locking-kube-scheduler"): (
        "system::leader-locking-kube-scheduler",
        "user:system:kube-scheduler account:kube-system/kube-scheduler",
    ),
    ("kube-system", "system:controller:bootstrap-signer"): (
        "system:controller:bootstrap-signer",
        "account:kube-system/bootstrap-signer",
    ),
    ("kube-system", "system:controller:cloud-provider"): (
        "system:controller:cloud-provider",
        "account:kube-system/cloud-provider",
    ),
    ("kube-system", "system:controller:token-cleaner"): (
        "system:controller:token-cleaner",
        "account:kube-system/token-cleaner",
    ),
    ("kube-system", "tiphys:controllers"): ("tiphys:controllers", "user:system:kube-controller-manager"),
}


def default_objects() -> dict[str, list[Obj]]:
    """Plural -> the objects a cluster starts with, roles before the bindings that name them."""
    cluster_roles = [_role("", name, rules) for name, rules in CLUSTER_ROLES.items()]
    for name, source in AGGREGATED.items():
        role = _role("", name, ())
        role["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {_AGGREGATE_TO + source: "true"}}]}
        role["rules"] = None
        cluster_roles.append(role)
    bindings = dict(CLUSTER_BINDINGS)
    for name, rules_of_one in controller_rules().items():
        role = _role("", PREFIX + name, ())
        role["rules"] = rules_of_one
        cluster_roles.append(role)
        bindings[PREFIX + name] = (PREFIX + name, f"account:{NAMESPACE}/{name}")
    return {
        "clusterroles": cluster_roles,
        "roles": [_role(namespace, name, rules) for (namespace, name), rules in ROLES.items()],
        "clusterrolebindings": [_binding("", name, "ClusterRole", *to) for name, to in bindings.items()],
        "rolebindings": [_binding(namespace, name, "Role", *to) for (namespace, name), to in BINDINGS.items()],
    }


def _metadata(namespace: str, name: str) -> Obj:
    labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    if not namespace and name in AGGREGATES_TO:
        labels[_AGGREGATE_TO + AGGREGATES_TO[name]] = "true"
    metadata: Obj = {"name": name, "annotations": {AUTOUPDATE: "true"}, "labels": labels}
    return {**metadata, "namespace": namespace} if namespace else metadata


def _role(namespace: str, name: str, rules: Sequence[Rule]) -> Obj:
    return {"metadata": _metadata(namespace, name), "rules": [one.to_wire() for one in rules]}


def _binding(namespace: str, name: str, role_kind: str, role: str, subjects: str) -> Obj:
    binding: Obj = {
        "metadata": _metadata(namespace, name),
        "roleRef": {"apiGroup": GROUP, "kind": role_kind, "name": role},
    }
    if subjects:
        binding["subjects"] = [_subject(text) for text in subjects.split()]
    return binding


def _subject(text: str) -> Obj:
    kind, _, name = text.partition(":")
    if kind == "account":
        namespace, _, account = name.partition("/")
        return {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    return {"apiGroup": GROUP, "kind": kind.capitalize(), "name": name}
