"""Certificates: what a signer grants, who is approved without a person, and when a request goes."""

import base64
import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controllers.certificaterequests import (
    CLIENT,
    KUBELET_CLIENT,
    KUBELET_SERVING,
    SIGNERS,
    Authority,
    client_refusal,
    kubelet_client_refusal,
    kubelet_serving_refusal,
    parse,
)
from controllers.certificates import CertificateApprover, CertificateCleaner, CertificateSigner, removal_seconds
from tests.client.server import eventually
from tests.controllers.bootstrap import bootstrap_secret
from tests.controllers.running import controllers
from tiphys.api.certificates.certificatesigningrequest import CertificateSigningRequest
from tiphys.api.core.secret import Secret
from tiphys.api.times import format_time
from tiphys.client.config import ClientConfig
from tiphys.client.rest import Client
from tiphys.clock import SystemClock

NODE_USAGES = ["digital signature", "client auth"]
SERVING_USAGES = ["digital signature", "key encipherment", "server auth"]


def encoded(name: str = "system:node:n1", group: str = "system:nodes", *names: x509.GeneralName) -> str:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    subject = x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    request = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()


ADDRESS = x509.IPAddress(ipaddress.ip_address("10.0.0.1"))


@pytest.mark.parametrize(
    ("names", "usages", "refusal"),
    [
        ((), NODE_USAGES, ""),
        ((), [*NODE_USAGES, "key encipherment"], ""),
        ((), ["client auth"], "usages"),
        ((), [*NODE_USAGES, "server auth"], "usages"),
        (("system:node:n1", "system:masters"), NODE_USAGES, "organization"),
        (("root", "system:nodes"), NODE_USAGES, "common name"),
        (("system:node:n1", "system:nodes", ADDRESS), NODE_USAGES, "IP subjectAltNames"),
    ],
)
def test_a_kubelets_client_certificate_says_who_the_node_is_and_nothing_else(
    names: Any, usages: list[str], refusal: str
) -> None:
    found = kubelet_client_refusal(parse(encoded(*names)), usages)
    assert refusal in found and bool(found) == bool(refusal)


def test_a_kubelets_serving_certificate_needs_an_address_and_a_clients_no_other_usage() -> None:
    assert "required" in kubelet_serving_refusal(parse(encoded()), SERVING_USAGES)
    assert not kubelet_serving_refusal(parse(encoded("system:node:n1", "system:nodes", ADDRESS)), SERVING_USAGES)
    assert "usages" in client_refusal(parse(encoded("me", "")), SERVING_USAGES)
    assert "system:masters" in client_refusal(parse(encoded("me", "system:masters")), ["client auth"])
    assert not client_refusal(parse(encoded("me", "dev")), ["client auth"])


def test_a_signed_certificate_carries_the_request_and_lasts_no_longer_than_asked(pki_dir: Path) -> None:
    authority, now = Authority.load(pki_dir), SystemClock().now()
    request = parse(encoded("system:node:n1", "system:nodes", ADDRESS))
    pem = authority.sign(request, SERVING_USAGES, 3600, now)
    found = x509.load_pem_x509_certificate(pem)
    found.verify_directly_issued_by(authority.certificate)
    assert found.subject == request.csr.subject
    assert abs(found.not_valid_after_utc - now) <= timedelta(hours=1)
    usages = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.SERVER_AUTH]
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("10.0.0.1")]
    assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    longest = x509.load_pem_x509_certificate(authority.sign(request, SERVING_USAGES, None, now + timedelta(days=3640)))
    assert longest.not_valid_after_utc == authority.certificate.not_valid_after_utc


def signing_request(name: str, signer: str, usages: list[str], request: str) -> CertificateSigningRequest:
    spec = {"request": request, "signerName": signer, "usages": usages}
    return CertificateSigningRequest.model_validate({"metadata": {"name": name}, "spec": spec})


NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("type", "certificate", "age_hours", "due"),
    [
        ("", "", 23, False),
        ("", "", 25, True),
        ("Denied", "", 0.5, False),
        ("Denied", "", 1.5, True),
        ("Failed", "", 1.5, True),
        ("Approved", "", 2, False),
        ("Approved", "eA==", 2, True),
    ],
)
def test_requests_go_when_nobody_needs_them(type: str, certificate: str, age_hours: float, due: bool) -> None:
    at = format_time(NOW - timedelta(hours=age_hours))
    conditions = [{"type": type, "status": "True", "lastUpdateTime": at}] if type else []
    request = CertificateSigningRequest.model_validate(
        {
            "metadata": {"name": "r", "creationTimestamp": at},
            "status": {"conditions": conditions, "certificate": certificate},
        }
    )
    assert (removal_seconds(request, NOW) == 0) is due


async def wait_for(client: Client, name: str, what: str) -> CertificateSigningRequest:
    """`what`: certificate, or the type of a condition."""

    async def so() -> bool:
        status = (await client.get(CertificateSigningRequest, name)).status
        return bool(status.certificate) if what == "certificate" else what in {one.type for one in status.conditions}

    await eventually(so, f"{name}: {what}")
    return await client.get(CertificateSigningRequest, name)


async def test_a_joining_machine_gets_its_certificate_and_nobody_else_without_a_person(
    client: Client, pki_dir: Path
) -> None:
    await client.create(Secret.model_validate(bootstrap_secret("abcdef", "0123456789abcdef")))
    config = client.config
    joining = ClientConfig(server=config.server, ca_data=config.ca_data, token="abcdef.0123456789abcdef")
    factories = (
        CertificateApprover,
        lambda environment: CertificateSigner(environment, Authority.load(pki_dir)),
        CertificateCleaner,
    )
    async with controllers(client, *factories), Client(joining) as machine:
        await machine.create(signing_request("join", KUBELET_CLIENT, NODE_USAGES, encoded()))
        signed = await wait_for(client, "join", "certificate")
        assert signed.spec.username == "system:bootstrap:abcdef" and "system:bootstrappers" in signed.spec.groups
        (approval,) = signed.status.conditions
        assert (approval.reason, approval.type) == ("AutoApproved", "Approved")
        found = x509.load_pem_x509_certificate(base64.b64decode(signed.status.certificate))
        assert found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "system:node:n1"

        await client.create(signing_request("person", CLIENT, ["client auth"], encoded("jane", "dev")))
        serving = encoded("system:node:n1", "system:nodes", ADDRESS)
        await machine.create(signing_request("serving", KUBELET_SERVING, SERVING_USAGES, serving))
        await client.create(signing_request("bad", KUBELET_CLIENT, NODE_USAGES, encoded("root")))
        for name in ("person", "bad"):
            one = await client.get(CertificateSigningRequest, name)
            assert not one.status.conditions
            yes = {"type": "Approved", "status": "True", "reason": "Tested", "message": "by a person"}
            patch = {"status": {"conditions": [yes]}}
            await client.patch(CertificateSigningRequest, name, "", patch, subresource="approval")
        await wait_for(client, "person", "certificate")
        failed = await wait_for(client, "bad", "Failed")
        assert failed.status.conditions[-1].reason == "SignerValidationFailure" and not failed.status.certificate
        assert not (await client.get(CertificateSigningRequest, "serving")).status.conditions


def test_every_signer_of_the_cluster_is_known() -> None:
    assert {name.partition("/")[0] for name in SIGNERS} == {"kubernetes.io"} and len(SIGNERS) == 4
