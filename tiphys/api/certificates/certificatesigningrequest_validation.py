"""CertificateSigningRequest: a signed request in PEM, a signer's name, and usages that exist."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.certificates.certificatesigningrequest import USAGES
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.status import duplicate, invalid, not_supported, required

Object = Mapping[str, Any]
_MIN_SECONDS = 600
_BEGIN, _END = b"-----BEGIN CERTIFICATE REQUEST-----", b"-----END CERTIFICATE REQUEST-----"


def validate(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    errors = _request("spec.request", spec.get("request", ""))
    if not spec.get("usages"):
        errors.append(required("spec.usages"))
    seen: set[str] = set()
    for index, usage in enumerate(spec.get("usages") or []):
        if usage not in USAGES:
            errors.append(not_supported(f"spec.usages[{index}]", usage, USAGES))
        elif usage in seen:
            errors.append(duplicate(f"spec.usages[{index}]", usage))
        seen.add(usage)
    errors += _signer("spec.signerName", spec.get("signerName", ""))
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < _MIN_SECONDS:
        text = f"may not specify a duration less than {_MIN_SECONDS} seconds (10 minutes)"
        errors.append(invalid("spec.expirationSeconds", seconds, text))
    return errors + _conditions(obj.get("status") or {})


def _request(path: str, text: str) -> Errors:
    from cryptography import x509

    data = base64.b64decode(text)
    start = data.find(b"-----BEGIN ")
    end = data.find(_END, start)
    if start < 0 or end < 0 or not data.startswith(_BEGIN, start):
        return [invalid(path, text, "PEM block type must be CERTIFICATE REQUEST")]
    try:
        request = x509.load_pem_x509_csr(data[start : end + len(_END)])
        signed = request.is_signature_valid
    except Exception as error:  # the library raises whatever its parsers raise
        return [invalid(path, text, f"asn1: structure error: {type(error).__name__}")]
    return [] if signed else [invalid(path, text, "x509: signature verification failed")]


def _signer(path: str, name: str) -> Errors:
    """A domain and a path, as example.com/signer."""
    if not name:
        return [required(path)]
    domain, slash, rest = name.partition("/")
    if not slash:
        text = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        return [invalid(path, name, text)]
    errors = [invalid(path, domain, f'validating label "{domain}": {text}') for text in is_dns1123_subdomain(domain)]
    if "." not in domain:
        errors.append(invalid(path, domain, "should be a domain with at least two segments separated by dots"))
    for text in is_dns1123_subdomain(rest):
        errors.append(invalid(path, name, f'validating label "{rest}": {text}'))
    return errors


def _conditions(status: Object) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for index, item in enumerate(status.get("conditions") or []):
        path, kind, state = f"status.conditions[{index}]", item.get("type", ""), item.get("status", "")
        if not kind:
            errors.append(required(f"{path}.type"))
        if kind in ("Approved", "Denied", "Failed"):
            errors += check.one_of(f"{path}.status", state, ("True",), optional=False)
        else:
            errors += check.one_of(f"{path}.status", state, ("True", "False", "Unknown"), optional=False)
        if {kind, *seen} >= {"Approved", "Denied"}:
            text = "Approved and Denied conditions are mutually exclusive"
            errors.append(invalid(f"{path}.type", kind, text))
        if kind in seen:
            errors.append(duplicate(f"{path}.type", kind))
        seen.add(kind)
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """Decisions stay, and so does a certificate that was issued."""
    errors = _conditions(new.get("status") or {})
    for kind in ("Approved", "Denied", "Failed"):
        before, after = (
            [item for item in (obj.get("status") or {}).get("conditions") or [] if item.get("type") == kind]
            for obj in (old, new)
        )
        if before and not after:
            errors.append(invalid("status.conditions", kind, f"{kind} conditions cannot be removed"))
    certificate = (old.get("status") or {}).get("certificate")
    if certificate:
        errors += check.immutable("status.certificate", (new.get("status") or {}).get("certificate"), certificate)
    return errors


def validate_status_update(new: Object, old: Object) -> Errors:
    return validate_update(new, old)
