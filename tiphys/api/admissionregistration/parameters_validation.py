"""What policies of both sorts, and their bindings, have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.admissionregistration.expressions import ANYTHING, POLICY, compile_errors
from tiphys.api.admissionregistration.matching_validation import (
    condition_errors,
    match_resources_errors,
    policy_errors,
)
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_c_identifier, is_dns1123_subdomain
from tiphys.api.status import duplicate, forbidden_field, invalid, required

Object = Mapping[str, Any]


def policy_spec_errors(spec: Object) -> Errors:
    """Constraints, parameters, variables and conditions of a policy."""
    errors = policy_errors("spec", {"failurePolicy": spec.get("failurePolicy")})
    kind = spec.get("paramKind")
    if kind is not None:
        errors += [required(f"spec.paramKind.{field}") for field in ("apiVersion", "kind") if not kind.get(field)]
    constraints = spec.get("matchConstraints")
    if constraints is None:
        errors.append(required("spec.matchConstraints"))
    else:
        errors += match_resources_errors("spec.matchConstraints", constraints)
        if not constraints.get("resourceRules"):
            errors.append(required("spec.matchConstraints.resourceRules"))
    errors += condition_errors("spec.matchConditions", spec.get("matchConditions") or [], POLICY)
    return errors + _variables("spec.variables", spec.get("variables") or [])


def _variables(path: str, variables: list[Object]) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for index, item in enumerate(variables):
        here, name = f"{path}[{index}]", item.get("name", "")
        if not name:
            errors.append(required(f"{here}.name", "name is not specified"))
        elif is_c_identifier(name):
            errors.append(invalid(f"{here}.name", name, "name is not a valid CEL identifier"))
        if name in seen:
            errors.append(duplicate(f"{here}.name", name))
        seen.add(name)
        errors += expression_errors(f"{here}.expression", item.get("expression", ""))
        errors += compile_errors(f"{here}.expression", item.get("expression") or "", POLICY, ANYTHING)
    return errors


def expression_errors(path: str, expression: str) -> Errors:
    return [] if expression.strip() else [required(path, "expression is not specified")]


def binding_errors(obj: Object) -> Errors:
    """Name, policy, parameters and resources of a binding."""
    spec = obj.get("spec") or {}
    errors = check.object_name(obj, is_dns1123_subdomain)
    errors += check.name("spec.policyName", spec.get("policyName", ""), is_dns1123_subdomain)
    if spec.get("paramRef") is not None:
        errors += _param_ref("spec.paramRef", spec["paramRef"])
    if spec.get("matchResources") is not None:
        errors += match_resources_errors("spec.matchResources", spec["matchResources"])
    return errors


def _param_ref(path: str, reference: Object) -> Errors:
    name, selector = reference.get("name", ""), reference.get("selector")
    errors: Errors = []
    if name and selector is not None:
        errors.append(forbidden_field(f"{path}.name", "name and selector are mutually exclusive"))
        errors.append(forbidden_field(f"{path}.selector", "name and selector are mutually exclusive"))
    elif not name and selector is None:
        errors.append(required(path, "one of name or selector must be specified"))
    errors += check.label_selector(f"{path}.selector", selector)
    action = reference.get("parameterNotFoundAction")
    if action is None:
        return [*errors, required(f"{path}.parameterNotFoundAction")]
    return errors + check.one_of(f"{path}.parameterNotFoundAction", action, ("Allow", "Deny"), optional=False)
