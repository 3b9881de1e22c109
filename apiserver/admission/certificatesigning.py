"""CertificateSigning: who writes a certificate into a request must be allowed to sign for its signer."""

from __future__ import annotations

from apiserver.admission import Attributes, Plugin
from apiserver.admission.signerpermission import GROUP, PLURAL, may
from apiserver.authorization import Authorizer

_SIGNED = ("certificate", "conditions")


class CertificateSigning(Plugin):
    kinds = frozenset({(GROUP, PLURAL)})

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, attributes: Attributes) -> None:
        if attributes.subresource != "status" or not attributes.is_for(GROUP, PLURAL) or attributes.old is None:
            return
        old, new = attributes.old.get("status") or {}, (attributes.obj or {}).get("status") or {}
        if all(old.get(field) == new.get(field) for field in _SIGNED):
            return
        signer = attributes.old["spec"].get("signerName", "")
        if not await may(self._authorizer, attributes.user, "sign", signer):
            raise attributes.refuse(f'user not permitted to sign requests with signerName "{signer}"')
