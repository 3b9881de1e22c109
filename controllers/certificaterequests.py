"""What a certificate signing request asks for, which signer may grant it, and the certificate.  Pure but for the keys.

What must stay true: a certificate never says more than its signer allows, never outlives the CA, and is never a CA.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
LEGACY = "kubernetes.io/legacy-unknown"

LIFETIME = timedelta(days=365)
LEAST = timedelta(minutes=10)
BACKDATED = timedelta(minutes=5)

_EXTENDED = {
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "s/mime": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
}


@dataclass(frozen=True)
class Request:
    """A parsed PKCS#10 request."""

    csr: x509.CertificateSigningRequest

    @property
    def common_name(self) -> str:
        return "".join(str(one.value) for one in self.csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME))

    @property
    def organizations(self) -> list[str]:
        return [str(one.value) for one in self.csr.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]

    @property
    def names(self) -> list[x509.GeneralName]:
        try:
            return list(self.csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        except x509.ExtensionNotFound:
            return []

    def has(self, *kinds: type[x509.GeneralName]) -> bool:
        return any(isinstance(name, kinds) for name in self.names)


def parse(encoded: str) -> Request:
    """The base64 of a PEM request.  Raises ValueError, also when its signature is not of its own key."""
    csr = x509.load_pem_x509_csr(base64.b64decode(encoded))
    if not csr.is_signature_valid:
        raise ValueError("the request is not signed with its own key")
    return Request(csr)


def _kubelet(request: Request) -> str:
    if request.organizations != ["system:nodes"]:
        return "subject organization is not system:nodes"
    if not request.common_name.startswith("system:node:"):
        return "subject common name does not begin with system:node: "
    return ""


def _usages(usages: Iterable[str], needed: set[str]) -> str:
    """What is asked for beyond or below `needed`; "key encipherment" is free."""
    if set(usages) - {"key encipherment"} != needed:
        return "usages did not match " + str(sorted({*needed, "key encipherment"}))
    return ""


def client_refusal(request: Request, usages: Iterable[str]) -> str:
    if not set(usages) <= {"digital signature", "key encipherment", "client auth"} or "client auth" not in usages:
        return "usages did not match [client auth digital signature key encipherment]"
    return "use of system:masters is not allowed" if "system:masters" in request.organizations else ""


def kubelet_client_refusal(request: Request, usages: Iterable[str]) -> str:
    """ "" for a request of a node for its client certificate, else what is wrong with it."""
    for kind, word in (
        (x509.DNSName, "DNS"),
        (x509.RFC822Name, "Email"),
        (x509.IPAddress, "IP"),
        (x509.UniformResourceIdentifier, "URI"),
    ):
        if request.has(kind):
            return f"{word} subjectAltNames are not allowed"
    return _kubelet(request) or _usages(usages, {"digital signature", "client auth"})


def kubelet_serving_refusal(request: Request, usages: Iterable[str]) -> str:
    if not request.has(x509.DNSName, x509.IPAddress):
        return "DNS or IP subjectAltName is required"
    for kind, word in ((x509.RFC822Name, "Email"), (x509.UniformResourceIdentifier, "URI")):
        if request.has(kind):
            return f"{word} subjectAltNames are not allowed"
    return _kubelet(request) or _usages(usages, {"digital signature", "server auth"})


SIGNERS: Mapping[str, Callable[[Request, Iterable[str]], str]] = {
    CLIENT: client_refusal,
    KUBELET_CLIENT: kubelet_client_refusal,
    KUBELET_SERVING: kubelet_serving_refusal,
    LEGACY: lambda request, usages: "",
}
"""Signer -> why it refuses a request ("": it does not)."""


@dataclass(frozen=True)
class Authority:
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    certificate: x509.Certificate

    @classmethod
    def load(cls, directory: Path) -> Authority:
        """The cluster's CA.  Raises OSError, ValueError."""
        key = serialization.load_pem_private_key((directory / "ca.key").read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
            raise ValueError(f"{directory / 'ca.key'}: a key that cannot sign")
        return cls(key, x509.load_pem_x509_certificate((directory / "ca.crt").read_bytes()))

    def sign(self, request: Request, usages: Iterable[str], seconds: int | None, now: datetime) -> bytes:
        """The certificate as PEM: the request's subject, names and key; `seconds` at most LIFETIME, at least LEAST."""
        wanted = LIFETIME if seconds is None else min(LIFETIME, max(LEAST, timedelta(seconds=seconds)))
        asked = set(usages)
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.csr.subject)
            .issuer_name(self.certificate.subject)
            .public_key(request.csr.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(max(now - BACKDATED, self.certificate.not_valid_before_utc))
            .not_valid_after(min(now - BACKDATED + wanted, self.certificate.not_valid_after_utc))
            .add_extension(_key_usage(asked), critical=True)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.certificate.public_key()),  # type: ignore[arg-type]
                critical=False,
            )
        )
        extended = list(dict.fromkeys(_EXTENDED[name] for name in sorted(asked & _EXTENDED.keys())))
        if extended:
            builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
        if request.names:
            builder = builder.add_extension(x509.SubjectAlternativeName(request.names), critical=False)
        algorithm = None if isinstance(self.key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        return builder.sign(self.key, algorithm).public_bytes(serialization.Encoding.PEM)


def _key_usage(asked: set[str]) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=bool(asked & {"digital signature", "signing"}),
        content_commitment="content commitment" in asked,
        key_encipherment="key encipherment" in asked,
        data_encipherment="data encipherment" in asked,
        key_agreement="key agreement" in asked,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
