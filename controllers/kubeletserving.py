"""Approves the certificate that a node's agent serves with, when it asks for its own name and addresses only.

What must stay true: nobody gets a certificate for an address or name of somebody else: not of another node, not of the
API server, not of a Service, not a loopback address.  What is not approved here stays for a person to look at.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from typing import ClassVar

from cryptography import x509

from controllers.certificaterequests import KUBELET_SERVING, Request, kubelet_serving_refusal, parse
from controllers.certificates import SIGNER_RESOURCE, is_decided, with_condition
from tiphys.api.certificates.certificatesigningrequest import CertificateSigningRequest
from tiphys.api.core.endpoints import Endpoints
from tiphys.api.core.node import Node
from tiphys.api.core.service import Service
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Writes

MESSAGE = "The node asks for its own name and addresses."
_USER = "system:node:"


def addresses_of(node: Node) -> set[str]:
    return {one.address for one in node.status.addresses if one.type in ("InternalIP", "ExternalIP")}


def refusal(parsed: Request, user: str, node: Node | None, foreign: Collection[str]) -> str:
    """ "" when the certificate may be given, else why not.  `foreign`: addresses that are somebody else's."""
    name = user.removeprefix(_USER)
    if not user.startswith(_USER) or parsed.common_name != user:
        return "it is not the node itself that asks"
    if node is None or node.metadata.name != name:
        return "the node is not registered"
    own = addresses_of(node)
    for one in parsed.names:
        if isinstance(one, x509.DNSName):
            if one.value != name:
                return f"{one.value} is not the node's name"
            continue
        address = one.value if isinstance(one, x509.IPAddress) else None
        if not isinstance(address, ipaddress.IPv4Address | ipaddress.IPv6Address):
            return "a name that is neither DNS nor IP"
        if str(address) not in own or address.is_loopback or address.is_unspecified:
            return f"{address} is not the node's address"
        if str(address) in foreign:
            return f"{address} is somebody else's address"
    return ""


class KubeletServingApprover(Controller):
    name: ClassVar = "kubelet-serving-approver-controller"
    kind = CertificateSigningRequest
    reads = (Node, Endpoints, Service)
    writes = (
        Writes(CertificateSigningRequest, ("update",), "approval"),
        Writes(SIGNER_RESOURCE, ("approve",)),
    )

    def setup(self) -> None:
        self.on(Node, self._of_node)

    def _of_node(self, node: Node) -> Iterable[Key]:
        """Its undecided requests: a node may ask before its addresses are known."""
        user = _USER + node.metadata.name
        for one in self.cache(CertificateSigningRequest).list():
            if one.spec.username == user and not is_decided(one):
                yield Key("", one.metadata.name)

    async def reconcile(self, key: Key) -> float | None:
        request = self.cache(CertificateSigningRequest).get(*key)
        if request is None or request.spec.signerName != KUBELET_SERVING or is_decided(request):
            return None
        try:
            parsed = parse(request.spec.request)
        except ValueError:
            return None
        node = self.cache(Node).get("", request.spec.username.removeprefix(_USER))
        if kubelet_serving_refusal(parsed, request.spec.usages):
            return None
        if refusal(parsed, request.spec.username, node, self._foreign(node)):
            return None
        approved = with_condition(request, self.clock.now(), type="Approved", reason="AutoApproved", message=MESSAGE)
        await self.client.update(approved, subresource="approval")
        return None

    def _foreign(self, node: Node | None) -> set[str]:
        nodes = [one for one in self.cache(Node).list() if node is None or one.metadata.name != node.metadata.name]
        found = {address for one in nodes for address in addresses_of(one)}
        servers = self.cache(Endpoints).get("default", "kubernetes")
        if servers is not None:
            found |= {address.ip for subset in servers.subsets for address in subset.addresses}
        return found | {ip for one in self.cache(Service).list() for ip in one.spec.clusterIPs}
