"""RBAC through the front door: what objects allow, how fast they stop, and what nobody may hand out."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.apiserver.cluster import Answer, Cluster, running_cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

RBAC = "/apis/rbac.authorization.k8s.io/v1"
SELF_RULES = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
SELF_ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def user(name: str, *groups: str) -> dict[str, str]:
    """Impersonation headers; one group is enough for what is tested here."""
    return {"Impersonate-User": name, **({"Impersonate-Group": groups[0]} if groups else {})}


def subject(name: str, kind: str = "User") -> dict[str, str]:
    return {"kind": kind, "name": name, "apiGroup": "rbac.authorization.k8s.io"}


async def make_role(cluster: Cluster, name: str, rules: list[dict[str, Any]], namespace: str = "default") -> None:
    path = f"{RBAC}/namespaces/{namespace}/roles" if namespace else f"{RBAC}/clusterroles"
    await cluster.must("POST", path, {"metadata": {"name": name}, "rules": rules})


async def bind(cluster: Cluster, name: str, role: str, who: dict[str, str], namespace: str = "default") -> None:
    kind = "Role" if namespace else "ClusterRole"
    path = f"{RBAC}/namespaces/{namespace}/rolebindings" if namespace else f"{RBAC}/clusterrolebindings"
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}
    await cluster.must("POST", path, {"metadata": {"name": name}, "roleRef": reference, "subjects": [who]})


async def becomes(cluster: Cluster, status: int, method: str, path: str, headers: dict[str, str]) -> Answer:
    """The answer, once it has that status; RBAC follows the watch cache, so within a second."""
    deadline = asyncio.get_running_loop().time() + 1
    while True:
        answer = await cluster.request(method, path, headers=headers)
        if answer.status == status:
            return answer
        assert asyncio.get_running_loop().time() < deadline, f"{method} {path}: {answer.status} {answer.body.decode()}"


PODS = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]


async def test_a_role_counts_where_it_is_bound_and_stops_when_the_binding_goes(cluster: Cluster) -> None:
    anna = user("anna")
    pods = "/api/v1/namespaces/default/pods"
    assert (await cluster.request("GET", pods, headers=anna)).status == 403
    await make_role(cluster, "reader", PODS)
    await bind(cluster, "anna-reads", "reader", subject("anna"))
    await becomes(cluster, 200, "GET", pods, anna)
    assert (await cluster.request("GET", "/api/v1/namespaces/kube-system/pods", headers=anna)).status == 403
    assert (await cluster.request("GET", "/api/v1/pods", headers=anna)).status == 403
    assert (await cluster.request("GET", "/api/v1/namespaces/default/secrets", headers=anna)).status == 403
    await cluster.must("DELETE", f"{RBAC}/namespaces/default/rolebindings/anna-reads")
    await becomes(cluster, 403, "GET", pods, anna)
    await bind(cluster, "anna-again", "reader", subject("anna"))
    await becomes(cluster, 200, "GET", pods, anna)
    await cluster.must("PUT", f"{RBAC}/namespaces/default/roles/reader", {"metadata": {"name": "reader"}, "rules": []})
    await becomes(cluster, 403, "GET", pods, anna)


async def test_a_cluster_role_may_be_bound_everywhere_or_in_one_namespace(cluster: Cluster) -> None:
    await make_role(cluster, "node-reader", [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}], "")
    await bind(cluster, "group-reads-nodes", "node-reader", subject("watchers", "Group"), "")
    await becomes(cluster, 200, "GET", "/api/v1/nodes", user("bert", "watchers"))
    assert (await cluster.request("GET", "/api/v1/nodes", headers=user("bert", "others"))).status == 403
    account = {"kind": "ServiceAccount", "name": "robot", "namespace": "kube-system"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    binding = {"metadata": {"name": "robot-views"}, "roleRef": reference, "subjects": [account]}
    await cluster.must("POST", f"{RBAC}/namespaces/default/rolebindings", binding)
    robot = user("system:serviceaccount:kube-system:robot")
    await becomes(cluster, 200, "GET", "/api/v1/namespaces/default/configmaps", robot)
    assert (await cluster.request("GET", "/api/v1/namespaces/default/secrets", headers=robot)).status == 403
    assert (await cluster.request("GET", "/api/v1/namespaces/kube-system/configmaps", headers=robot)).status == 403


async def test_a_binding_to_a_role_that_is_not_there_says_so(cluster: Cluster) -> None:
    await bind(cluster, "dangling", "nowhere", subject("carl"))
    refused = await becomes(cluster, 403, "GET", "/api/v1/namespaces/default/pods", user("carl"))
    deadline = asyncio.get_running_loop().time() + 1
    text = ': RBAC: role.rbac.authorization.k8s.io "nowhere" not found'
    while text not in refused.json["message"]:
        assert asyncio.get_running_loop().time() < deadline, refused.json["message"]
        refused = await cluster.request("GET", "/api/v1/namespaces/default/pods", headers=user("carl"))


async def test_nobody_grants_more_than_they_have(cluster: Cluster) -> None:
    verbs = ["get", "list", "create", "update", "patch"]
    manage = [{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": verbs}]
    await make_role(cluster, "manager", [*PODS, *manage])
    await bind(cluster, "dora-manages", "manager", subject("dora"))
    dora = user("dora")
    roles, bindings = (f"{RBAC}/namespaces/default/{plural}" for plural in ("roles", "rolebindings"))
    await becomes(cluster, 200, "GET", roles, dora)
    within = {"metadata": {"name": "within"}, "rules": PODS}
    assert (await cluster.request("POST", roles, within, headers=dora)).status == 201, "the control"
    beyond = {"metadata": {"name": "beyond"}, "rules": [{**PODS[0], "verbs": ["get", "delete", "create"]}]}
    refused = await cluster.request("POST", roles, beyond, headers=dora)
    assert refused.status == 403
    assert refused.json["message"] == (
        'roles.rbac.authorization.k8s.io "beyond" is forbidden: user "dora" (groups=["system:authenticated"]) is '
        "attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["pods"], Verbs:["delete" "create"]}'
    )
    widened = {**within, "rules": [{**PODS[0], "verbs": ["*"]}]}
    assert (await cluster.request("PUT", f"{roles}/within", widened, headers=dora)).status == 403
    patched = await cluster.request(
        "PATCH", f"{roles}/within", widened, headers=dora, content_type="application/merge-patch+json"
    )
    assert patched.status == 403
    applied = json.dumps({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", **widened}).encode()
    path = f"{roles}/within?fieldManager=x&force=true"
    apply = await cluster.request("PATCH", path, applied, headers=dora, content_type="application/apply-patch+yaml")
    assert apply.status == 403

    def binding(name: str, kind: str, role: str) -> dict[str, Any]:
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}
        return {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject("dora")]}

    assert (await cluster.request("POST", bindings, binding("own", "Role", "within"), headers=dora)).status == 201
    grab = await cluster.request("POST", bindings, binding("grab", "ClusterRole", "cluster-admin"), headers=dora)
    assert grab.status == 403
    assert 'rolebindings.rbac.authorization.k8s.io "grab" is forbidden: user "dora"' in grab.json["message"]
    absent = await cluster.request("POST", bindings, binding("absent", "ClusterRole", "no-such"), headers=dora)
    assert absent.status == 404
    assert absent.json["message"] == 'clusterroles.rbac.authorization.k8s.io "no-such" not found'


async def test_escalate_and_bind_are_rights_of_their_own(cluster: Cluster) -> None:
    rules = [
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["create", "escalate"]},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["rolebindings"], "verbs": ["create"]},
        {
            "apiGroups": ["rbac.authorization.k8s.io"],
            "resources": ["clusterroles"],
            "resourceNames": ["edit"],
            "verbs": ["bind"],
        },
    ]
    await make_role(cluster, "trusted", rules)
    await bind(cluster, "emil-is-trusted", "trusted", subject("emil"))
    emil = user("emil")
    await cluster.must(
        "POST", f"{RBAC}/namespaces/default/roles", {"metadata": {"name": "any"}, "rules": PODS}, headers=emil
    )
    for role, status in (("edit", 201), ("admin", 403)):
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
        body = {"metadata": {"name": f"emil-{role}"}, "roleRef": reference, "subjects": [subject("emil")]}
        answer = await cluster.request("POST", f"{RBAC}/namespaces/default/rolebindings", body, headers=emil)
        assert answer.status == status, answer.body


async def test_aggregation_is_for_those_who_have_everything(cluster: Cluster) -> None:
    await make_role(cluster, "role-maker", [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["create", "get"]}], "")
    await bind(cluster, "fritz-makes", "role-maker", subject("fritz"), "")
    await becomes(cluster, 200, "GET", f"{RBAC}/clusterroles/view", user("fritz"))
    rule = {"clusterRoleSelectors": [{"matchLabels": {"x": "y"}}]}
    body = {"metadata": {"name": "collects"}, "rules": [], "aggregationRule": rule}
    refused = await cluster.request("POST", f"{RBAC}/clusterroles", body, headers=user("fritz"))
    assert refused.status == 403
    assert refused.json["message"].endswith("must have cluster-admin privileges to use the aggregationRule")
    await cluster.must("POST", f"{RBAC}/clusterroles", body)
    part = {"metadata": {"name": "part", "labels": {"x": "y"}}, "rules": PODS}
    await cluster.must("POST", f"{RBAC}/clusterroles", part)
    deadline = asyncio.get_running_loop().time() + 5
    while (await cluster.must("GET", f"{RBAC}/clusterroles/collects")).get("rules") != PODS:
        assert asyncio.get_running_loop().time() < deadline


async def test_the_default_roles_are_complete_before_the_first_request(cluster: Cluster) -> None:
    view, edit, admin = [
        (await cluster.must("GET", f"{RBAC}/clusterroles/{name}"))["rules"] for name in ("view", "edit", "admin")
    ]
    assert len(view) < len(edit) < len(admin)
    assert all(rule in admin for rule in [*view, *edit])
    assert not any("secrets" in rule.get("resources", []) for rule in view)
    for name in ("cluster-admin", "system:discovery", "system:node", "system:kube-scheduler", "system:auth-delegator"):
        role = await cluster.must("GET", f"{RBAC}/clusterroles/{name}")
        assert role["metadata"]["annotations"] == {"rbac.authorization.kubernetes.io/autoupdate": "true"}


async def test_a_restart_puts_back_what_was_taken_from_a_default_role(tmp_path: Path) -> None:
    path = f"{RBAC}/clusterroles/system:basic-user"
    binding = f"{RBAC}/clusterrolebindings/system:discovery"
    async with running_cluster(tmp_path) as cluster:
        before = await cluster.must("GET", path)
        mine = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}
        await cluster.must("PUT", path, {**before, "rules": [mine]})
        await cluster.must("DELETE", binding)
    async with running_cluster(tmp_path) as cluster:
        rules = (await cluster.must("GET", path))["rules"]
        assert mine in rules and len(rules) == 1 + 3, "one rule per right that was missing"
        assert (await cluster.must("GET", binding))["roleRef"]["name"] == "system:discovery"


async def test_reviews_list_and_explain_what_rbac_allows(cluster: Cluster) -> None:
    await make_role(cluster, "lister", PODS)
    await bind(cluster, "gerd-lists", "lister", subject("gerd"))
    await becomes(cluster, 200, "GET", "/api/v1/namespaces/default/pods", user("gerd"))
    rules = await cluster.must("POST", SELF_RULES, {"spec": {"namespace": "default"}}, headers=user("gerd"))
    assert {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]} in rules["status"]["resourceRules"]
    assert any("/api/*" in rule["nonResourceURLs"] for rule in rules["status"]["nonResourceRules"])
    assert rules["status"]["incomplete"] is False
    spec = {"user": "gerd", "resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "default"}}
    review = await cluster.must("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": spec})
    assert review["status"] == {
        "allowed": True,
        "reason": 'RBAC: allowed by RoleBinding "gerd-lists/default" of Role "lister" to User "gerd"',
    }
    local = "/apis/authorization.k8s.io/v1/namespaces/{}/localsubjectaccessreviews"
    assert (await cluster.must("POST", local.format("default"), {"spec": spec}))["status"]["allowed"]
    assert (await cluster.request("POST", local.format("kube-system"), {"spec": spec})).status == 400
    assert (await cluster.request("POST", SELF_RULES, {"spec": {}})).status == 400
    node = await cluster.must("POST", SELF_RULES, {"spec": {"namespace": "default"}}, identity="node-n1")
    assert node["status"]["incomplete"] is True
    both = {"resourceAttributes": {"verb": "get"}, "nonResourceAttributes": {"path": "/"}}
    assert (await cluster.request("POST", SELF_ACCESS, {"spec": both})).status == 422


async def test_impersonation_asks_for_every_part_of_the_other_identity(cluster: Cluster) -> None:
    rules = [
        {"apiGroups": [""], "resources": ["users"], "resourceNames": ["hans"], "verbs": ["impersonate"]},
        {"apiGroups": [""], "resources": ["groups"], "resourceNames": ["devs"], "verbs": ["impersonate"]},
        {
            "apiGroups": ["authentication.k8s.io"],
            "resources": ["uids"],
            "resourceNames": ["7"],
            "verbs": ["impersonate"],
        },
        {
            "apiGroups": ["authentication.k8s.io"],
            "resources": ["userextras/scopes"],
            "resourceNames": ["view"],
            "verbs": ["impersonate"],
        },
    ]
    await make_role(cluster, "actor", rules, "")
    account = {"kind": "ServiceAccount", "name": "default", "namespace": "default"}
    await bind(cluster, "actor", "actor", account, "")
    tokens = "/api/v1/namespaces/default/serviceaccounts/default/token"
    token = (await cluster.must("POST", tokens, {"spec": {}}))["status"]["token"]
    review = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    whole = {
        "Authorization": f"Bearer {token}",
        "Impersonate-User": "hans",
        "Impersonate-Group": "devs",
        "Impersonate-Uid": "7",
        "Impersonate-Extra-Scopes": "view",
    }
    who = await cluster.must("POST", review, {}, identity="", headers=whole)
    assert who["status"]["userInfo"] == {
        "username": "hans",
        "uid": "7",
        "groups": ["devs", "system:authenticated"],
        "extra": {"scopes": ["view"]},
    }
    for header, value, resource in (
        ("Impersonate-User", "root", "users"),
        ("Impersonate-Group", "system:masters", "groups"),
        ("Impersonate-Uid", "8", "uids"),
        ("Impersonate-Extra-Scopes", "admin", "userextras/scopes"),
        ("Impersonate-Extra-Other", "view", "userextras/other"),
    ):
        refused = await cluster.request("POST", review, {}, identity="", headers={**whole, header: value})
        assert refused.status == 403, header
        assert f'cannot impersonate resource "{resource}"' in refused.json["message"]


async def test_kubectl_auth_asks_lists_and_reconciles(cluster: Cluster) -> None:
    assert await cluster.kubectl("auth", "can-i", "create", "deployments.apps") == (0, "yes\n", "")
    code, out, _ = await cluster.kubectl("auth", "can-i", "list", "secrets", "--as", "nobody")
    assert (code, out) == (1, "no\n")
    code, out, error = await cluster.kubectl("auth", "can-i", "--list", "--as", "nobody")
    assert code == 0 and "selfsubjectreviews.authentication.k8s.io" in out, error
    code, out, _ = await cluster.kubectl("auth", "can-i", "--list")
    assert code == 0 and "*.*" in out
    code, out, _ = await cluster.kubectl("auth", "whoami", "-o", "json")
    assert code == 0 and json.loads(out)["status"]["userInfo"]["username"] == "kubernetes-admin"
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "reconciled", "namespace": "default"},
        "rules": PODS,
    }
    for rules in (PODS, [{**PODS[0], "verbs": ["get", "list", "watch"]}]):
        manifest = json.dumps({**role, "rules": rules})
        code, out, error = await cluster.kubectl("auth", "reconcile", "-f", "-", stdin=manifest)
        assert code == 0 and "role.rbac.authorization.k8s.io/reconciled reconciled" in out, error
    found = await cluster.must("GET", f"{RBAC}/namespaces/default/roles/reconciled")
    assert {verb for rule in found["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}
    for words in (
        ("create", "role", "made", "--verb=get", "--resource=pods"),
        ("create", "rolebinding", "made", "--role=made", "--user=x"),
        ("create", "clusterrole", "made", "--verb=get", "--non-resource-url=/x"),
        ("create", "clusterrolebinding", "made", "--clusterrole=made", "--group=x"),
    ):
        code, out, error = await cluster.kubectl(*words)
        assert code == 0, error
