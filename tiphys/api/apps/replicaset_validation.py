"""What a replica set may say, and what of it may not change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.apps.workload_validation import workload_errors
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.status import invalid

Object = Mapping[str, Any]


def validate(obj: Object) -> Errors:
    return check.object_name(obj, is_dns1123_subdomain) + workload_errors(obj.get("spec") or {}, kind="ReplicaSet")


def validate_update(new: Object, old: Object) -> Errors:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors = workload_errors(spec, kind="ReplicaSet")
    return errors + check.immutable("spec.selector", spec.get("selector"), before.get("selector"))


def validate_status_update(new: Object, old: Object) -> Errors:
    status = new.get("status") or {}
    errors: Errors = []
    for field in ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"):
        errors += check.not_negative(f"status.{field}", status.get(field))
    for field in ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"):
        if status.get(field, 0) > status.get("replicas", 0):
            errors.append(invalid(f"status.{field}", status[field], "cannot be greater than status.replicas"))
    return errors
