"""The rights a new cluster starts with: upstream's bootstrap policy for the identities that `tiphys up` creates.

What must stay true: names and rights are upstream's roles of the same names.  The controller manager is wider than
upstream's role of that name because its controllers share its identity instead of using one service account each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from apiserver.authorization.rules import Rule, path_rule, rule

_READ = "get list watch"

DISCOVERY = (
    path_rule("get head", "/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", "/version", "/version/"),
    path_rule("get head", "/healthz", "/livez", "/readyz", "/healthz/*", "/livez/*", "/readyz/*"),
)
PUBLIC_INFO = (
    path_rule(
        "get head", "/healthz", "/livez", "/readyz", "/healthz/*", "/livez/*", "/readyz/*", "/version", "/version/"
    ),
)
BASIC_USER = (
    rule("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
    rule("create", "authentication.k8s.io", "selfsubjectreviews"),
)
_DELEGATION = (
    rule("create", "authentication.k8s.io", "tokenreviews"),
    rule("create", "authorization.k8s.io", "subjectaccessreviews"),
)
_EVENTS = rule("create patch update", "core events.k8s.io", "events")

CONTROLLER_MANAGER = (
    *_DELEGATION,
    rule("*", "*", "*"),
    path_rule("get head", "/metrics"),
)
SCHEDULER = (
    *_DELEGATION,
    _EVENTS,
    rule(f"create update patch {_READ}", "coordination.k8s.io", "leases"),
    rule(_READ, "core", "nodes namespaces services replicationcontrollers persistentvolumes persistentvolumeclaims"),
    rule(f"delete {_READ}", "core", "pods"),
    rule("create", "core", "bindings pods/binding"),
    rule("patch update", "core", "pods/status"),
    rule(_READ, "apps", "replicasets statefulsets"),
    rule(_READ, "policy", "poddisruptionbudgets"),
    rule(_READ, "storage.k8s.io", "csinodes csidrivers csistoragecapacities storageclasses volumeattachments"),
    rule(_READ, "resource.k8s.io", "deviceclasses resourceclaims resourceslices"),
    rule(_READ, "scheduling.k8s.io", "priorityclasses"),
)
NODE = (
    *_DELEGATION,
    _EVENTS,
    rule(_READ, "core", "services endpoints"),
    rule(_READ, "discovery.k8s.io", "endpointslices"),
    rule(f"create patch update {_READ}", "core", "nodes"),
    rule("patch update", "core", "nodes/status"),
    rule(f"create delete {_READ}", "core", "pods"),
    rule("patch update", "core", "pods/status"),
    rule("create", "core", "pods/eviction"),
    rule("get", "core", "persistentvolumeclaims persistentvolumes namespaces"),
    rule(_READ, "core", "namespaces serviceaccounts"),
    rule("create", "core", "serviceaccounts/token"),
    rule(f"create delete patch update {_READ}", "coordination.k8s.io", "leases", namespace="kube-node-lease"),
    rule(f"create {_READ}", "certificates.k8s.io", "certificatesigningrequests"),
    rule(_READ, "networking.k8s.io", "networkpolicies"),
    rule(_READ, "node.k8s.io", "runtimeclasses"),
    rule(_READ, "storage.k8s.io", "csidrivers csinodes volumeattachments"),
)

USERS: Mapping[str, Sequence[Rule]] = {
    "system:kube-controller-manager": CONTROLLER_MANAGER,
    "system:kube-scheduler": SCHEDULER,
}
GROUPS: Mapping[str, Sequence[Rule]] = {
    "system:authenticated": (*DISCOVERY, *BASIC_USER, *PUBLIC_INFO),
    "system:unauthenticated": PUBLIC_INFO,
    "system:nodes": NODE,
}
