"""More of what an unmodified kubectl does: dry-runs, pruning, every generator of `create`, what it says on the wire."""

from __future__ import annotations

import base64
import json
import re

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.cli.running import RunningCluster
from tests.cli.waiting import until
from tests.clients import sails

MAP = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "%s"}, "data": {"a": "%s"}}'
_REQUEST = re.compile(r'"(?:Request|Response)" verb="(\w+)" url="https://[^/]+([^"?]*)\??([^"]*)"')


def requests(cluster: RunningCluster, *words: str, stdin: str = "") -> list[tuple[str, str, str]]:
    """(method, path, query) of what a kubectl command that succeeds asks the server for."""
    done = cluster.kubectl(*words, "-v=6", stdin=stdin)
    assert done.code == 0, done.err
    return _REQUEST.findall(done.err)


def test_a_dry_run_on_the_server_changes_nothing(cluster: RunningCluster) -> None:
    said = cluster.ok("apply", "--dry-run=server", "-f", "-", stdin=MAP % ("dry", 1))
    assert said == "configmap/dry created (server dry run)\n"
    assert cluster.kubectl("get", "cm", "dry").code == 1
    cluster.ok("apply", "-f", "-", stdin=MAP % ("dry", 1))
    for more in ((), ("--server-side", "--force-conflicts")):
        said = cluster.ok("apply", "--dry-run=server", *more, "-f", "-", "-o", "json", stdin=MAP % ("dry", 2))
        assert json.loads(said)["data"] == {"a": "2"}
    assert "(server dry run)" in cluster.ok("delete", "cm", "dry", "--dry-run=server")
    assert cluster.get("cm", "dry")["data"] == {"a": "1"}


def test_an_applyset_prunes_what_is_no_longer_in_it(cluster: RunningCluster) -> None:
    cluster.ok("create", "namespace", "pruned")
    words = ("apply", "-n", "pruned", "--prune", "--applyset=set", "-f", "-")
    both = f"{MAP % ('stays', 1)}\n---\n{MAP % ('goes', 1)}"
    cluster.ok(*words, stdin=both, KUBECTL_APPLYSET="true")
    said = cluster.ok(*words, stdin=MAP % ("stays", 1), KUBECTL_APPLYSET="true")
    assert "configmap/goes pruned" in said
    left = cluster.get("cm", "-n", "pruned", "-l", "applyset.kubernetes.io/part-of")["items"]
    assert [item["metadata"]["name"] for item in left] == ["stays"]
    parent = cluster.get("secret", "set", "-n", "pruned")["metadata"]
    assert parent["annotations"]["applyset.kubernetes.io/contains-group-kinds"] == "ConfigMap"
    cluster.ok("delete", "namespace", "pruned", "--wait=false")


def test_prune_by_labels_removes_what_is_missing(cluster: RunningCluster) -> None:
    labelled = (MAP % ("old", 1)).replace('"name": "old"', '"name": "old", "labels": {"prune": "me"}')
    cluster.ok("apply", "-f", "-", stdin=labelled)
    words = ("apply", "--prune", "-l", "prune=me", "--prune-allowlist=core/v1/ConfigMap", "-f", "-")
    assert "configmap/old pruned" in cluster.ok(*words, stdin=labelled.replace('"old"', '"new"'))


def test_a_forced_replacement_makes_a_new_object(cluster: RunningCluster) -> None:
    cluster.ok("create", "-f", "-", stdin=MAP % ("forced", 1))
    before = cluster.get("cm", "forced")["metadata"]["uid"]
    cluster.ok("replace", "--force", "-f", "-", stdin=MAP % ("forced", 2))
    assert cluster.get("cm", "forced")["metadata"]["uid"] != before


def test_a_namespace_and_a_pod_in_it_come_from_one_manifest(cluster: RunningCluster) -> None:
    metadata = {"name": "together", "namespace": "together"}
    pod = {"metadata": metadata, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "together"}},
        {"apiVersion": "v1", "kind": "Pod", **pod},
    ]
    said = cluster.ok("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, objects)))
    assert said == "namespace/together created\npod/together created\n"
    cluster.ok("delete", "namespace", "together", "--wait=false")


GENERATORS = [
    "clusterrole g --verb=get --resource=pods",
    "clusterrolebinding g --clusterrole=g --user=jane",
    "role g --verb=get,list --resource=pods",
    "rolebinding g --role=g --serviceaccount=generated:default",
    "cronjob g --image=x --schedule=0_0_1_1_*",
    "job g --image=x",
    "ingress g --rule=example.com/*=g:80",
    "poddisruptionbudget g --selector=app=g --min-available=1",
    "priorityclass g --value=1",
    "quota g --hard=pods=9",
    "secret docker-registry r --docker-username=u --docker-password=p",
    "service nodeport n --tcp=80",
    "service loadbalancer l --tcp=80",
    "service externalname e --external-name=example.com",
]


@pytest.fixture(scope="module")
def generated(cluster: RunningCluster) -> RunningCluster:
    cluster.ok("create", "namespace", "generated")
    return cluster


@pytest.mark.parametrize("line", GENERATORS)
def test_every_generator_of_create(generated: RunningCluster, line: str) -> None:
    words = [word.replace("_", " ") for word in line.split()]
    made = generated.ok("create", "-n", "generated", *words, "-o", "name")
    assert "/" in made
    generated.ok("delete", "-n", "generated", made.strip(), "--wait=false")


def test_a_drain_without_evictions_deletes(cluster: RunningCluster) -> None:
    cluster.ok("create", "deployment", "moved", "--image=x", "--replicas=2")
    cluster.ok("rollout", "status", "deployment/moved", "--timeout=40s")
    words = ("drain", "fake-node-1", "--disable-eviction", "--force", "--ignore-daemonsets", "--pod-selector=app=moved")
    try:
        assert "node/fake-node-1 drained" in cluster.ok(*words, "--timeout=50s")
        until(lambda: cluster.get("deployment", "moved")["status"].get("availableReplicas") == 2, "two elsewhere")
    finally:
        cluster.ok("uncordon", "fake-node-1")
        cluster.ok("delete", "deployment", "moved")


@pytest.mark.parametrize(("verb", "condition"), [("approve", "Approved"), ("deny", "Denied")])
def test_a_signing_request_is_decided(cluster: RunningCluster, verb: str, condition: str) -> None:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "jane")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    signed = request.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    spec = {
        "request": base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode(),
        "signerName": "example.com/clients",
        "usages": ["client auth"],
    }
    body = {"kind": "CertificateSigningRequest", "metadata": {"name": verb}, "spec": spec}
    cluster.ok("apply", "-f", "-", stdin=json.dumps({"apiVersion": "certificates.k8s.io/v1", **body}))
    cluster.ok("certificate", verb, verb)
    assert cluster.ok("get", "csr", verb, "--no-headers").split()[-1] == condition


