"""Who may do what in a new cluster: a table written by hand from upstream's documentation of its roles.

The columns are identities, a row is a question; the answer comes through SubjectAccessReview, which asks the same
authorizers as every request.  Security rows G1, G2 and G6.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.apiserver.cluster import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUTHENTICATED = "system:authenticated"
IDENTITIES: dict[str, tuple[str, list[str]]] = {
    "anon": ("system:anonymous", ["system:unauthenticated"]),
    "user": ("somebody", [AUTHENTICATED]),
    "view": ("viewer", [AUTHENTICATED]),
    "edit": ("editor", [AUTHENTICATED]),
    "admin": ("owner", [AUTHENTICATED]),
    "node": ("system:node:n7", ["system:nodes", AUTHENTICATED]),
    "sched": ("system:kube-scheduler", [AUTHENTICATED]),
    "cm": ("system:kube-controller-manager", [AUTHENTICATED]),
    "root": ("kubernetes-admin", ["system:masters", AUTHENTICATED]),
}

# verb, resource.group/subresource or path, where ("ns" has the bindings, "other" has none, "-" is the cluster)
TABLE = """
                                                     anon user view edit admin node sched cm root
get     /healthz                               -     yes  yes  yes  yes  yes   yes  yes   yes yes
get     /version                               -     yes  yes  yes  yes  yes   yes  yes   yes yes
get     /apis/apps/v1                          -     no   yes  yes  yes  yes   yes  yes   yes yes
get     /metrics                               -     no   no   no   no   no    no   no    no  yes
get     /openid/v1/jwks                        -     no   no   no   no   no    no   no    no  yes
create  selfsubjectaccessreviews.authorization.k8s.io - no yes yes yes yes yes yes yes yes
create  subjectaccessreviews.authorization.k8s.io     - no no no no no yes yes yes yes
create  localsubjectaccessreviews.authorization.k8s.io ns no no no no yes yes no no  yes
create  tokenreviews.authentication.k8s.io     -     no   no   no   no   no    yes  yes   yes yes
list    pods                                   ns    no   no   yes  yes  yes   yes  yes   yes yes
list    pods                                   other no   no   no   no   no    yes  yes   yes yes
list    pods                                   -     no   no   no   no   no    yes  yes   yes yes
create  pods                                   ns    no   no   no   yes  yes   yes  no    no  yes
delete  pods                                   ns    no   no   no   yes  yes   yes  yes   no  yes
create  pods/binding                           ns    no   no   no   no   no    no   yes   no  yes
create  pods/exec                              ns    no   no   no   yes  yes   no   no    no  yes
get     pods/exec                              ns    no   no   no   yes  yes   no   no    no  yes
get     pods/log                               ns    no   no   yes  yes  yes   no   no    no  yes
create  pods/eviction                          ns    no   no   no   yes  yes   yes  no    no  yes
patch   pods/status                            ns    no   no   no   no   no    yes  yes   no  yes
update  pods/ephemeralcontainers               ns    no   no   no   no   no    no   no    no  yes
get     secrets                                ns    no   no   no   yes  yes   no   no    yes yes
list    secrets                                -     no   no   no   no   no    no   no    yes yes
get     configmaps                             ns    no   no   yes  yes  yes   no   no    yes yes
update  configmaps                             ns    no   no   no   yes  yes   no   no    no  yes
create  serviceaccounts/token                  ns    no   no   no   yes  yes   yes  no    yes yes
impersonate serviceaccounts                    ns    no   no   no   yes  yes   no   no    no  yes
impersonate users                              -     no   no   no   no   no    no   no    no  yes
get     resourcequotas                         ns    no   no   yes  yes  yes   no   no    no  yes
create  resourcequotas                         ns    no   no   no   no   no    no   no    no  yes
list    nodes                                  -     no   no   no   no   no    yes  yes   yes yes
patch   nodes/status                           -     no   no   no   no   no    yes  no    no  yes
get     nodes/proxy                            -     no   no   no   no   no    no   no    no  yes
delete  nodes                                  -     no   no   no   no   no    no   no    no  yes
delete  namespaces                             ns    no   no   no   no   no    no   no    no  yes
get     namespaces                             ns    no   no   yes  yes  yes   yes  yes   yes yes
update  deployments.apps/scale                 ns    no   no   no   yes  yes   no   no    no  yes
patch   deployments.apps                       ns    no   no   no   yes  yes   no   no    no  yes
update  deployments.apps/status                ns    no   no   no   no   no    no   no    no  yes
list    replicasets.apps                       ns    no   no   yes  yes  yes   no   yes   yes yes
create  rolebindings.rbac.authorization.k8s.io ns    no   no   no   no   yes   no   no    no  yes
bind    clusterroles.rbac.authorization.k8s.io ns    no   no   no   no   no    no   no    no  yes
escalate roles.rbac.authorization.k8s.io       ns    no   no   no   no   no    no   no    no  yes
create  clusterrolebindings.rbac.authorization.k8s.io - no no no no no no no no  yes
create  leases.coordination.k8s.io             ns    no   no   no   yes  yes   no   yes   yes yes
create  leases.coordination.k8s.io kube-node-lease   no   no   no   no   no    yes  yes   yes yes
list    endpointslices.discovery.k8s.io        -     no   no   no   no   no    yes  no    yes yes
create  customresourcedefinitions.apiextensions.k8s.io - no no no no no no no no  yes
sign    signers.certificates.k8s.io            -     no   no   no   no   no    no   no    no  yes
create  events                                 ns    no   no   no   yes  yes   yes  yes   yes yes
"""


def rows() -> list[tuple[str, str, str, dict[str, bool]]]:
    header, *lines = TABLE.strip().splitlines()
    names = header.split()
    assert names == list(IDENTITIES)
    found = []
    for line in lines:
        verb, target, where, *answers = line.split()
        expected = {name: {"yes": True, "no": False}[word] for name, word in zip(names, answers, strict=True)}
        found.append((verb, target, where, expected))
    return found


def question(verb: str, target: str, where: str) -> dict[str, Any]:
    if target.startswith("/"):
        return {"nonResourceAttributes": {"verb": verb, "path": target}}
    whole, _, subresource = target.partition("/")
    resource, _, group = whole.partition(".")
    attributes = {"verb": verb, "resource": resource, "group": group, "subresource": subresource, "version": "v1"}
    return {"resourceAttributes": {**attributes, "namespace": "" if where == "-" else where, "name": ""}}


@pytest.fixture(scope="module")
def asked() -> list[tuple[str, str, str, dict[str, bool]]]:
    return rows()


async def test_every_identity_may_do_exactly_what_the_table_says(
    cluster: Cluster, asked: list[tuple[str, str, str, dict[str, bool]]]
) -> None:
    for namespace in ("ns", "other"):
        await cluster.must("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    for role in ("view", "edit", "admin"):
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
        who = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": IDENTITIES[role][0]}
        body = {"metadata": {"name": role}, "roleRef": reference, "subjects": [who]}
        await cluster.must("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/ns/rolebindings", body)
    wrong = []
    for verb, target, where, expected in asked:
        for identity, allowed in expected.items():
            user, groups = IDENTITIES[identity]
            spec = {**question(verb, target, where), "user": user, "groups": groups}
            review = await cluster.must("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": spec})
            if review["status"]["allowed"] is not allowed:
                wrong.append(f"{identity} {verb} {target} in {where}: {not allowed}, {review['status'].get('reason')}")
    assert wrong == [], "\n".join(wrong)


async def test_a_node_reads_what_its_pods_use_and_not_what_others_use(cluster: Cluster) -> None:
    path = "/api/v1/namespaces/default"
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    for node in ("n7", "n8"):
        await cluster.must("POST", f"{path}/secrets", {"metadata": {"name": f"of-{node}"}})
        await cluster.must(
            "POST", f"{path}/persistentvolumeclaims", {"metadata": {"name": f"of-{node}"}, "spec": claim}
        )
        volumes = [
            {"name": "s", "projected": {"sources": [{"secret": {"name": f"of-{node}"}}]}},
            {"name": "c", "persistentVolumeClaim": {"claimName": f"of-{node}"}},
        ]
        spec = {"containers": [{"name": "c", "image": "i:1"}], "volumes": volumes, "nodeName": node}
        await cluster.must("POST", f"{path}/pods", {"metadata": {"name": f"on-{node}"}, "spec": spec})
    user, groups = IDENTITIES["node"]
    for resource in ("secrets", "persistentvolumeclaims"):
        for name, allowed in (("of-n7", True), ("of-n8", False)):
            attributes = {"verb": "get", "resource": resource, "namespace": "default", "name": name}
            spec = {"resourceAttributes": attributes, "user": user, "groups": groups}
            review = await cluster.must("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": spec})
            assert review["status"]["allowed"] is allowed, (resource, name)
    for name, namespace, allowed in (
        ("n7", "kube-node-lease", True),
        ("n8", "kube-node-lease", False),
        ("n7", "default", False),
    ):
        attributes = {
            "verb": "update",
            "group": "coordination.k8s.io",
            "resource": "leases",
            "namespace": namespace,
            "name": name,
        }
        spec = {"resourceAttributes": attributes, "user": user, "groups": groups}
        review = await cluster.must("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": spec})
        assert review["status"]["allowed"] is allowed, (name, namespace)
