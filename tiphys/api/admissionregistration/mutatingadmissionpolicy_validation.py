"""MutatingAdmissionPolicy: changes to make, in requests that are named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.admissionregistration.expressions import mutation_errors
from tiphys.api.admissionregistration.parameters_validation import expression_errors, policy_spec_errors
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.status import forbidden_field, required

Object = Mapping[str, Any]
_PATCHES = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}


def validate(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    errors = check.object_name(obj, is_dns1123_subdomain) + policy_spec_errors(spec)
    if not spec.get("mutations"):
        errors.append(required("spec.mutations", "mutations must contain at least one item"))
    errors += check.each("spec.mutations", spec.get("mutations"), _mutation)
    policy = spec.get("reinvocationPolicy") or ""
    return errors + check.one_of("spec.reinvocationPolicy", policy, ("IfNeeded", "Never"), optional=False)


def validate_update(new: Object, old: Object) -> Errors:
    return validate(new)


def _mutation(path: str, item: Object) -> Errors:
    kind = item.get("patchType", "")
    if kind not in _PATCHES:
        return check.one_of(f"{path}.patchType", kind, tuple(_PATCHES), optional=False)
    own = _PATCHES[kind]
    errors: Errors = []
    for other in _PATCHES.values():
        if other != own and item.get(other) is not None:
            errors.append(forbidden_field(f"{path}.{other}", f"must not be specified when patchType is {kind}"))
    if item.get(own) is None:
        return [*errors, required(f"{path}.{own}", f"must be specified when patchType is {kind}")]
    text = item[own].get("expression") or ""
    where = f"{path}.{own}.expression"
    return errors + expression_errors(where, text) + mutation_errors(where, text)
