"""Requests and limits: known names, no negative amounts, no request above its limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api.field_checks import Errors
from tiphys.api.names import is_qualified_name
from tiphys.api.quantity import parse_quantity
from tiphys.api.status import invalid

STANDARD = ("cpu", "memory", "ephemeral-storage")


def requirements_errors(path: str, resources: Mapping[str, Any]) -> Errors:
    """`resources` of a container."""
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    errors: Errors = []
    for field, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            errors += _amount(f"{path}.{field}[{name}]", f"{path}.{field}", name, amount)
    for name, amount in requests.items():
        limit = limits.get(name)
        if limit is None:
            if _overcommit_forbidden(name):
                errors.append(invalid(f"{path}.limits", amount, "Limit must be set for non overcommitable resources"))
        elif _overcommit_forbidden(name) and parse_quantity(amount) != parse_quantity(limit):
            errors.append(invalid(f"{path}.requests", amount, f"must be equal to {name} limit of {limit}"))
        elif parse_quantity(amount) > parse_quantity(limit):
            errors.append(invalid(f"{path}.requests", amount, f"must be less than or equal to {name} limit of {limit}"))
    return errors


def _amount(path: str, parent: str, name: str, amount: str) -> Errors:
    errors = [invalid(path, name, text) for text in is_qualified_name(name)]
    if not errors and "/" not in name and name not in STANDARD and not name.startswith("hugepages-"):
        errors.append(invalid(path, name, "must be a standard resource for containers"))
    value = parse_quantity(amount)
    if value < 0:
        errors.append(invalid(path, amount, "must be greater than or equal to 0"))
    elif "/" in name and value != value.to_integral_value():
        errors.append(invalid(path, amount, "must be an integer"))
    return errors


def _overcommit_forbidden(name: str) -> bool:
    """Extended resources and huge pages cannot be shared."""
    return name.startswith("hugepages-") or ("/" in name and not name.startswith("kubernetes.io/"))
