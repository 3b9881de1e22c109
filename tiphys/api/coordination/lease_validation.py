"""Lease: durations are positive, transitions are counted upwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.status import invalid, required

Object = Mapping[str, Any]


def validate(obj: Object) -> Errors:
    return check.object_name(obj, is_dns1123_subdomain) + _spec(obj.get("spec") or {})


def validate_update(new: Object, old: Object) -> Errors:
    return _spec(new.get("spec") or {})


def _spec(spec: Object) -> Errors:
    errors = check.positive("spec.leaseDurationSeconds", spec.get("leaseDurationSeconds"))
    errors += check.not_negative("spec.leaseTransitions", spec.get("leaseTransitions"))
    if spec.get("preferredHolder") and not spec.get("strategy"):
        errors.append(required("spec.strategy", "must be specified when `preferredHolder` is specified"))
    if spec.get("strategy") == "":
        errors.append(invalid("spec.strategy", "", "must not be empty"))
    return errors
