"""Certificates of a node by request: the key never leaves the machine, the cluster signs.

`request` is pure but for the key.  A node's client certificate is approved for who holds a bootstrap token, the one its
server shows for the node itself, with its own name and addresses.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import logging
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tiphys.api.certificates.certificatesigningrequest import CertificateSigningRequest
from tiphys.client.errors import ApiError, ConnectionFailed
from tiphys.client.rest import Client
from tiphys.clock import Clock
from tiphys.logs import fields

_log = logging.getLogger(__name__)

CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING_SIGNER = "kubernetes.io/kubelet-serving"
USAGES = {
    CLIENT_SIGNER: ["digital signature", "client auth"],
    SERVING_SIGNER: ["digital signature", "server auth"],
}
RENEW_BEFORE = timedelta(days=30)
RETRY_SECONDS = 5.0
WAIT_SECONDS = 60


def request(node_name: str, hosts: Sequence[str] = ()) -> tuple[bytes, bytes]:
    """(key, certificate request), both PEM, for system:node:NAME; `hosts` are DNS names and IP addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{node_name}"),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([_name(host) for host in hosts]), critical=False)
    pem = serialization.Encoding.PEM
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return plain, builder.sign(key, hashes.SHA256()).public_bytes(pem)


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def signing_request(csr: bytes, signer: str) -> dict[str, Any]:
    """The CertificateSigningRequest to create."""
    spec = {"request": base64.b64encode(csr).decode(), "signerName": signer, "usages": USAGES[signer]}
    head = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest"}
    return {**head, "metadata": {"generateName": "node-csr-"}, "spec": spec}


def outcome(status: dict[str, Any]) -> tuple[bytes, str]:
    """(certificate, "") when it is signed, (b"", cause) when it never will be, (b"", "") while neither is known."""
    if status.get("certificate"):
        return base64.b64decode(status["certificate"]), ""
    for condition in status.get("conditions", []):
        if condition["type"] in ("Denied", "Failed"):
            return b"", f"{condition['type']}: {condition.get('message') or condition.get('reason', '')}"
    return b"", ""


def is_due(certificate: Path, hosts: Sequence[str], now: datetime) -> bool:
    """Whether there is no certificate, it ends soon, or it is not for these hosts."""
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return True
    return found.not_valid_after_utc - now < RENEW_BEFORE or not {_name(host) for host in hosts} <= set(names)


async def ensure_serving(
    client: Client, node_name: str, addresses: Sequence[str], certificate: Path, key: Path, clock: Clock
) -> None:
    """The files hold a certificate for the node's server afterwards; asks until the cluster gives one."""
    hosts = [node_name, *addresses]
    while is_due(certificate, hosts, clock.now()):
        plain, csr = request(node_name, hosts)
        try:
            signed = await _ask(client, csr)
        except (ApiError, ConnectionFailed, TimeoutError) as error:
            _log.warning("no certificate for the agent's server yet", extra=fields(cause=error or "not approved"))
            await asyncio.sleep(RETRY_SECONDS)
            continue
        write(key, plain, 0o600)
        write(certificate, signed, 0o644)


async def _ask(client: Client, csr: bytes) -> bytes:
    """Raises ApiError, ConnectionFailed, TimeoutError."""
    body = signing_request(csr, SERVING_SIGNER)
    made = await client.create(CertificateSigningRequest.model_validate(body))
    name = made.metadata.name
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            async for event in client.watch(
                CertificateSigningRequest,
                resource_version=made.metadata.resourceVersion,
                field_selector=f"metadata.name={name}",
                timeout_seconds=WAIT_SECONDS,
            ):
                if event.object is None:
                    continue
                signed, cause = outcome(event.object.status.to_dict())
                if cause:
                    raise TimeoutError(cause)
                if signed:
                    return signed


def write(path: Path, content: bytes, mode: int) -> None:
    """Replace the file as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        os.fsync(descriptor)
    temporary.replace(path)
