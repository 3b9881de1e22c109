"""The agents: where they are, and the certificate that this server shows them.

What must stay true: an agent is believed only with a certificate of the cluster's CA for the address that the Node
object gives, and it sees ours.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from apiserver.resources import Resources
from tiphys.api.status import internal_error, not_found


@dataclass(frozen=True, slots=True)
class AgentAddress:
    host: str
    port: int

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"


class Agents:
    def __init__(self, resources: Resources, ca: Path, certificate: Path, key: Path) -> None:
        self._resources = resources
        self._files = (ca, certificate, key)
        self._context: ssl.SSLContext | None = None

    def address(self, node_name: str) -> AgentAddress:
        """Raises 404, 500."""
        node = self._resources.peek("", "nodes", "", node_name)
        if node is None:
            raise not_found("", "nodes", node_name)
        status = node.get("status", {})
        addresses = {one["type"]: one["address"] for one in reversed(status.get("addresses", []))}
        port = status.get("daemonEndpoints", {}).get("kubeletEndpoint", {}).get("Port", 0)
        for kind in ("InternalIP", "ExternalIP", "Hostname"):
            if kind in addresses and port:
                return AgentAddress(addresses[kind], port)
        raise internal_error(f"no preferred addresses found; known addresses: {sorted(addresses)}")

    def tls(self) -> ssl.SSLContext:
        if self._context is None:
            ca, certificate, key = self._files
            self._context = ssl.create_default_context(cafile=str(ca))
            self._context.load_cert_chain(certificate, key)
        return self._context
