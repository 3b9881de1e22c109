"""PodDisruptionBudget: one bound, as a number or a share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.status import invalid, not_supported

Object = Mapping[str, Any]


def validate(obj: Object) -> Errors:
    return check.object_name(obj, is_dns1123_subdomain) + _spec(obj.get("spec") or {})


def validate_update(new: Object, old: Object) -> Errors:
    return _spec(new.get("spec") or {})


def _spec(spec: Object) -> Errors:
    errors: Errors = []
    bounds = {name: spec.get(name) for name in ("minAvailable", "maxUnavailable")}
    if None not in bounds.values():
        errors.append(invalid("spec", _go_spec(spec), "minAvailable and maxUnavailable cannot be both set"))
    for name, value in bounds.items():
        if value is not None:
            errors += check.count_or_percent(f"spec.{name}", value)
            errors += check.at_most_100_percent(f"spec.{name}", value)
    errors += check.label_selector("spec.selector", spec.get("selector"))
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in ("AlwaysAllow", "IfHealthyBudget"):
        errors.append(not_supported("spec.unhealthyPodEvictionPolicy", policy, ("AlwaysAllow", "IfHealthyBudget")))
    return errors


def _go_spec(spec: Object) -> dict[str, Any]:
    """As messages show it: the names of upstream's own struct."""
    names = ("minAvailable", "selector", "maxUnavailable", "unhealthyPodEvictionPolicy")
    return {name[0].upper() + name[1:]: spec.get(name) for name in names}


def validate_status_update(new: Object, old: Object) -> Errors:
    errors: Errors = []
    for field in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"):
        errors += check.not_negative(f"status.{field}", (new.get("status") or {}).get(field))
    return errors
