"""The policies of a job about failed and succeeded pods: rules that can apply, about containers that exist."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_qualified_name
from tiphys.api.status import duplicate, invalid, not_supported, required, too_many

Object = Mapping[str, Any]
ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_MAX_RULES, _MAX_EXIT_CODES, _MAX_PATTERNS = 20, 255, 20
_INDEXES_TEXT = "error parsing succeededIndexes: cannot convert string to integer for index"
_INDEXES = re.compile(r"^[0-9]{1,10}(-[0-9]{1,10})?(,[0-9]{1,10}(-[0-9]{1,10})?)*$", re.ASCII)


def pod_failure_policy_errors(path: str, spec: Object) -> Errors:
    """`spec` is the job's, with a podFailurePolicy."""
    rules = (spec.get("podFailurePolicy") or {}).get("rules") or []
    if len(rules) > _MAX_RULES:
        return [too_many(f"{path}.rules", len(rules), _MAX_RULES)]
    pod = (spec.get("template") or {}).get("spec") or {}
    containers = {
        container.get("name", "") for field in ("containers", "initContainers") for container in pod.get(field) or []
    }
    errors: Errors = []
    for index, rule in enumerate(rules):
        errors += _rule(f"{path}.rules[{index}]", rule, spec, containers)
    return errors


def _rule(path: str, rule: Object, spec: Object, containers: set[str]) -> Errors:
    action = rule.get("action", "")
    errors: Errors = []
    if not action:
        errors.append(required(f"{path}.action", f"valid values: {_quoted(ACTIONS)}"))
    elif action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
        text = "requires the backoffLimitPerIndex to be set"
        errors.append(invalid(f"{path}.action", action, text))
    elif action not in ACTIONS:
        errors.append(not_supported(f"{path}.action", action, ACTIONS))
    codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions") or []
    if codes is not None:
        errors += _exit_codes(f"{path}.onExitCodes", codes, containers)
    if conditions:
        errors += _conditions(f"{path}.onPodConditions", conditions)
    if codes is not None and conditions:
        text = "specifying both OnExitCodes and OnPodConditions is not supported"
        errors.append(invalid(path, None, text))
    if codes is None and not conditions:
        text = "specifying one of OnExitCodes and OnPodConditions is required"
        errors.append(invalid(path, None, text))
    return errors


def _exit_codes(path: str, codes: Object, containers: set[str]) -> Errors:
    operator, values, name = codes.get("operator", ""), codes.get("values") or [], codes.get("containerName")
    errors: Errors = []
    if not operator:
        errors.append(required(f"{path}.operator", f"valid values: {_quoted(('In', 'NotIn'))}"))
    elif operator not in ("In", "NotIn"):
        errors.append(not_supported(f"{path}.operator", operator, ("In", "NotIn")))
    if name is not None and name not in containers:
        text = "must be one of the container or initContainer names in the pod template"
        errors.append(invalid(f"{path}.containerName", name, text))
    if not values:
        errors.append(invalid(f"{path}.values", values, "at least one value is required"))
    elif len(values) > _MAX_EXIT_CODES:
        errors.append(too_many(f"{path}.values", len(values), _MAX_EXIT_CODES))
    ordered = True
    seen: set[int] = set()
    for index, value in enumerate(values[:_MAX_EXIT_CODES]):
        here = f"{path}.values[{index}]"
        if operator == "In" and value == 0:
            errors.append(invalid(here, value, "must not be 0 for the In operator"))
        if value in seen:
            errors.append(duplicate(here, value))
        ordered = ordered and (index == 0 or values[index - 1] <= value)
        seen.add(value)
    if not ordered:
        errors.append(invalid(f"{path}.values", values, "must be ordered"))
    return errors


def _conditions(path: str, patterns: list[Object]) -> Errors:
    if len(patterns) > _MAX_PATTERNS:
        return [too_many(path, len(patterns), _MAX_PATTERNS)]
    errors: Errors = []
    for index, pattern in enumerate(patterns):
        kind, status = pattern.get("type", ""), pattern.get("status", "")
        errors += [invalid(f"{path}[{index}].type", kind, text) for text in is_qualified_name(kind)]
        statuses = ("False", "True", "Unknown")
        if not status:
            errors.append(required(f"{path}[{index}].status", f"valid values: {_quoted(statuses)}"))
        elif status not in statuses:
            errors.append(not_supported(f"{path}[{index}].status", status, statuses))
    return errors


def success_policy_errors(path: str, spec: Object) -> Errors:
    """`spec` is the job's, with a successPolicy."""
    policy, completions = spec.get("successPolicy") or {}, spec.get("completions")
    rules = policy.get("rules") or []
    if spec.get("completionMode") != "Indexed":
        return [invalid(path, _go_policy(rules), "requires indexed completion mode")]
    if not rules:
        return [required(f"{path}.rules", "at least one rules must be specified when the successPolicy is specified")]
    if len(rules) > _MAX_RULES:
        return [too_many(f"{path}.rules", len(rules), _MAX_RULES)]
    errors: Errors = []
    for index, rule in enumerate(rules):
        here, indexes, count = f"{path}.rules[{index}]", rule.get("succeededIndexes"), rule.get("succeededCount")
        if indexes is None and count is None:
            text = "at least one of succeededCount or succeededIndexes must be specified"
            errors.append(required(here, text))
        if indexes is not None and not _INDEXES.match(indexes):
            errors.append(invalid(f"{here}.succeededIndexes", indexes, _INDEXES_TEXT))
        errors += check.not_negative(f"{here}.succeededCount", count)
        if count is not None and completions is not None and count > completions:
            text = f"must be less than or equal to {completions} (the number of specified completions)"
            errors.append(invalid(f"{here}.succeededCount", count, text))
    return errors


def _go_policy(rules: list[Object]) -> dict[str, Any]:
    """As messages show it: the names of upstream's own struct."""
    shown = [
        {"SucceededIndexes": rule.get("succeededIndexes"), "SucceededCount": rule.get("succeededCount")}
        for rule in rules
    ]
    return {"Rules": shown}


def _quoted(values: tuple[str, ...]) -> str:
    return ", ".join(f'"{value}"' for value in values)
