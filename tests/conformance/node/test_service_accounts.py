"""What a pod is given to speak to the API server: token, certificate authority, namespace."""

from __future__ import annotations

import re

from tests.conformance.node.case import Case
from tests.conformance.node.manifests import container, mount, once, pod, shell
from tests.conformance.rows import row

DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"


@row(174, "Service Account Tokens Must AutoMount")
def test_a_token_is_mounted_into_pods(case: Case) -> None:
    case.api.create(case.path("serviceaccounts"), {"metadata": {"name": "mount-test"}})
    made = pod("mounted", shell(case.images.busybox), serviceAccountName="mount-test")
    name = case.create(made)
    case.running(name)
    token, authority, namespace = (
        case.exec(name, "cat", f"{DIRECTORY}/{file}") for file in ("token", "ca.crt", "namespace")
    )
    assert namespace == case.namespace
    assert authority.strip() == case.api.get(case.path("configmaps", "kube-root-ca.crt"))["data"]["ca.crt"].strip()
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    status = case.api.create("/apis/authentication.k8s.io/v1/tokenreviews", review)["status"]
    assert status["authenticated"]
    assert status["user"]["username"] == f"system:serviceaccount:{case.namespace}:mount-test"


@row(175, "TokenRequestProjection should mount a projected volume with token using TokenRequest API.")
def test_a_projected_token_is_mounted(case: Case) -> None:
    path = "/test-volume/token"
    main = container(
        case.images.agnhost, "mounttest", f"--file_content={path}", volumeMounts=[mount("token", "/test-volume")]
    )
    source = {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}
    log = case.output(once("reader", main, volumes=[{"name": "token", "projected": {"sources": [source]}}]))
    assert re.search(rf'content of file "{path}": \S+\.\S+\.\S+\n', log)
