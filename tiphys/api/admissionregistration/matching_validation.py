"""The rules of webhooks and policies: which operations on which resources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.admissionregistration.expressions import BOOL, CONDITION, compile_errors
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_qualified_name
from tiphys.api.status import duplicate, invalid, not_supported, required, too_many

Object = Mapping[str, Any]
OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
SCOPES = ("*", "Cluster", "Namespaced")
MATCH_POLICIES = ("Equivalent", "Exact")
FAILURE_POLICIES = ("Fail", "Ignore")
_MAX_CONDITIONS = 64


def rule_errors(path: str, rule: Object) -> Errors:
    operations = rule.get("operations") or []
    errors: Errors = [] if operations else [required(f"{path}.operations")]
    errors += _star_alone(f"{path}.operations", operations, "operations")
    for index, operation in enumerate(operations):
        if operation not in OPERATIONS:
            errors.append(not_supported(f"{path}.operations[{index}]", operation, OPERATIONS))
    for field, word in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        values = rule.get(field) or []
        errors += [] if values else [required(f"{path}.{field}")]
        errors += _star_alone(f"{path}.{field}", values, word)
        if field == "apiVersions":
            errors += [required(f"{path}.{field}[{index}]") for index, value in enumerate(values) if not value]
    errors += _resources(f"{path}.resources", rule.get("resources") or [])
    scope = rule.get("scope")
    if scope is not None and scope not in SCOPES:
        errors.append(not_supported(f"{path}.scope", scope, SCOPES))
    return errors


def _star_alone(path: str, values: list[str], word: str) -> Errors:
    if len(values) > 1 and "*" in values:
        return [invalid(path, values, f"if '*' is present, must not specify other {word}")]
    return []


def _resources(path: str, resources: list[str]) -> Errors:
    """A star for all resources, or for all subresources, makes the ones it covers superfluous."""
    if not resources:
        return [required(path)]
    errors: Errors = []
    whole: set[str] = set()
    all_of: set[str] = set()
    for index, text in enumerate(resources):
        here = f"{path}[{index}]"
        if not text:
            errors.append(required(here))
            continue
        resource, _, part = text.partition("/")
        if resource in all_of and part:
            errors.append(invalid(here, text, f"if '{resource}/*' is present, must not specify {text}"))
        if f"*/{part}" in whole and part and resource != "*":
            errors.append(invalid(here, text, f"if '*/{part}' is present, must not specify {text}"))
        if part == "*":
            all_of.add(resource)
        whole.add(text)
    if len(resources) > 1 and "*/*" in whole:
        text = "if '*/*' is present, must not specify other resources"
        errors.append(invalid(path, resources, text))
    if "*" in whole and any("/" not in text and text != "*" for text in resources):
        text = "if '*' is present, must not specify other resources without subresources"
        errors.append(invalid(path, resources, text))
    return errors


def condition_errors(path: str, conditions: list[Object], variables: tuple[str, ...] = CONDITION) -> Errors:
    """Conditions of a webhook (`variables` CONDITION) or of a policy."""
    if len(conditions) > _MAX_CONDITIONS:
        return [too_many(path, len(conditions), _MAX_CONDITIONS)]
    errors: Errors = []
    seen: set[str] = set()
    for index, item in enumerate(conditions):
        here, name = f"{path}[{index}]", item.get("name", "")
        if not (item.get("expression") or "").strip():
            errors.append(required(f"{here}.expression"))
        errors += compile_errors(f"{here}.expression", item.get("expression") or "", variables, BOOL)
        errors += check.name(f"{here}.name", name, is_qualified_name)
        if name in seen:
            errors.append(duplicate(f"{here}.name", name))
        seen.add(name)
    return errors


def policy_errors(path: str, obj: Object) -> Errors:
    """failurePolicy, matchPolicy and the selectors of a webhook or of a policy's constraints."""
    errors: Errors = []
    for field, supported in (("failurePolicy", FAILURE_POLICIES), ("matchPolicy", MATCH_POLICIES)):
        if obj.get(field) is not None and obj[field] not in supported:
            errors.append(not_supported(f"{path}.{field}", obj[field], supported))
    for field in ("namespaceSelector", "objectSelector"):
        errors += check.label_selector(f"{path}.{field}", obj.get(field))
    return errors


def match_resources_errors(path: str, match: Object) -> Errors:
    errors = policy_errors(path, match)
    for field in ("resourceRules", "excludeResourceRules"):
        errors += check.each(f"{path}.{field}", match.get(field), rule_errors)
    return errors
