"""The cluster roles every cluster has: upstream's names with upstream's rights, as a table.

What must stay true: the API server makes these at start and adds what is missing, it never takes anything away; the
`tiphys:` roles hold only what our own programs do and upstream's do not (one identity for all controllers, and a node
agent that is its node's service proxy and DNS server as well).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from apiserver.authorization.rules import Rule, path_rule, rule

READ = "get list watch"
_WRITE = "create delete deletecollection patch update"
_ALL = f"{_WRITE} {READ}"
_DRA_READ = rule(READ, "resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates")

EVENTS = rule("create patch update", "core events.k8s.io", "events")
REVIEWS = (
    rule("create", "authentication.k8s.io", "tokenreviews"),
    rule("create", "authorization.k8s.io", "subjectaccessreviews"),
)

ADMIN = (
    rule("create", "authorization.k8s.io", "localsubjectaccessreviews"),
    rule(_ALL, "rbac.authorization.k8s.io", "rolebindings roles"),
)
EDIT = (
    rule(READ, "core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
    rule("impersonate", "core", "serviceaccounts"),
    rule(_WRITE, "core", "pods pods/attach pods/exec pods/portforward pods/proxy"),
    rule("create", "core", "pods/eviction"),
    rule(
        _WRITE,
        "core",
        "configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets "
        "serviceaccounts services services/proxy",
    ),
    rule("create", "core", "serviceaccounts/token"),
    rule(
        _WRITE,
        "apps",
        "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets "
        "statefulsets/scale",
    ),
    rule(_WRITE, "autoscaling", "horizontalpodautoscalers"),
    rule(_WRITE, "batch", "cronjobs jobs"),
    rule(
        _WRITE,
        "extensions",
        "daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies replicasets "
        "replicasets/scale replicationcontrollers/scale",
    ),
    rule(_WRITE, "policy", "poddisruptionbudgets"),
    rule(_WRITE, "networking.k8s.io", "ingresses networkpolicies"),
    rule(_ALL, "coordination.k8s.io", "leases"),
    rule(_WRITE, "resource.k8s.io", "resourceclaims resourceclaimtemplates"),
)
VIEW = (
    rule(
        READ,
        "core",
        "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers "
        "replicationcontrollers/scale serviceaccounts services services/status",
    ),
    rule(
        READ,
        "core",
        "bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status "
        "resourcequotas resourcequotas/status",
    ),
    rule(READ, "core", "namespaces"),
    rule(READ, "discovery.k8s.io", "endpointslices"),
    rule(
        READ,
        "apps",
        "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets "
        "replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status",
    ),
    rule(READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
    rule(READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
    rule(
        READ,
        "extensions",
        "daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses ingresses/status "
        "networkpolicies replicasets replicasets/scale replicasets/status replicationcontrollers/scale",
    ),
    rule(READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
    rule(READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
    _DRA_READ,
)
CONTROLLER_MANAGER = (
    EVENTS,
    rule("create", "coordination.k8s.io", "leases"),
    rule("get update", "coordination.k8s.io", "leases", "kube-controller-manager"),
    rule("create", "core", "secrets serviceaccounts"),
    rule("delete", "core", "secrets"),
    rule("get", "core", "configmaps namespaces secrets serviceaccounts"),
    rule("update", "core", "secrets serviceaccounts"),
    *REVIEWS,
    rule("list watch", "*", "*"),
    rule("create", "core", "serviceaccounts/token"),
)
SCHEDULER = (
    EVENTS,
    rule("create", "coordination.k8s.io", "leases"),
    rule("get update", "coordination.k8s.io", "leases", "kube-scheduler"),
    rule(READ, "core", "nodes"),
    rule(f"delete {READ}", "core", "pods"),
    rule("create", "core", "bindings pods/binding"),
    rule("patch update", "core", "pods/status"),
    rule(READ, "core", "replicationcontrollers services"),
    rule(READ, "apps extensions", "replicasets"),
    rule(READ, "apps", "statefulsets"),
    rule(READ, "policy", "poddisruptionbudgets"),
    rule(READ, "core", "persistentvolumeclaims persistentvolumes"),
    *REVIEWS,
    rule(READ, "storage.k8s.io", "csinodes"),
    rule(READ, "core", "namespaces"),
    rule(READ, "storage.k8s.io", "csidrivers"),
    rule(READ, "storage.k8s.io", "csistoragecapacities"),
    rule(READ, "storage.k8s.io", "volumeattachments"),
    rule(READ, "resource.k8s.io", "deviceclasses"),
    rule(f"patch update {READ}", "resource.k8s.io", "resourceclaims"),
    rule("patch update", "resource.k8s.io", "resourceclaims/status"),
    rule("update", "core", "pods/finalizers"),
    rule(READ, "resource.k8s.io", "resourceslices"),
)
NODE = (
    rule("create", "authentication.k8s.io", "tokenreviews"),
    rule("create", "authorization.k8s.io", "localsubjectaccessreviews subjectaccessreviews"),
    rule(READ, "core", "services"),
    rule(f"create {READ}", "core", "nodes"),
    rule("patch update", "core", "nodes/status"),
    rule("patch update", "core", "nodes"),
    rule("create patch update", "core", "events"),
    rule(READ, "core", "pods"),
    rule("create delete", "core", "pods"),
    rule("patch update", "core", "pods/status"),
    rule("create", "core", "pods/eviction"),
    rule(READ, "core", "configmaps secrets"),
    rule("get", "core", "persistentvolumeclaims persistentvolumes"),
    rule("get", "core", "endpoints"),
    rule(f"create {READ}", "certificates.k8s.io", "certificatesigningrequests"),
    rule("create delete get patch update", "coordination.k8s.io", "leases"),
    rule("get", "storage.k8s.io", "volumeattachments"),
    rule("create", "core", "serviceaccounts/token"),
    rule("get patch update", "core", "persistentvolumeclaims/status"),
    rule(READ, "storage.k8s.io", "csidrivers"),
    rule("create delete get patch update", "storage.k8s.io", "csinodes"),
    rule(READ, "node.k8s.io", "runtimeclasses"),
    rule("get", "resource.k8s.io", "resourceclaims"),
    rule(_ALL, "resource.k8s.io", "resourceslices"),
)
_HEALTH = "/healthz /livez /readyz"
_SIGNERS = "kube-apiserver-client kube-apiserver-client-kubelet kubelet-serving legacy-unknown"


def _approver(signer: str) -> tuple[Rule, ...]:
    return (rule("approve", "certificates.k8s.io", "signers", f"kubernetes.io/{signer}"),)


CLUSTER_ROLES: Mapping[str, Sequence[Rule]] = {
    "cluster-admin": (rule("*", "*", "*"), path_rule("*", "*")),
    "system:aggregate-to-admin": ADMIN,
    "system:aggregate-to-edit": EDIT,
    "system:aggregate-to-view": VIEW,
    "system:auth-delegator": REVIEWS,
    "system:basic-user": (
        rule("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
        rule("create", "authentication.k8s.io", "selfsubjectreviews"),
    ),
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient": (
        rule("create", "certificates.k8s.io", "certificatesigningrequests/nodeclient"),
    ),
    "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient": (
        rule("create", "certificates.k8s.io", "certificatesigningrequests/selfnodeclient"),
    ),
    **{f"system:certificates.k8s.io:{signer}-approver": _approver(signer) for signer in _SIGNERS.split()},
    "system:discovery": (
        path_rule("get", f"/api /api/* /apis /apis/* {_HEALTH} /openapi /openapi/* /version /version/"),
    ),
    "system:heapster": (
        rule(READ, "core", "events namespaces nodes pods"),
        rule(READ, "extensions", "deployments"),
    ),
    "system:kube-aggregator": (rule(READ, "core", "endpoints services"),),
    "system:kube-controller-manager": CONTROLLER_MANAGER,
    "system:kube-dns": (rule("list watch", "core", "endpoints services"),),
    "system:kube-scheduler": SCHEDULER,
    "system:kubelet-api-admin": (
        rule(READ, "core", "nodes"),
        rule("proxy", "core", "nodes"),
        rule("*", "core", "nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy nodes/stats"),
    ),
    "system:monitoring": (
        path_rule("get", "/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*"),
    ),
    "system:node": NODE,
    "system:node-bootstrapper": (rule(f"create {READ}", "certificates.k8s.io", "certificatesigningrequests"),),
    "system:node-problem-detector": (
        rule("get", "core", "nodes"),
        rule("patch", "core", "nodes/status"),
        EVENTS,
    ),
    "system:node-proxier": (
        rule("list watch", "core", "endpoints services"),
        rule(READ, "core", "nodes"),
        EVENTS,
        rule("list watch", "discovery.k8s.io", "endpointslices"),
        rule("list watch", "networking.k8s.io", "servicecidrs"),
    ),
    "system:persistent-volume-provisioner": (
        rule(f"create delete {READ}", "core", "persistentvolumes"),
        rule("get list update watch", "core", "persistentvolumeclaims"),
        rule(READ, "storage.k8s.io", "storageclasses"),
        rule("watch", "core", "events"),
        EVENTS,
    ),
    "system:public-info-viewer": (path_rule("get", f"{_HEALTH} /version /version/"),),
    "system:service-account-issuer-discovery": (path_rule("get", "/.well-known/openid-configuration /openid/v1/jwks"),),
    "system:volume-scheduler": (
        rule(f"patch update {READ}", "core", "persistentvolumes"),
        rule(READ, "storage.k8s.io", "storageclasses"),
        rule(f"patch update {READ}", "core", "persistentvolumeclaims"),
    ),
    # What the controllers' shared caches need; each writes as its own account (controllerroles.py).  No get: on
    # everything it would be exec and proxy too.
    "tiphys:controllers": (rule("list watch", "*", "*"), EVENTS),
    "tiphys:node-agent": (
        EVENTS,
        rule(READ, "core", "endpoints namespaces serviceaccounts"),
        rule(READ, "discovery.k8s.io", "endpointslices"),
        rule(READ, "networking.k8s.io", "ingressclasses ingresses networkpolicies"),
        rule("list watch", "coordination.k8s.io", "leases"),
        rule(READ, "storage.k8s.io", "csinodes volumeattachments"),
    ),
    "tiphys:scheduler": (rule(READ, "scheduling.k8s.io", "priorityclasses"),),
}

AGGREGATED: Mapping[str, str] = {"admin": "admin", "edit": "edit", "view": "view"}
"""Cluster role -> the X of rbac.authorization.k8s.io/aggregate-to-X that its rules come from."""

AGGREGATES_TO: Mapping[str, str] = {
    "system:aggregate-to-admin": "admin",
    "system:aggregate-to-edit": "edit",
    "system:aggregate-to-view": "view",
    "edit": "admin",
    "view": "edit",
}
