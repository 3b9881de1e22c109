"""PriorityLevelConfiguration: limited with a response to too many requests, or exempt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.status import forbidden_field, invalid, not_supported, required

Object = Mapping[str, Any]
_EXEMPT = "exempt"
_MAX_QUEUES = 10_000_000


def validate(obj: Object) -> Errors:
    name = (obj.get("metadata") or {}).get("name", "")
    return check.object_name(obj, is_dns1123_subdomain) + _spec(obj.get("spec") or {}, name)


def validate_update(new: Object, old: Object) -> Errors:
    return validate(new)


def _spec(spec: Object, name: str) -> Errors:
    kind, limited, exempt = spec.get("type", ""), spec.get("limited"), spec.get("exempt")
    errors: Errors = []
    if (name == _EXEMPT) != (kind == "Exempt") and kind in ("Exempt", "Limited"):
        text = "must be 'Exempt' if and only if `name` is 'exempt'"
        errors.append(invalid("spec.type", kind, text))
    if kind == "Exempt":
        if limited is not None:
            errors.append(forbidden_field("spec.limited", "must be nil if the type is not Limited"))
        return errors + (_shares("spec.exempt", exempt) if exempt is not None else [])
    if kind != "Limited":
        return [*errors, not_supported("spec.type", kind, ("Exempt", "Limited"))]
    if exempt is not None:
        errors.append(forbidden_field("spec.exempt", "must be nil if the type is Limited"))
    if limited is None:
        return [*errors, required("spec.limited", "must not be empty when type is Limited")]
    return errors + _shares("spec.limited", limited) + _limited("spec.limited", limited)


def _shares(path: str, level: Object) -> Errors:
    shares, errors = level.get("nominalConcurrencyShares"), []
    if shares is not None and shares < 0:
        text = "must be a non-negative integer"
        errors.append(invalid(f"{path}.nominalConcurrencyShares", shares, text))
    return errors + check.within(f"{path}.lendablePercent", level.get("lendablePercent"), 0, 100)


def _limited(path: str, level: Object) -> Errors:
    response = level.get("limitResponse") or {}
    kind, queuing, path = response.get("type", ""), response.get("queuing"), f"{path}.limitResponse"
    errors: Errors = []
    borrowing = level.get("borrowingLimitPercent")
    if borrowing is not None and borrowing < 0:
        here = "spec.limited.borrowingLimitPercent"
        errors.append(invalid(here, borrowing, "if specified, must be a non-negative integer"))
    if kind == "Reject":
        if queuing is not None:
            text = "must be nil if limited.limitResponse.type is not Limited"
            errors.append(forbidden_field(f"{path}.queuing", text))
        return errors
    if kind != "Queue":
        return [*errors, not_supported(f"{path}.type", kind, ("Queue", "Reject"))]
    if queuing is None:
        text = "must not be empty if limited.limitResponse.type is Limited"
        return [*errors, required(f"{path}.queuing", text)]
    for field in ("queueLengthLimit", "queues"):
        if queuing.get(field, 0) <= 0:
            errors.append(invalid(f"{path}.queuing.{field}", queuing.get(field, 0), "must be positive"))
    if queuing.get("queues", 0) > _MAX_QUEUES:
        text = f"must not be greater than {_MAX_QUEUES}"
        errors.append(invalid(f"{path}.queuing.queues", queuing["queues"], text))
    hand, queues = queuing.get("handSize", 0), queuing.get("queues", 0)
    if hand <= 0:
        errors.append(invalid(f"{path}.queuing.handSize", hand, "must be positive"))
    elif hand > queues:
        errors.append(invalid(f"{path}.queuing.handSize", hand, f"should not be greater than queues ({queues})"))
    return errors
