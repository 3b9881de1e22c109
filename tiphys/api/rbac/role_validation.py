"""Role and ClusterRole: rules about resources or about paths, never about both.  Any name that fits a URL will do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.status import invalid, required

Object = Mapping[str, Any]


def validate(obj: Object) -> Errors:
    namespaced = obj.get("kind") == "Role"
    errors: Errors = []
    for index, rule in enumerate(obj.get("rules") or []):
        errors += _rule(f"rules[{index}]", rule, namespaced=namespaced)
    selectors = (obj.get("aggregationRule") or {}).get("clusterRoleSelectors")
    if obj.get("aggregationRule") is not None and not selectors:
        path = "aggregationRule.clusterRoleSelectors"
        errors.append(required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
    return errors + check.each("aggregationRule.clusterRoleSelectors", selectors, check.label_selector)


def validate_update(new: Object, old: Object) -> Errors:
    return validate(new)


def _rule(path: str, rule: Object, *, namespaced: bool) -> Errors:
    urls = rule.get("nonResourceURLs") or []
    errors: Errors = []
    if not rule.get("verbs"):
        errors.append(required(f"{path}.verbs", "verbs must contain at least one value"))
    if urls:
        if namespaced:
            text = "namespaced rules cannot apply to non-resource URLs"
            errors.append(invalid(f"{path}.nonResourceURLs", urls, text))
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            text = "rules cannot apply to both regular resources and non-resource URLs"
            errors.append(invalid(f"{path}.nonResourceURLs", urls, text))
        return errors
    if not rule.get("apiGroups"):
        errors.append(required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
    if not rule.get("resources"):
        errors.append(required(f"{path}.resources", "resource rules must supply at least one resource"))
    return errors
