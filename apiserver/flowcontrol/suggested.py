"""The flow schemas and priority levels every cluster starts with: upstream's, `exempt` and `catch-all` among them.

What must stay true: the mandatory ones are there again as soon as somebody has deleted them.
"""

from __future__ import annotations

from typing import Any

Obj = dict[str, Any]

GROUP, VERSION = "flowcontrol.apiserver.k8s.io", "v1"
SCHEMAS, LEVELS = "flowschemas", "prioritylevelconfigurations"
EXEMPT, CATCH_ALL = "exempt", "catch-all"
MANDATORY = frozenset({EXEMPT, CATCH_ALL})
AUTOUPDATE = {"apf.kubernetes.io/autoupdate-spec": "true"}
_EVERYBODY = ("system:authenticated", "system:unauthenticated")


def _level(name: str, shares: int, lendable: int, queues: int = 0, hand: int = 0) -> Obj:
    response: Obj = {"type": "Reject"}
    if queues:
        response = {"type": "Queue", "queuing": {"queues": queues, "handSize": hand, "queueLengthLimit": 50}}
    limited = {"nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response}
    return _object(name, {"type": "Limited", "limited": limited})


def _object(name: str, spec: Obj) -> Obj:
    return {"metadata": {"name": name, "annotations": dict(AUTOUPDATE)}, "spec": spec}


def _user(name: str) -> Obj:
    return {"kind": "User", "user": {"name": name}}


def _group(name: str) -> Obj:
    return {"kind": "Group", "group": {"name": name}}


def _account(namespace: str, name: str) -> Obj:
    return {"kind": "ServiceAccount", "serviceAccount": {"namespace": namespace, "name": name}}


def _rule(verbs: list[str], group: str, *resources: str, cluster: bool = False, namespaces: bool = True) -> Obj:
    rule: Obj = {"verbs": verbs, "apiGroups": [group], "resources": list(resources)}
    return rule | ({"clusterScope": True} if cluster else {}) | ({"namespaces": ["*"]} if namespaces else {})


_ALL_RESOURCES = _rule(["*"], "*", "*", cluster=True)
_ALL_PATHS = {"verbs": ["*"], "nonResourceURLs": ["*"]}
_LEASES = _rule(["get", "create", "update"], "coordination.k8s.io", "leases")


def _schema(
    name: str,
    precedence: int,
    level: str,
    distinguisher: str,
    subjects: list[Obj],
    resources: list[Obj] | None = None,
    paths: list[Obj] | None = None,
) -> Obj:
    """`resources` and `paths` None: everything."""
    rule: Obj = {"subjects": subjects}
    if resources is None and paths is None:
        resources, paths = [_ALL_RESOURCES], [_ALL_PATHS]
    rule |= ({"resourceRules": resources} if resources else {}) | ({"nonResourceRules": paths} if paths else {})
    spec: Obj = {
        "matchingPrecedence": precedence,
        "priorityLevelConfiguration": {"name": level},
        "rules": [rule],
    }
    return _object(name, spec | ({"distinguisherMethod": {"type": distinguisher}} if distinguisher else {}))


def priority_levels() -> list[Obj]:
    return [
        _object(EXEMPT, {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}),
        _level(CATCH_ALL, 5, 0),
        _level("system", 30, 33, 64, 6),
        _level("node-high", 40, 25, 64, 6),
        _level("leader-election", 10, 0, 16, 4),
        _level("workload-high", 40, 50, 128, 6),
        _level("workload-low", 100, 90, 128, 6),
        _level("global-default", 20, 50, 128, 6),
    ]


def flow_schemas() -> list[Obj]:
    everybody, nodes = [_group(name) for name in _EVERYBODY], [_group("system:nodes")]
    manager, scheduler = _user("system:kube-controller-manager"), _user("system:kube-scheduler")
    accounts = _account("kube-system", "*")
    endpoints = [_rule(["get", "create", "update"], "", "endpoints")]
    probes = [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}]
    node_high = [
        _rule(["*"], "", "nodes", "nodes/status", cluster=True, namespaces=False),
        _rule(["*"], "coordination.k8s.io", "leases"),
    ]
    return [
        _schema(EXEMPT, 1, EXEMPT, "", [_group("system:masters")]),
        _schema("probes", 2, EXEMPT, "", everybody, None, probes),
        _schema("system-leader-election", 100, "leader-election", "ByUser", [manager, scheduler, accounts], [_LEASES]),
        _schema("endpoint-controller", 150, "workload-high", "ByUser", [manager, accounts], endpoints),
        _schema("workload-leader-election", 200, "leader-election", "ByUser", [accounts], [_LEASES]),
        _schema("system-node-high", 400, "node-high", "ByUser", nodes, node_high),
        _schema("system-nodes", 500, "system", "ByUser", nodes),
        _schema("kube-controller-manager", 800, "workload-high", "ByNamespace", [manager]),
        _schema("kube-scheduler", 800, "workload-high", "ByNamespace", [scheduler]),
        _schema("kube-system-service-accounts", 900, "workload-high", "ByNamespace", [accounts]),
        _schema("service-accounts", 9000, "workload-low", "ByUser", [_group("system:serviceaccounts")]),
        _schema("global-default", 9900, "global-default", "ByUser", everybody),
        _schema(CATCH_ALL, 10000, CATCH_ALL, "ByUser", everybody),
    ]
