"""Certificates by SNI, from Secrets, taken into use without a restart; and a self-made one for hosts without.

What must stay true: keys are never written to a disk; a Secret that cannot be used leaves the last good certificate in
force; a request inside a connection that was made for one host is not routed for a host with another certificate.
"""

from __future__ import annotations

import base64
import logging
import os
import ssl
from collections.abc import Callable, Mapping
from datetime import timedelta
from weakref import WeakKeyDictionary

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nodeagent.ingress.routing import Table
from tiphys.api.core.secret import Secret
from tiphys.clock import Clock
from tiphys.logs import fields

_log = logging.getLogger(__name__)

Reference = tuple[str, str]  # namespace and name of a Secret
OWN_NAME = "Tiphys Ingress Controller Default Certificate"
_OWN_DAYS = 365


class Certificates:
    """`base` is the context of the listener; `table()` says which host shows which Secret."""

    def __init__(self, clock: Clock, table: Callable[[], Table]) -> None:
        self._table = table
        certificate, key = own_certificate(clock)
        self.base, self._own = _context(certificate, key), _context(certificate, key)
        self.base.sni_callback = self._choose
        self._contexts: dict[Reference, tuple[str, ssl.SSLContext]] = {}
        self._shown: WeakKeyDictionary[ssl.SSLContext, Reference | None] = WeakKeyDictionary()
        self._shown[self._own] = None

    def update(self, secrets: Mapping[Reference, Secret | None]) -> None:
        """These are referred to now; None: does not exist."""
        for gone in [one for one in self._contexts if one not in secrets]:
            del self._contexts[gone]
        for reference, secret in secrets.items():
            if secret is None:
                self._contexts.pop(reference, None)
                continue
            held = self._contexts.get(reference)
            version = f"{secret.metadata.uid}/{secret.metadata.resourceVersion}"
            if held is not None and held[0] == version:
                continue
            try:
                data = {name: base64.b64decode(secret.data.get(name, "")) for name in ("tls.crt", "tls.key")}
                context = _context(data["tls.crt"], data["tls.key"])
            except (ValueError, OSError) as error:  # ssl.SSLError is an OSError
                _log.warning(
                    "certificate not usable",
                    extra=fields(namespace=reference[0], secret=reference[1], cause=type(error).__name__),
                )
                continue
            self._contexts[reference] = (version, context)
            self._shown[context] = reference

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> int | None:
        if name:
            connection.context = self.context_for(name.lower().removesuffix("."))
        return None

    def context_for(self, host: str) -> ssl.SSLContext:
        """What is shown to who asks for `host`."""
        reference = self._table().secret_for(host)
        held = self._contexts.get(reference) if reference is not None else None
        return held[1] if held is not None else self._own

    def covers(self, used: ssl.SSLContext, host: str, table: Table) -> bool:
        """The connection's certificate is the one of `host`, or its client did not say which it wanted."""
        if used not in self._shown:
            return True
        wanted = table.secret_for(host)
        shown = self._shown[used]
        return shown == wanted or (shown is None and wanted not in self._contexts)


def _context(certificate: bytes, key: bytes) -> ssl.SSLContext:
    """Raises ssl.SSLError, ValueError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)  # ssl reads files only
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(key.rstrip() + b"\n" + certificate)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=_no_password)
    finally:
        os.close(descriptor)
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def own_certificate(clock: Clock) -> tuple[bytes, bytes]:
    """A self-signed certificate and its key, PEM, for hosts that have none."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, OWN_NAME)])
    now = clock.now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=_OWN_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("ingress.local")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form = serialization.PrivateFormat.PKCS8
    return certificate.public_bytes(pem), key.private_bytes(pem, form, serialization.NoEncryption())
