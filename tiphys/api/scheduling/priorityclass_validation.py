"""PriorityClass: values below those of the system's own two classes, and none that changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.status import forbidden_field, not_supported, required

Object = Mapping[str, Any]
HIGHEST_USER_PRIORITY = 1_000_000_000
SYSTEM_CLASSES = {
    "system-cluster-critical": 2 * HIGHEST_USER_PRIORITY,
    "system-node-critical": 2 * HIGHEST_USER_PRIORITY + 1000,
}


def validate(obj: Object) -> Errors:
    name, value = (obj.get("metadata") or {}).get("name", ""), obj.get("value", 0)
    errors = check.object_name(obj, is_dns1123_subdomain)
    if name.startswith("system-"):
        problem = _system_problem(name, value, is_default=bool(obj.get("globalDefault")))
        if problem:
            text = f"priority class names with 'system-' prefix are reserved for system use only. error: {problem}"
            errors.append(forbidden_field("metadata.name", text))
    elif value > HIGHEST_USER_PRIORITY:
        text = f"maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}"
        errors.append(forbidden_field("value", text))
    policy = obj.get("preemptionPolicy")
    if policy is None:
        return errors
    if not policy:
        errors.append(required("preemptionPolicy"))
    elif policy not in ("PreemptLowerPriority", "Never"):
        errors.append(not_supported("preemptionPolicy", policy, ("PreemptLowerPriority", "Never")))
    return errors


def _system_problem(name: str, value: int, *, is_default: bool) -> str:
    if name not in SYSTEM_CLASSES:
        return f"{name} is not a known system priority class"
    if value != SYSTEM_CLASSES[name]:
        return f"value of {name} PriorityClass must be {SYSTEM_CLASSES[name]}"
    return f"globalDefault of {name} PriorityClass must be false" if is_default else ""


def validate_update(new: Object, old: Object) -> Errors:
    errors: Errors = []
    if new.get("value", 0) != old.get("value", 0):
        errors.append(forbidden_field("value", "may not be changed in an update."))
    field = "preemptionPolicy"
    return errors + check.immutable(field, new.get(field), old.get(field))
