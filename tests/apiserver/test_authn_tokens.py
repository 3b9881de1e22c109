"""Service account tokens: what makes one, what it is bound to, and every forgery that must not work."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.apiserver.cluster import Cluster
from tiphys.api.times import parse_time
from tiphys.clock import SystemClock

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEFAULT = "/api/v1/namespaces/default"
ISSUER = "https://kubernetes.default.svc.cluster.local"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def account(cluster: Cluster, name: str) -> dict[str, Any]:
    made: dict[str, Any] = await cluster.must("POST", f"{DEFAULT}/serviceaccounts", {"metadata": {"name": name}})
    return made


async def token_for(cluster: Cluster, name: str, spec: dict[str, Any] | None = None) -> str:
    answer = await cluster.must("POST", f"{DEFAULT}/serviceaccounts/{name}/token", {"spec": spec or {}})
    token: str = answer["status"]["token"]
    return token


async def status_with(cluster: Cluster, token: str) -> int:
    return (await cluster.request("GET", "/apis", identity="", headers=bearer(token))).status


async def becomes_worthless(cluster: Cluster, token: str) -> None:
    deadline = asyncio.get_running_loop().time() + 5
    while await status_with(cluster, token) != 401:
        assert asyncio.get_running_loop().time() < deadline, "the token still works"


def claims_of(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def key_of(cluster: Cluster) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key((cluster.data_dir / "pki" / "sa.key").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def encoded(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


async def test_a_forged_token_is_401_and_the_real_one_beside_it_works(cluster: Cluster) -> None:
    await account(cluster, "forged")
    good = await token_for(cluster, "forged")
    claims, key = claims_of(good), key_of(cluster)
    kid = jwt.get_unverified_header(good)["kid"]
    assert await status_with(cluster, jwt.encode(claims, key, "RS256", {"kid": kid})) == 200, "the control: our key"
    public = (cluster.data_dir / "pki" / "sa.pub").read_bytes()
    by_public_key = f"{encoded({'alg': 'HS256', 'typ': 'JWT'})}.{encoded(claims)}"
    mac = hmac.digest(public, by_public_key.encode(), hashlib.sha256)
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    header, _, signature = good.split(".")
    later = {**claims, "sub": "system:serviceaccount:kube-system:default"}
    forgeries = {
        "alg none": f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{encoded(claims)}.",
        "alg none in capitals": f"{encoded({'alg': 'NONE', 'typ': 'JWT'})}.{encoded(claims)}.",
        "HS256 with the public key": f"{by_public_key}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}",
        "another key": jwt.encode(claims, stranger, "RS256", {"kid": kid}),
        "another key, a key id that is a path": jwt.encode(claims, stranger, "RS256", {"kid": "../../../dev/null"}),
        "another key, given in the header": jwt.encode(claims, stranger, "RS256", {"jku": "https://127.0.0.1/keys"}),
        "PS256 instead of RS256": jwt.encode(claims, key, "PS256", {"kid": kid}),
        "another issuer": jwt.encode({**claims, "iss": "https://elsewhere"}, key, "RS256"),
        "no issuer": jwt.encode({name: claims[name] for name in claims if name != "iss"}, key, "RS256"),
        "another audience": jwt.encode({**claims, "aud": ["vault"]}, key, "RS256"),
        "no audience": jwt.encode({name: claims[name] for name in claims if name != "aud"}, key, "RS256"),
        "expired": jwt.encode({**claims, "exp": claims["iat"] - 1}, key, "RS256"),
        "not valid yet": jwt.encode({**claims, "nbf": claims["exp"] - 1}, key, "RS256"),
        "without expiry": jwt.encode({name: claims[name] for name in claims if name != "exp"}, key, "RS256"),
        "claims changed": f"{header}.{encoded(later)}.{signature}",
        "without our claims": jwt.encode({**claims, "kubernetes.io": {}}, key, "RS256"),
        "another account's uid": jwt.encode(
            {**claims, "kubernetes.io": {"namespace": "default", "serviceaccount": {"name": "forged", "uid": "0"}}},
            key,
            "RS256",
        ),
        "claims of odd types": jwt.encode(
            {**claims, "kubernetes.io": {"namespace": "default", "serviceaccount": "forged"}}, key, "RS256"
        ),
    }
    answers = {name: await status_with(cluster, token) for name, token in forgeries.items()}
    assert answers == dict.fromkeys(forgeries, 401)
    path_named = jwt.encode(claims, key, "RS256", {"kid": "../../../etc/passwd"})
    assert await status_with(cluster, path_named) == 200, "a key id chooses nothing: our key signed it"
    for odd in ("", "a.b", "....", "ä.ö.ü", "a" * 4000):
        answer = await cluster.request("GET", "/apis", identity="", headers={"Authorization": f"Bearer {odd}"})
        assert answer.status == 401 or not odd, odd[:20]
    assert await status_with(cluster, good) == 200


async def test_a_token_dies_with_the_account_and_is_not_the_next_ones(cluster: Cluster) -> None:
    await account(cluster, "reborn")
    token = await token_for(cluster, "reborn")
    assert await status_with(cluster, token) == 200
    await cluster.must("DELETE", f"{DEFAULT}/serviceaccounts/reborn")
    await becomes_worthless(cluster, token)
    await account(cluster, "reborn")
    assert await status_with(cluster, await token_for(cluster, "reborn")) == 200
    assert await status_with(cluster, token) == 401


POD = {"containers": [{"name": "c", "image": "i:1"}], "nodeName": "bound-node"}


@pytest.mark.parametrize(
    ("kind", "path", "body"),
    [
        ("Pod", f"{DEFAULT}/pods", {"spec": {**POD, "serviceAccountName": "bound-pod"}}),
        ("Secret", f"{DEFAULT}/secrets", {}),
        ("Node", "/api/v1/nodes", {}),
    ],
)
async def test_a_bound_token_dies_with_what_it_is_bound_to(
    cluster: Cluster, kind: str, path: str, body: dict[str, Any]
) -> None:
    name = f"bound-{kind.lower()}"
    await account(cluster, name)
    made = await cluster.must("POST", path, {**body, "metadata": {"name": name}})
    reference = {"kind": kind, "apiVersion": "v1", "name": name, "uid": made["metadata"]["uid"]}
    token = await token_for(cluster, name, {"boundObjectRef": reference})
    free = await token_for(cluster, name)
    who = await cluster.must("POST", WHO, {}, identity="", headers=bearer(token))
    if kind != "Secret":
        extra = who["status"]["userInfo"]["extra"]
        assert extra[f"authentication.kubernetes.io/{kind.lower()}-uid"] == [made["metadata"]["uid"]]
    await cluster.must("DELETE", f"{path}/{name}", {"gracePeriodSeconds": 0})
    await becomes_worthless(cluster, token)
    assert await status_with(cluster, free) == 200, "the account itself is fine"
    await cluster.must("POST", path, {**body, "metadata": {"name": name}})
    assert await status_with(cluster, token) == 401, "one of the same name is another one"
    wrong = await cluster.request(
        "POST", f"{DEFAULT}/serviceaccounts/{name}/token", {"spec": {"boundObjectRef": reference}}
    )
    assert wrong.status == 409 and "does not match the UID in record" in wrong.json["message"]


async def test_nobody_gets_a_token_for_what_is_not_there_or_not_theirs(cluster: Cluster) -> None:
    await account(cluster, "asked")
    path = f"{DEFAULT}/serviceaccounts/asked/token"
    await cluster.must("POST", f"{DEFAULT}/pods", {"metadata": {"name": "other-account"}, "spec": POD})
    cases = [
        ({"kind": "Pod", "apiVersion": "v1", "name": "nowhere"}, 404),
        ({"kind": "Pod", "apiVersion": "v1", "name": "other-account"}, 400),
        ({"kind": "ConfigMap", "apiVersion": "v1", "name": "x"}, 400),
    ]
    for reference, status in cases:
        answer = await cluster.request("POST", path, {"spec": {"boundObjectRef": reference}})
        assert answer.status == status, answer.body
    absent = await cluster.request("POST", f"{DEFAULT}/serviceaccounts/nobody/token", {"spec": {}})
    assert absent.status == 404
    node = await cluster.request("POST", path, {"spec": {}}, identity="node-n1")
    assert node.status == 403 and "not bound to a pod" in node.json["message"]


async def test_lifetimes_are_what_was_asked_within_limits(cluster: Cluster) -> None:
    await account(cluster, "timed")
    path = f"{DEFAULT}/serviceaccounts/timed/token"
    hour = await cluster.must("POST", path, {"spec": {}})
    claims = claims_of(hour["status"]["token"])
    assert claims["exp"] - claims["iat"] == 3600 == hour["spec"]["expirationSeconds"]
    assert claims["iss"] == ISSUER and claims["aud"] == [ISSUER]
    assert claims["sub"] == "system:serviceaccount:default:timed"
    left = parse_time(hour["status"]["expirationTimestamp"]) - SystemClock().now()
    assert timedelta(minutes=59) < left < timedelta(minutes=61)
    assert (await cluster.request("POST", path, {"spec": {"expirationSeconds": 599}})).status == 422
    assert (await cluster.request("POST", path, {"spec": {"expirationSeconds": (1 << 32) + 1}})).status == 422
    ten_years = await cluster.request("POST", path, {"spec": {"expirationSeconds": 10 * 365 * 24 * 3600}})
    assert "shortened to 31536000 seconds" in ten_years.headers["Warning"]
    claims = claims_of(ten_years.json["status"]["token"])
    assert claims["exp"] - claims["iat"] == 365 * 24 * 3600 == ten_years.json["spec"]["expirationSeconds"]


async def test_an_audience_of_others_is_no_use_here_but_reviewable(cluster: Cluster) -> None:
    await account(cluster, "vaulted")
    token = await token_for(cluster, "vaulted", {"audiences": ["vault", "bank"]})
    assert await status_with(cluster, token) == 401
    spec = {"token": token, "audiences": ["bank", "market"]}
    review = await cluster.must("POST", REVIEWS, {"spec": spec})
    assert review["status"]["audiences"] == ["bank"] and review["status"]["authenticated"]
    assert review["status"]["user"]["username"] == "system:serviceaccount:default:vaulted"
    refused = await cluster.must("POST", REVIEWS, {"spec": {"token": token}})
    text = f'token audiences ["vault" "bank"] is invalid for the target audiences ["{ISSUER}"]'
    assert refused["status"] == {"user": {}, "error": f"[invalid bearer token, {text}]"}
    assert (await cluster.request("POST", REVIEWS, {"spec": {}})).status == 400


async def test_others_can_verify_tokens_by_the_published_documents(cluster: Cluster) -> None:
    configuration = await cluster.must("GET", "/.well-known/openid-configuration")
    assert configuration["issuer"] == ISSUER
    assert configuration["jwks_uri"].endswith("/openid/v1/jwks")
    answer = await cluster.request("GET", "/openid/v1/jwks")
    assert answer.headers["Content-Type"].startswith("application/jwk-set+json")
    await account(cluster, "public")
    token = await token_for(cluster, "public")
    key = jwt.PyJWKSet.from_dict(answer.json)[jwt.get_unverified_header(token)["kid"]]
    verified = jwt.decode(token, key.key, ["RS256"], audience=ISSUER, issuer=ISSUER)
    assert verified["kubernetes.io"]["serviceaccount"]["name"] == "public"
    for path in ("/.well-known/openid-configuration", "/openid/v1/jwks"):
        assert (await cluster.request("GET", path, identity="", headers=bearer(token))).status == 200
        assert (await cluster.request("GET", path, identity="")).status == 403


async def test_an_account_has_no_token_secret(cluster: Cluster) -> None:
    await account(cluster, "bare")
    secrets = await cluster.must("GET", f"{DEFAULT}/secrets")
    assert not [one for one in secrets["items"] if one.get("type") == "kubernetes.io/service-account-token"]
    assert "secrets" not in await cluster.must("GET", f"{DEFAULT}/serviceaccounts/bare")


async def test_kubectl_makes_tokens(cluster: Cluster) -> None:
    await account(cluster, "by-kubectl")
    code, out, error = await cluster.kubectl("create", "token", "by-kubectl", "--duration=15m", "--audience=x")
    assert code == 0, error
    claims = claims_of(out.strip())
    assert claims["aud"] == ["x"] and claims["exp"] - claims["iat"] == 900


async def test_identity_headers_of_a_proxy_mean_nothing(cluster: Cluster) -> None:
    """Security row E7: without a front proxy's certificate they are only words."""
    headers = {"X-Remote-User": "kubernetes-admin", "X-Remote-Group": "system:masters", "X-Forwarded-User": "admin"}
    assert (await cluster.request("GET", f"{DEFAULT}/secrets", identity="", headers=headers)).status == 403
    assert (await cluster.request("GET", f"{DEFAULT}/secrets")).status == 200, "the control: as that user"
