"""ValidatingAdmissionPolicyBinding: a policy and what happens when it is broken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api.admissionregistration.parameters_validation import binding_errors
from tiphys.api.field_checks import Errors
from tiphys.api.status import duplicate, invalid, not_supported, required

Object = Mapping[str, Any]
ACTIONS = ("Audit", "Deny", "Warn")


def validate(obj: Object) -> Errors:
    path, actions = "spec.validationActions", (obj.get("spec") or {}).get("validationActions") or []
    errors = binding_errors(obj)
    if not actions:
        errors.append(required(path, "at least one validation action is required"))
    seen: set[str] = set()
    for index, action in enumerate(actions):
        if action not in ACTIONS:
            errors.append(not_supported(f"{path}[{index}]", action, ACTIONS))
        if action in seen:
            errors.append(duplicate(f"{path}[{index}]", action))
        seen.add(action)
    if seen >= {"Deny", "Warn"}:
        text = (
            "must not contain both Deny and Warn (repeating the same validation failure information in the API "
            "response and headers serves no purpose)"
        )
        errors.append(invalid(path, actions, text))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    return validate(new)
