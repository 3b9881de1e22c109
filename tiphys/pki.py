"""The cluster's certificates: a CA made on the first start, and the identities it signs.

`ensure` is idempotent: it makes what is missing, renews what expires within 30 days or no longer covers the addresses
asked for, and never replaces a CA.  The front proxy's CA is another one: who holds a certificate of it may say who the
user is, so no certificate of the cluster's CA may pass for one.  Keys are ECDSA P-256; the service account key is RSA
2048 because tokens are RS256 as upstream's.  Files are written to a temporary name and renamed, keys with mode 0600,
the directory 0700.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tiphys.clock import Clock

CA_LIFETIME = timedelta(days=3650)
LIFETIME = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Identity:
    """One certificate: `file` is the name without suffix; `hosts` are DNS names and IP addresses (servers only)."""

    file: str
    common_name: str
    organization: str = ""
    hosts: tuple[str, ...] = ()
    client: bool = True


FRONT_PROXY = Identity("front-proxy-client", "front-proxy-client")
"""What the API server shows to extension servers, so that they believe who it says the user is."""


def cluster_identities(server_hosts: Sequence[str]) -> list[Identity]:
    """The identities every cluster has; `server_hosts` are the API server's names and addresses."""
    return [
        Identity("apiserver", "kube-apiserver", hosts=tuple(server_hosts), client=False),
        Identity("apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters"),
        Identity("admin", "kubernetes-admin", "system:masters"),
        Identity("controllers", "system:kube-controller-manager", hosts=("localhost", "127.0.0.1")),
        Identity("scheduler", "system:kube-scheduler", hosts=("localhost", "127.0.0.1")),
    ]


def node_identity(name: str, addresses: Sequence[str]) -> Identity:
    return Identity(f"node-{name}", f"system:node:{name}", "system:nodes", hosts=(name, *addresses))


def ensure(directory: Path, identities: Sequence[Identity], clock: Clock) -> None:
    """Make or renew the CA, the service account key pair and `identities` below `directory`.  Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    directory.chmod(0o700)
    _ensure_service_account_key(directory)
    for ca, signed in (("ca", identities), ("front-proxy-ca", [FRONT_PROXY])):
        ca_key, ca_cert = _ensure_ca(directory, ca, clock)
        for identity in signed:
            if not _current(
                directory / f"{identity.file}.crt", directory / f"{identity.file}.key", identity, ca_cert, clock
            ):
                _issue(directory, identity, ca_key, ca_cert, clock)


def _ensure_ca(directory: Path, file: str, clock: Clock) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key_file, cert_file = directory / f"{file}.key", directory / f"{file}.crt"
    if key_file.exists() and cert_file.exists():
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise OSError(f"{key_file}: not an ECDSA key; move it away to have a new CA made")
        return key, x509.load_pem_x509_certificate(cert_file.read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes" if file == "ca" else file)])
    now = clock.now()
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write_key(key_file, key)
    _write(cert_file, cert.public_bytes(serialization.Encoding.PEM), 0o644)
    return key, cert


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not ca,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _ensure_service_account_key(directory: Path) -> None:
    key_file, public_file = directory / "sa.key", directory / "sa.pub"
    if key_file.exists() and public_file.exists():
        return
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    _write_key(key_file, key)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    _write(public_file, public, 0o644)


def _names(hosts: Sequence[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return names


def _current(cert_file: Path, key_file: Path, identity: Identity, ca_cert: x509.Certificate, clock: Clock) -> bool:
    """Whether the files hold a certificate of our CA that still serves."""
    if not (cert_file.exists() and key_file.exists()):
        return False
    cert = x509.load_pem_x509_certificate(cert_file.read_bytes())
    if cert.issuer != ca_cert.subject or cert.not_valid_after_utc - clock.now() < RENEW_BEFORE:
        return False
    try:
        cert.verify_directly_issued_by(ca_cert)
    except Exception:  # InvalidSignature, or a key type the CA does not have: both ask for a new certificate
        return False
    if not identity.hosts:
        return True
    try:
        present = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return set(_names(identity.hosts)) <= set(present)


def _issue(
    directory: Path, identity: Identity, ca_key: ec.EllipticCurvePrivateKey, ca_cert: x509.Certificate, clock: Clock
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, identity.common_name)]
    if identity.organization:
        subject.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, identity.organization))
    now = clock.now()
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH] if identity.client else []
    if identity.hosts:
        usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(subject))
        .issuer_name(ca_cert.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()),
            critical=False,
        )
    )
    if identity.hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(_names(identity.hosts)), critical=False)
    cert = builder.sign(ca_key, hashes.SHA256())
    _write_key(directory / f"{identity.file}.key", key)
    _write(directory / f"{identity.file}.crt", cert.public_bytes(serialization.Encoding.PEM), 0o644)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write(path, pem, 0o600)


def _write(path: Path, content: bytes, mode: int) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
        os.fsync(descriptor)
    temporary.rename(path)
