"""CertificateSigningRequests: every verb, and the approval and status subresources."""

from __future__ import annotations

import base64
import copy
import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.conformance.api import Api, Object
from tests.conformance.operations import Resource, Scenario, check_api_operations, check_discovery
from tests.conformance.rows import row


def certificate_request() -> str:
    """A PEM request of a new key, as base64."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "conformance")])
    signed = x509.CertificateSigningRequestBuilder().subject_name(subject)
    request = signed.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()


@row(162, "CertificateSigningRequest API")
def test_certificates_api_supports_csr_api_operations(api: Api, unique: str) -> None:
    resource = Resource(
        "certificates.k8s.io",
        "v1",
        "certificatesigningrequests",
        "CertificateSigningRequest",
        namespaced=False,
        subresources=("approval", "status"),
    )
    request = certificate_request()

    def signing_request(name: str) -> Object:
        usages = ["digital signature", "key encipherment", "server auth"]
        return {"spec": {"request": request, "signerName": f"example.com/{unique}", "usages": usages}}

    check_discovery(api, resource)
    check_api_operations(api, Scenario(resource, signing_request, unique))

    path = resource.path("", f"approved-{unique}")
    made = api.create(resource.path(), {**signing_request(""), "metadata": {"name": f"approved-{unique}"}})
    assert made["spec"]["username"] and "system:authenticated" in made["spec"]["groups"]
    _check_approval(api, f"{path}/approval")
    _check_status(api, f"{path}/status")
    api.delete(path)
    api.gone(path)


def _check_approval(api: Api, path: str) -> None:
    assert api.get(path)["status"] == {}
    denied = {"type": "Approved", "status": "True", "reason": "Tested", "message": "by the test"}
    patch = {"metadata": {"annotations": {"patchedapproval": "true"}}, "status": {"conditions": [denied]}}
    patched = api.patch(path, patch)
    assert patched["status"]["conditions"][0]["type"] == "Approved"
    assert patched["metadata"]["annotations"]["patchedapproval"] == "true"

    def change(obj: Object) -> None:
        obj["status"]["conditions"][0]["message"] = "updated by the test"

    assert api.update(path, change)["status"]["conditions"][0]["message"] == "updated by the test"


def _check_status(api: Api, path: str) -> None:
    assert [found["type"] for found in api.get(path)["status"]["conditions"]] == ["Approved"]
    certificate = base64.b64encode(_certificate()).decode()
    patch = {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": {"certificate": certificate}}
    patched = api.patch(path, patch)
    assert patched["status"]["certificate"] == certificate
    assert patched["metadata"]["annotations"]["patchedstatus"] == "true"
    more = {"type": "StatusUpdate", "status": "True", "reason": "Tested", "message": "by the test"}
    updated = api.update(path, lambda obj: obj["status"]["conditions"].append(copy.deepcopy(more)))
    assert [found["type"] for found in updated["status"]["conditions"]] == ["Approved", "StatusUpdate"]
    assert updated["status"]["certificate"] == certificate


def _certificate() -> bytes:
    """A self-signed certificate as PEM: the status takes nothing else."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "conformance")])
    start = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(start).not_valid_after(start.replace(year=2036))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
