"""The smaller plugins, and the order in which all of them run."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from apiserver.admission.eventratelimit import BUCKETS, EventRateLimit
from apiserver.admission.plugins import builtin_admission
from apiserver.authorization import Union
from apiserver.outbound import Outbound
from tests.apiserver.admission.configured import new_namespace, until_cached
from tests.apiserver.cluster import Cluster
from tiphys.clock import SystemClock

pytestmark = pytest.mark.asyncio(loop_scope="module")
Object = dict[str, Any]
CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
CLASSES = "/apis/networking.k8s.io/v1/ingressclasses"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def signing_request(name: str, *groups: str, signer: str = "kubernetes.io/kube-apiserver-client") -> Object:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, "jane")]
    attributes += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes)).sign(key, hashes.SHA256())
    text = base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()
    spec = {"request": text, "signerName": signer, "usages": ["client auth"]}
    return {"metadata": {"name": name}, "spec": spec}


async def test_nobody_asks_for_a_certificate_of_the_masters(cluster: Cluster) -> None:
    answer = await cluster.request("POST", CSRS, signing_request("masters", "system:masters"))
    text = "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"
    assert answer.status == 403 and answer.json["message"].endswith(f'"masters" is forbidden: {text}')
    assert (await cluster.request("POST", CSRS, signing_request("others", "others"))).status == 201
    elsewhere = signing_request("elsewhere", "system:masters", signer="example.com/signer")
    assert (await cluster.request("POST", CSRS, elsewhere)).status == 201


async def test_approving_and_signing_need_the_signers_permission(cluster: Cluster) -> None:
    made = await cluster.must("POST", CSRS, signing_request("asked", signer="example.com/signer"))
    rules = [
        {
            "apiGroups": ["certificates.k8s.io"],
            "resources": [f"certificatesigningrequests{part}" for part in ("", "/approval", "/status")],
            "verbs": ["get", "update"],
        }
    ]
    await cluster.must("POST", f"{RBAC}/clusterroles", {"metadata": {"name": "approver"}, "rules": rules})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "approver"}
    binding = {"metadata": {"name": "approver"}, "subjects": [{"kind": "User", "name": "anne"}], "roleRef": reference}
    await until_cached(cluster, await cluster.must("POST", f"{RBAC}/clusterrolebindings", binding))
    anne = {"Impersonate-User": "anne"}
    made["status"] = {"conditions": [{"type": "Approved", "status": "True", "reason": "x", "message": "y"}]}
    refused = await cluster.request("PUT", f"{CSRS}/asked/approval", made, headers=anne)
    assert refused.status == 403
    assert refused.json["message"].endswith('not permitted to approve requests with signerName "example.com/signer"')
    failed = {**made, "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "x", "message": "y"}]}}
    refused = await cluster.request("PUT", f"{CSRS}/asked/status", failed, headers=anne)
    assert refused.status == 403
    assert refused.json["message"].endswith('not permitted to sign requests with signerName "example.com/signer"')
    role = await cluster.must("GET", f"{RBAC}/clusterroles/approver")
    signers = {"apiGroups": ["certificates.k8s.io"], "resources": ["signers"], "verbs": ["approve", "sign"]}
    role["rules"].append({**signers, "resourceNames": ["example.com/*"]})
    await until_cached(cluster, await cluster.must("PUT", f"{RBAC}/clusterroles/approver", role))
    answer = await cluster.request("PUT", f"{CSRS}/asked/approval", made, headers=anne)
    assert answer.status == 200, answer.body


async def test_an_ingress_without_a_class_gets_the_default_one(cluster: Cluster) -> None:
    namespace = await new_namespace(cluster)
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses"
    backend = {"service": {"name": "s", "port": {"number": 80}}}

    async def ingress(name: str, **spec: Any) -> Object:
        obj = {"metadata": {"name": name}, "spec": {"defaultBackend": backend, **spec}}
        made: Object = await cluster.must("POST", path, obj)
        return made

    assert "ingressClassName" not in (await ingress("before"))["spec"]
    mark = {"ingressclass.kubernetes.io/is-default-class": "true"}
    metadata = {"name": "marked", "annotations": mark}
    made = await cluster.must("POST", CLASSES, {"metadata": metadata, "spec": {"controller": "example.com/c"}})
    await until_cached(cluster, made)
    assert (await ingress("after"))["spec"]["ingressClassName"] == "marked"
    assert (await ingress("own", ingressClassName="own"))["spec"]["ingressClassName"] == "own"
    await cluster.must("DELETE", f"{CLASSES}/marked")


async def test_a_bucket_of_events_refills_and_the_buckets_are_bounded() -> None:
    now = [0.0]
    limit = EventRateLimit(lambda: now[0], per_second=2, burst=3)
    assert [limit._take("a") for _ in range(5)] == [True, True, True, False, False]
    assert limit._take("b")
    now[0] = 1.0
    assert [limit._take("a") for _ in range(3)] == [True, True, False]
    now[0] = 100.0
    assert [limit._take("a") for _ in range(4)] == [True, True, True, False]
    for number in range(2 * BUCKETS):
        limit._take(str(number))
    assert len(limit._buckets) == BUCKETS


async def test_the_plugins_run_in_upstreams_order(cluster: Cluster) -> None:
    server = cluster.server
    chain = builtin_admission(server.resources, Outbound(server.resources), Union([]), SystemClock())
    names = [type(one).__name__ for one in chain.plugins]
    upstream = [
        "NamespaceLifecycle", "LimitRanger", "ServiceAccount", "NodeRestriction", "TaintNodesByCondition",
        "PodSecurity", "Priority", "DefaultTolerationSeconds", "EventRateLimit", "DefaultStorageClass",
        "StorageObjectInUseProtection", "PersistentVolumeClaimResize", "RuntimeClass", "CertificateApproval",
        "CertificateSigning", "CertificateSubjectRestriction", "DefaultIngressClass", "MutatingAdmissionPolicy",
        "MutatingAdmissionWebhook", "ValidatingAdmissionPolicy", "ValidatingAdmissionWebhook", "ResourceQuota",
    ]  # fmt: skip
    assert [name for name in names if name in upstream] == upstream
