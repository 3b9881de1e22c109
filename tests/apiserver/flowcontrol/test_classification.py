"""Which flow schema of a new cluster a request falls under."""

from __future__ import annotations

import pytest

from apiserver.flowcontrol.classification import read_schemas
from apiserver.flowcontrol.suggested import flow_schemas, priority_levels
from apiserver.request import User
from apiserver.requestinfo import parse_request_info
from tiphys.api.kinds import builtin_registry

AUTHENTICATED = "system:authenticated"
SCHEMAS = read_schemas(flow_schemas())
NODE = User("system:node:n1", ("system:nodes", AUTHENTICATED))
MANAGER = User("system:kube-controller-manager", (AUTHENTICATED,))


def account(namespace: str, name: str) -> User:
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
    return User(f"system:serviceaccount:{namespace}:{name}", groups)


NOBODY = User("system:anonymous", ("system:unauthenticated",))
LEASE = "/apis/coordination.k8s.io/v1/namespaces/a/leases/x"


@pytest.mark.parametrize(
    ("user", "method", "path", "schema", "flow"),
    [
        (User("admin", ("system:masters", AUTHENTICATED)), "DELETE", "/api/v1/pods", "exempt", ""),
        (NOBODY, "GET", "/livez", "probes", ""),
        (
            User("system:anonymous", ("system:unauthenticated",)),
            "GET",
            "/version",
            "global-default",
            "system:anonymous",
        ),
        (MANAGER, "PUT", LEASE, "system-leader-election", MANAGER.name),
        (MANAGER, "DELETE", LEASE, "kube-controller-manager", "a"),
        (MANAGER, "GET", "/api/v1/namespaces/a/pods", "kube-controller-manager", "a"),
        (User("system:kube-scheduler", (AUTHENTICATED,)), "GET", "/api/v1/pods", "kube-scheduler", ""),
        (NODE, "PUT", "/api/v1/nodes/n1/status", "system-node-high", NODE.name),
        (NODE, "PUT", LEASE, "system-node-high", NODE.name),
        (NODE, "GET", "/api/v1/pods", "system-nodes", NODE.name),
        (account("kube-system", "x"), "GET", "/api/v1/namespaces/b/pods", "kube-system-service-accounts", "b"),
        (account("a", "x"), "GET", "/api/v1/pods", "service-accounts", "system:serviceaccount:a:x"),
        (User("jane", (AUTHENTICATED,)), "GET", "/api/v1/pods", "global-default", "jane"),
    ],
)
def test_a_request_falls_under_the_first_schema_that_wants_it(
    user: User, method: str, path: str, schema: str, flow: str
) -> None:
    info = parse_request_info(method, path, {})
    found = next(one for one in SCHEMAS if one.matches(user, info))
    assert (found.name, found.flow(user, info)) == (schema, flow)


def test_the_suggested_objects_are_valid_and_name_levels_that_exist() -> None:
    registry = builtin_registry()
    levels = {one["metadata"]["name"] for one in priority_levels()}
    for plural, objects in (("flowschemas", flow_schemas()), ("prioritylevelconfigurations", priority_levels())):
        info = registry.get("flowcontrol.apiserver.k8s.io", "v1", plural)
        assert info is not None
        for obj in objects:
            assert info.validate(obj) == [], obj["metadata"]["name"]
    assert {one.level for one in SCHEMAS} <= levels
