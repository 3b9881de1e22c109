"""Where the API server is and who we are to it."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass

from tiphys import __version__ as VERSION


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """All PEM data, none of it a path: the files were read when the configuration was loaded."""

    server: str  # https://host:port, without a trailing slash
    ca_data: bytes = b""  # empty: the system's authorities
    client_cert_data: bytes = b""
    client_key_data: bytes = b""
    token: str = ""
    namespace: str = "default"
    user_agent: str = f"tiphys/{VERSION}"
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    username: str = ""  # basic authentication: only proxies in front of a server still take it
    password: str = ""
    impersonate_user: str = ""
    impersonate_groups: tuple[str, ...] = ()

    def ssl_context(self) -> ssl.SSLContext | None:
        """TLS settings for this server; None for plain http."""
        if not self.server.startswith("https:"):
            return None
        if self.ca_data:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(cadata=self.ca_data.decode("ascii"))
        else:
            context = ssl.create_default_context()  # reads the system's authorities: some 20 ms
        if self.insecure_skip_tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.client_cert_data:
            _load_cert_chain(context, self.client_cert_data, self.client_key_data)
        return context

    def server_ssl_context(self) -> ssl.SSLContext | None:
        """For a component that serves with the certificate it also shows as a client; None where it has none.

        Clients may show a certificate of the same CA."""
        if not self.client_cert_data or not self.ca_data:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_verify_locations(cadata=self.ca_data.decode("ascii"))
        context.verify_mode = ssl.CERT_OPTIONAL
        _load_cert_chain(context, self.client_cert_data, self.client_key_data)
        return context


def _load_cert_chain(context: ssl.SSLContext, cert: bytes, key: bytes) -> None:
    """The ssl module reads keys from files only: hand it one that exists in memory and nowhere else."""
    fd = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
    try:
        os.write(fd, cert.rstrip() + b"\n" + key)
        context.load_cert_chain(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)
