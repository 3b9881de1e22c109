"""CertificateApproval: who approves a request must be allowed to approve for its signer."""

from __future__ import annotations

from apiserver.admission import Attributes, Plugin
from apiserver.admission.signerpermission import GROUP, PLURAL, may
from apiserver.authorization import Authorizer


class CertificateApproval(Plugin):
    kinds = frozenset({(GROUP, PLURAL)})

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, attributes: Attributes) -> None:
        if attributes.subresource != "approval" or not attributes.is_for(GROUP, PLURAL) or attributes.old is None:
            return
        signer = attributes.old["spec"].get("signerName", "")
        if not await may(self._authorizer, attributes.user, "approve", signer):
            raise attributes.refuse(f'user not permitted to approve requests with signerName "{signer}"')
