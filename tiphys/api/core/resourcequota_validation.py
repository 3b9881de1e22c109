"""ResourceQuota: known resources, and scopes that fit together and to the resources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.core.quota_resources import COMPUTE, quantity_errors, quota_name_errors
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.status import invalid, not_supported, required

Object = Mapping[str, Any]
SCOPES = (
    *("BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass", "Terminating"),
    "VolumeAttributesClass",
)
_CONFLICTS = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))
_WITHOUT_VALUES = ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity")


def validate(obj: Object) -> Errors:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return check.object_name(obj, is_dns1123_subdomain) + _spec(spec) + _status(status)


def validate_update(new: Object, old: Object) -> Errors:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors = _spec(spec)
    if sorted(spec.get("scopes") or []) != sorted(before.get("scopes") or []):
        errors.append(invalid("spec.scopes", spec.get("scopes"), "field is immutable"))
    return errors + check.immutable("spec.scopeSelector", spec.get("scopeSelector"), before.get("scopeSelector"))


def validate_status_update(new: Object, old: Object) -> Errors:
    return _status(new.get("status") or {})


def _spec(spec: Object) -> Errors:
    hard = spec.get("hard") or {}
    errors = _amounts("spec.hard", hard)
    scopes = spec.get("scopes") or []
    if scopes:
        errors += _scopes("spec.scopes", scopes, hard, scopes)
    selector = spec.get("scopeSelector")
    if selector is not None:
        requirements = selector.get("matchExpressions") or []
        errors += check.each("spec.scopeSelector.matchExpressions", requirements, _requirement)
        names = [item.get("scopeName", "") for item in requirements]
        errors += _scopes("spec.scopeSelector.matchExpressions", names, hard, requirements)
    return errors


def _status(status: Object) -> Errors:
    return _amounts("status.hard", status.get("hard") or {}) + _amounts("status.used", status.get("used") or {})


def _amounts(path: str, amounts: Mapping[str, str]) -> Errors:
    errors: Errors = []
    for name, amount in amounts.items():
        errors += quota_name_errors(f"{path}[{name}]", name) + quantity_errors(f"{path}[{name}]", name, amount)
    return errors


def _scopes(path: str, names: list[str], hard: Mapping[str, str], shown: Any) -> Errors:
    texts: dict[str, None] = {}  # each error shows the whole list: once is enough
    standard = [resource for resource in hard if "/" not in resource]
    for scope in dict.fromkeys(names):
        if scope not in SCOPES:
            texts["unsupported scope"] = None
        elif any(not _counts(scope, resource) for resource in standard):
            texts["unsupported scope applied to resource"] = None
    errors = [invalid(path, shown, text) for text in texts]
    for pair in _CONFLICTS:
        if set(pair) <= set(names):
            errors.append(invalid(path, shown, "conflicting scopes"))
    return errors


def _counts(scope: str, resource: str) -> bool:
    """Whether a scope has a meaning for a standard resource."""
    if resource not in (*COMPUTE, "pods") and scope != "VolumeAttributesClass":
        return not quota_name_errors("", resource) and resource.startswith(("hugepages-", "requests.hugepages-"))
    if scope == "BestEffort":
        return resource == "pods"
    if scope == "VolumeAttributesClass":
        return resource in ("persistentvolumeclaims", "requests.storage")
    return True


def _requirement(path: str, item: Object) -> Errors:
    scope, operator, values = item.get("scopeName", ""), item.get("operator", ""), item.get("values") or []
    errors: Errors = []
    if scope in _WITHOUT_VALUES and operator != "Exists":
        text = (
            "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
            "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or "
            "ResourceQuotaScopeCrossNamespacePodAffinity"
        )
        errors.append(invalid(f"{path}.operator", operator, text))
    if operator in ("In", "NotIn"):
        if not values:
            text = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            errors.append(required(f"{path}.values", text))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            text = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            errors.append(invalid(f"{path}.values", values, text))
    else:
        errors.append(not_supported(f"{path}.operator", operator, ("DoesNotExist", "Exists", "In", "NotIn")))
    return errors
