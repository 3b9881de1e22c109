"""Who may do what: certificates, tokens, strangers."""

from __future__ import annotations

import asyncio

import pytest

from tests.apiserver.cluster import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

PODS = "/api/v1/namespaces/default/pods"


async def test_a_stranger_sees_health_and_version_and_nothing_else(cluster: Cluster) -> None:
    for path in ("/version", "/livez", "/readyz", "/healthz"):
        assert (await cluster.request("GET", path, identity="")).status == 200, path
    refused = await cluster.request("GET", PODS, identity="")
    assert refused.status == 403
    assert refused.json["message"] == (
        'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" '
        'in the namespace "default"'
    )
    assert (await cluster.request("GET", "/api", identity="")).status == 403
    path = await cluster.request("GET", "/metrics", identity="")
    assert path.json["message"] == 'forbidden: User "system:anonymous" cannot get path "/metrics"'


async def test_a_bad_credential_is_401_and_never_a_stranger(cluster: Cluster) -> None:
    for value in ("Bearer nonsense", "Bearer a.b.c", "Basic Zm9vOmJhcg=="):
        answer = await cluster.request("GET", "/version", identity="", headers={"Authorization": value})
        assert answer.status == 401 and answer.json["reason"] == "Unauthorized"


async def test_a_token_works_until_its_account_is_gone(cluster: Cluster) -> None:
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    await cluster.must("POST", accounts, {"metadata": {"name": "robot"}})
    made = await cluster.must("POST", f"{accounts}/robot/token", {"spec": {"expirationSeconds": 600}})
    bearer = {"Authorization": f"Bearer {made['status']['token']}"}
    who = await cluster.must(
        "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, identity="", headers=bearer
    )
    assert who["status"]["userInfo"]["username"] == "system:serviceaccount:default:robot"
    assert "system:serviceaccounts:default" in who["status"]["userInfo"]["groups"]
    assert (await cluster.request("GET", "/apis", identity="", headers=bearer)).status == 200
    assert (await cluster.request("GET", PODS, identity="", headers=bearer)).status == 403
    review = {"spec": {"token": made["status"]["token"]}}
    known = await cluster.must("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review)
    assert known["status"]["authenticated"]
    short = await cluster.request("POST", f"{accounts}/robot/token", {"spec": {"expirationSeconds": 60}})
    assert short.status == 422
    await cluster.must("DELETE", f"{accounts}/robot")
    deadline = asyncio.get_running_loop().time() + 5
    while (await cluster.request("GET", "/apis", identity="", headers=bearer)).status != 401:
        assert asyncio.get_running_loop().time() < deadline


async def test_a_node_touches_only_what_is_its_own(cluster: Cluster) -> None:
    node = {"identity": "node-n1"}
    await cluster.must("POST", "/api/v1/nodes", {"metadata": {"name": "n1"}}, **node)
    other = await cluster.request("POST", "/api/v1/nodes", {"metadata": {"name": "n2"}}, **node)
    assert other.status == 403 and 'node "n1" is not allowed to modify node "n2"' in other.json["message"]
    await cluster.must("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": "mine"}})
    secret = "/api/v1/namespaces/default/secrets/mine"
    assert (await cluster.request("GET", secret, **node)).status == 403
    volumes = [{"name": "v", "secret": {"secretName": "mine"}}]
    spec = {"containers": [{"name": "c", "image": "i:1"}], "volumes": volumes, "nodeName": "n1"}
    await cluster.must("POST", PODS, {"metadata": {"name": "uses-it"}, "spec": spec})
    assert (await cluster.request("GET", secret, **node)).status == 200
    assert (await cluster.request("GET", "/api/v1/secrets", **node)).status == 403
    assert (await cluster.request("DELETE", f"{PODS}/uses-it", {"gracePeriodSeconds": 0}, **node)).status == 200


async def test_access_reviews_answer_as_the_authorizer_would(cluster: Cluster) -> None:
    attributes = {"verb": "list", "resource": "pods", "namespace": "default"}
    path = "/apis/authorization.k8s.io/v1"
    mine = await cluster.must("POST", f"{path}/selfsubjectaccessreviews", {"spec": {"resourceAttributes": attributes}})
    assert mine["status"]["allowed"] is True
    spec = {"user": "system:anonymous", "groups": ["system:unauthenticated"], "resourceAttributes": attributes}
    theirs = await cluster.must("POST", f"{path}/subjectaccessreviews", {"spec": spec})
    assert theirs["status"]["allowed"] is False


async def test_every_answer_carries_an_audit_id(cluster: Cluster) -> None:
    given = await cluster.request("GET", "/version", headers={"Audit-ID": "my-id"})
    assert given.headers["Audit-Id"] == "my-id"
    odd = await cluster.request("GET", "/version", headers={"Audit-ID": "not valid!"})
    assert len(odd.headers["Audit-Id"]) == 36


async def test_an_administrator_acts_as_somebody_else_and_others_may_not(cluster: Cluster) -> None:
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    as_robot = {"Impersonate-User": "system:serviceaccount:default:default"}
    who = await cluster.must("POST", path, {}, headers=as_robot)
    assert who["status"]["userInfo"]["groups"] == [
        "system:serviceaccounts",
        "system:serviceaccounts:default",
        "system:authenticated",
    ]
    assert (await cluster.request("GET", PODS, headers=as_robot)).status == 403
    refused = await cluster.request("POST", path, {}, identity="node-n1", headers={"Impersonate-User": "admin"})
    assert refused.status == 403
    assert 'User "system:node:n1" cannot impersonate resource "users"' in refused.json["message"]
    groups_only = await cluster.request("GET", PODS, headers={"Impersonate-Group": "g"})
    assert groups_only.status == 400
