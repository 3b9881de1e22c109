"""CertificateSubjectRestriction: nobody asks for a client certificate of the group system:masters."""

from __future__ import annotations

import base64
import binascii

from cryptography import x509
from cryptography.x509.oid import NameOID

from apiserver.admission import Attributes, Plugin
from apiserver.admission.signerpermission import GROUP, PLURAL

_SIGNER, _GROUP = "kubernetes.io/kube-apiserver-client", "system:masters"


class CertificateSubjectRestriction(Plugin):
    kinds = frozenset({(GROUP, PLURAL)})

    async def validate(self, attributes: Attributes) -> None:
        if attributes.operation != "CREATE" or attributes.subresource or not attributes.is_for(GROUP, PLURAL):
            return
        spec = (attributes.obj or {}).get("spec") or {}
        if spec.get("signerName") != _SIGNER:
            return
        try:
            request = x509.load_pem_x509_csr(base64.b64decode(spec.get("request") or ""))
        except (ValueError, binascii.Error):
            raise attributes.refuse("failed to parse CSR: PEM block type must be CERTIFICATE REQUEST") from None
        groups = request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        if any(one.value == _GROUP for one in groups):
            raise attributes.refuse(f"use of {_SIGNER} signer with {_GROUP} group is not allowed")
