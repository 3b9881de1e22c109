"""Where proxied connections may go: decided on the address that is connected to, never on a name.

What must stay true: the loopback and link-local addresses of this machine are reached by nobody through the proxy, in
whichever spelling; the one exception is the agent's own port of a node, where the agent's certificate is checked.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from dataclasses import dataclass
from typing import Any

from tiphys.api.status import StatusError


@dataclass(frozen=True, slots=True)
class Target:
    """An address, with TLS where `tls` is given.  `host` is an IP address; `trusted` lifts the address rule.

    `server_name`: whom the certificate must be for, "" the host."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    trusted: bool = False
    server_name: str = ""

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"


class AddressNotAllowed(OSError):
    """The proxy does not connect there."""


def refused() -> StatusError:
    return StatusError(403, "Forbidden", "address not allowed", details={})


def allowed(text: str) -> bool:
    """Whether the proxy connects to this IP address; False for what is none."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        for inner in (address.ipv4_mapped, address.sixtofour, address.teredo and address.teredo[1]):
            if inner is not None and not allowed(str(inner)):
                return False
    never = (address.is_loopback, address.is_link_local, address.is_unspecified, address.is_multicast)
    return not any(never) and text != "255.255.255.255"


def checked_socket(address: Any) -> socket.socket:
    """The socket for a connection to one resolved address (aiohttp's socket factory).  Raises AddressNotAllowed."""
    family, kind, protocol, _, where = address
    if not allowed(where[0]):
        raise AddressNotAllowed(f"address not allowed: {where[0]}")
    return socket.socket(family, kind, protocol)
