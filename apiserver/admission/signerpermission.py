"""May this user act for that signer?  What CertificateApproval and CertificateSigning ask."""

from __future__ import annotations

from apiserver.authorization import Attributes, Authorizer, Decision
from apiserver.request import User
from apiserver.requestinfo import RequestInfo

GROUP, PLURAL = "certificates.k8s.io", "certificatesigningrequests"


async def may(authorizer: Authorizer, user: User, verb: str, signer: str) -> bool:
    """`verb` on the signer itself, or on all signers of its domain."""
    for name in (signer, f"{signer.partition('/')[0]}/*"):
        info = RequestInfo("", verb, is_resource=True, group=GROUP, version="*", resource="signers", name=name)
        decision, _ = await authorizer.authorize(Attributes(user, info))
        if decision is Decision.ALLOW:
            return True
    return False