def test_describe_works_for_whatever_is_there(cluster: RunningCluster) -> None:
    for words in ("namespace default", "service kubernetes", "node fake-node-0", "serviceaccount default"):
        assert "Name:" in cluster.ok("describe", *words.split())


# -- custom kinds ------------------------------------------------------------------------------------------------------


def test_kubectl_handles_custom_objects(cluster: RunningCluster) -> None:
    sails.install(cluster)
    body = json.dumps(sails.sail("mast"))
    assert cluster.ok("apply", "-f", "-", stdin=body) == "sail.clients.example.com/mast created\n"
    assert cluster.ok("get", "sl").split()[:6] == ["NAME", "CLOTH", "mast", "linen"]
    assert "FIELD: cloth <string>" in cluster.ok("explain", "sail.spec.cloth")
    assert cluster.ok("scale", "sail/mast", "--replicas=2") == "sail.clients.example.com/mast scaled\n"
    refused = cluster.kubectl("apply", "-f", "-", stdin=body.replace('"cloth"', '"cloths"'))
    assert refused.code == 1 and 'unknown field "spec.cloths"' in refused.err
    status = ("patch", "sail", "mast", "--subresource=status", "--type=merge", "-p", json.dumps(sails.READY))
    cluster.ok(*status)
    cluster.ok("wait", "--for=condition=Ready", "sail/mast", "--timeout=20s")
    cluster.ok("wait", "--for=jsonpath={.status.replicas}=1", "sail/mast", "--timeout=20s")
    applied = cluster.ok("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=body.replace("linen", "hemp"))
    assert applied == "sail.clients.example.com/mast serverside-applied\n"
    assert cluster.get("sail", "mast")["spec"] == {"cloth": "hemp", "replicas": 2}
    assert "Cloth:" in cluster.ok("describe", "sail", "mast")
    cluster.ok("delete", "sail", "mast", "--timeout=20s")


# -- on the wire -------------------------------------------------------------------------------------------------------


def test_apply_validates_on_the_server_and_names_its_manager(cluster: RunningCluster) -> None:
    body = MAP % ("wire", 1)
    created = requests(cluster, "apply", "-f", "-", stdin=body)
    assert [query for method, _, query in created if method == "POST"] == [
        "fieldManager=kubectl-client-side-apply&fieldValidation=Strict"
    ]
    patched = requests(cluster, "apply", "-f", "-", stdin=MAP % ("wire", 2))
    assert [method for method, path, _ in patched if path.endswith("/configmaps/wire")] == ["GET", "PATCH"]
    applied = requests(cluster, "apply", "--server-side", "-f", "-", stdin=body)
    query = next(query for method, _, query in applied if method == "PATCH")
    assert set(query.split("&")) >= {"fieldManager=kubectl", "fieldValidation=Strict", "force=false"}


def test_an_eviction_is_found_and_used(cluster: RunningCluster) -> None:
    here = json.dumps({"spec": {"nodeName": "fake-node-0"}})
    cluster.ok("run", "evicted", "--image=x", "--labels=app=evicted", f"--overrides={here}")
    cluster.ok("wait", "--for=condition=Ready", "pod/evicted", "--timeout=40s")
    try:
        sent = requests(cluster, "drain", "fake-node-0", "--force", "--ignore-daemonsets", "--pod-selector=app=evicted")
    finally:
        cluster.ok("uncordon", "fake-node-0")
    assert any(method == "POST" and path.endswith("/eviction") for method, path, _ in sent)
    assert any("fieldSelector=spec.nodeName%3Dfake-node-0" in query for _, _, query in sent)


PROTOBUF = [
    "create namespace {name}",
    "create deployment {name} --image=x",
    "create token default",
    "auth can-i get pods",
]


@pytest.mark.parametrize("line", PROTOBUF)
def test_what_kubectl_sends_in_protobuf_is_understood(cluster: RunningCluster, line: str) -> None:
    done = cluster.kubectl(*line.format(name="protobuf").split(), "-v=8")
    assert done.code == 0, done.err
    posts = [part for part in done.err.split('"Request" ') if part.startswith('verb="POST"')]
    assert any("Content-Type: application/vnd.kubernetes.protobuf" in post for post in posts)
