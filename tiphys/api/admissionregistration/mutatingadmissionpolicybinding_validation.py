"""MutatingAdmissionPolicyBinding: a policy, and where it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api.admissionregistration.parameters_validation import binding_errors
from tiphys.api.field_checks import Errors

Object = Mapping[str, Any]


def validate(obj: Object) -> Errors:
    return binding_errors(obj)


def validate_update(new: Object, old: Object) -> Errors:
    return binding_errors(new)
