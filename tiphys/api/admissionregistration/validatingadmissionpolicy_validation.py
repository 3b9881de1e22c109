"""ValidatingAdmissionPolicy: something to check, in requests that are named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.admissionregistration.expressions import BOOL, NULLABLE_TEXT, POLICY, TEXT, compile_errors
from tiphys.api.admissionregistration.parameters_validation import expression_errors, policy_spec_errors
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain, is_qualified_name
from tiphys.api.status import duplicate, invalid, not_supported, required, too_many

Object = Mapping[str, Any]
REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")
_MAX_ANNOTATIONS = 20


def validate(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    errors = check.object_name(obj, is_dns1123_subdomain) + policy_spec_errors(spec)
    if not spec.get("validations") and not spec.get("auditAnnotations"):
        text = "validations or auditAnnotations must contain at least one item"
        errors += [required("spec.validations", text), required("spec.auditAnnotations", text)]
    errors += check.each("spec.validations", spec.get("validations"), _validation)
    return errors + _annotations("spec.auditAnnotations", spec.get("auditAnnotations") or [])


def validate_update(new: Object, old: Object) -> Errors:
    return validate(new)


def _validation(path: str, item: Object) -> Errors:
    errors = expression_errors(f"{path}.expression", item.get("expression", ""))
    errors += compile_errors(f"{path}.expression", item.get("expression") or "", POLICY, BOOL)
    errors += compile_errors(f"{path}.messageExpression", item.get("messageExpression") or "", POLICY, TEXT)
    message, text = item.get("message", ""), item.get("messageExpression", "")
    if message and not message.strip():
        errors.append(invalid(f"{path}.message", message, "message must be non-empty if specified"))
    elif "\n" in message.strip():
        errors.append(invalid(f"{path}.message", message, "message must not contain line breaks"))
    if text and not text.strip():
        errors.append(invalid(f"{path}.messageExpression", text, "must be non-empty if specified"))
    reason = item.get("reason")
    if reason is not None and reason not in REASONS:
        errors.append(not_supported(f"{path}.reason", reason, REASONS))
    return errors


def _annotations(path: str, annotations: list[Object]) -> Errors:
    if len(annotations) > _MAX_ANNOTATIONS:
        return [too_many(path, len(annotations), _MAX_ANNOTATIONS)]
    errors: Errors = []
    seen: set[str] = set()
    for index, item in enumerate(annotations):
        here, key = f"{path}[{index}]", item.get("key", "")
        errors += check.name(f"{here}.key", key, is_qualified_name)
        if key in seen:
            errors.append(duplicate(f"{here}.key", key))
        seen.add(key)
        if not item.get("valueExpression", "").strip():
            errors.append(required(f"{here}.valueExpression", "valueExpression is not specified"))
        errors += compile_errors(f"{here}.valueExpression", item.get("valueExpression", ""), POLICY, NULLABLE_TEXT)
    return errors
