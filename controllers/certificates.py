"""Certificate signing requests: kubelets' are approved, approved ones signed, old ones removed.

Who may have a kubelet's client certificate without a person's yes is a question to RBAC (certificatesigningrequests/
nodeclient and /selfnodeclient), as upstream asks it.  What a signer grants is certificaterequests.py.
"""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import Any, ClassVar

from cryptography import x509

from controllers.certificaterequests import KUBELET_CLIENT, SIGNERS, Authority, Request, kubelet_client_refusal, parse
from tiphys.api.authorization.reviews import SubjectAccessReview
from tiphys.api.certificates.certificatesigningrequest import (
    CertificateSigningRequest,
    CertificateSigningRequestCondition,
)
from tiphys.api.times import format_time, parse_time
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Environment, Writes
from tiphys.client.resources import Resource

SIGNER_RESOURCE: Resource[Any] = Resource(
    "certificates.k8s.io", "v1", "signers", "Signer", False, CertificateSigningRequest.model_validate
)
PENDING = timedelta(hours=24)
ENDED = timedelta(hours=1)


def condition_of(request: CertificateSigningRequest, type: str) -> CertificateSigningRequestCondition | None:
    return next((one for one in request.status.conditions if one.type == type), None)


def is_decided(request: CertificateSigningRequest) -> bool:
    return any(condition_of(request, type) for type in ("Approved", "Denied"))


def with_condition(request: CertificateSigningRequest, now: datetime, **more: str) -> CertificateSigningRequest:
    at = format_time(now)
    new = CertificateSigningRequestCondition(status="True", lastUpdateTime=at, lastTransitionTime=at, **more)
    status = request.status.model_copy(update={"conditions": [*request.status.conditions, new]})
    return request.model_copy(update={"status": status})


def approvals(request: CertificateSigningRequest, parsed: Request) -> list[tuple[str, str]]:
    """(right to ask for, message of the approval), of which any one is enough."""
    if request.spec.signerName != KUBELET_CLIENT or kubelet_client_refusal(parsed, request.spec.usages):
        return []
    found = [("nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview.")]
    if request.spec.username == parsed.common_name:
        message = "Auto approving self kubelet client certificate after SubjectAccessReview."
        found.insert(0, ("selfnodeclient", message))
    return found


class CertificateApprover(Controller):
    name: ClassVar = "certificatesigningrequest-approving-controller"
    kind = CertificateSigningRequest
    writes = (
        Writes(CertificateSigningRequest, ("update",), "approval"),
        Writes(SubjectAccessReview, ("create",)),
        Writes(SIGNER_RESOURCE, ("approve",)),
    )

    async def reconcile(self, key: Key) -> float | None:
        request = self.cache(CertificateSigningRequest).get(*key)
        if request is None or is_decided(request) or request.status.certificate:
            return None
        try:
            parsed = parse(request.spec.request)
        except ValueError:
            return None  # a person may look at it
        for right, message in approvals(request, parsed):
            if await self._may(request, right):
                reason = "AutoApproved"
                approved = with_condition(request, self.clock.now(), type="Approved", reason=reason, message=message)
                await self.client.update(approved, subresource="approval")
                return None
        return None

    async def _may(self, request: CertificateSigningRequest, right: str) -> bool:
        spec = request.spec
        attributes = {
            "group": "certificates.k8s.io",
            "resource": "certificatesigningrequests",
            "verb": "create",
            "subresource": right,
            "version": "*",
        }
        asked = {
            "user": spec.username,
            "uid": spec.uid,
            "groups": spec.groups,
            "extra": spec.extra,
            "resourceAttributes": attributes,
        }
        body = SubjectAccessReview.model_validate({"spec": asked}).to_dict()
        answer = await self.client.create_subresource(SubjectAccessReview, "", "", "", body)
        return bool(answer["status"]["allowed"])


class CertificateSigner(Controller):
    name: ClassVar = "certificatesigningrequest-signing-controller"
    kind = CertificateSigningRequest
    writes = (
        Writes(CertificateSigningRequest, ("update",), "status"),
        Writes(SIGNER_RESOURCE, ("sign",)),
    )

    def __init__(self, environment: Environment, authority: Authority | None = None) -> None:
        super().__init__(environment)
        self.authority = authority
        if authority is None and environment.pki_dir is not None:
            self.authority = Authority.load(environment.pki_dir)

    async def reconcile(self, key: Key) -> float | None:
        request = self.cache(CertificateSigningRequest).get(*key)
        if request is None or self.authority is None or request.spec.signerName not in SIGNERS:
            return None
        done = request.status.certificate or condition_of(request, "Failed") or condition_of(request, "Denied")
        if done or condition_of(request, "Approved") is None:
            return None
        spec, now = request.spec, self.clock.now()
        try:
            parsed = parse(spec.request)
            refusal = SIGNERS[spec.signerName](parsed, spec.usages)
        except ValueError as error:
            refusal = f"unable to parse csr: {error}"
        if refusal:
            failed = with_condition(request, now, type="Failed", reason="SignerValidationFailure", message=refusal)
            await self.client.update(failed, subresource="status")
            return None
        certificate = self.authority.sign(parsed, spec.usages, spec.expirationSeconds, now)
        status = request.status.model_copy(update={"certificate": base64.b64encode(certificate).decode("ascii")})
        await self.client.update(request.model_copy(update={"status": status}), subresource="status")
        return None


def removal_seconds(request: CertificateSigningRequest, now: datetime) -> float:
    """Seconds until a request is of no use to anybody: 0 when it is time."""
    ended = next((one for type in ("Denied", "Failed", "Approved") if (one := condition_of(request, type))), None)
    if ended is None or (ended.type == "Approved" and not request.status.certificate):
        due = parse_time(request.metadata.creationTimestamp) + PENDING
    else:
        due = parse_time(ended.lastUpdateTime or request.metadata.creationTimestamp) + ENDED
    if request.status.certificate:
        due = min(due, _expiry(request.status.certificate) or due)
    return max(0.0, (due - now).total_seconds())


def _expiry(encoded: str) -> datetime | None:
    try:
        return x509.load_pem_x509_certificate(base64.b64decode(encoded)).not_valid_after_utc
    except ValueError:
        return None


class CertificateCleaner(Controller):
    name: ClassVar = "certificatesigningrequest-cleaner-controller"
    kind = CertificateSigningRequest
    writes = (Writes(CertificateSigningRequest, ("delete",)),)

    async def reconcile(self, key: Key) -> float | None:
        request = self.cache(CertificateSigningRequest).get(*key)
        if request is None or request.metadata.deletionTimestamp:
            return None
        left_seconds = removal_seconds(request, self.clock.now())
        if left_seconds > 0:
            return left_seconds
        await self.client.delete(CertificateSigningRequest, key.name, uid=request.metadata.uid)
        return None
