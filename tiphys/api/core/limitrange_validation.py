"""LimitRange: min <= defaultRequest <= default <= max, for known types and resources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.core.quota_resources import quantity_errors
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain, is_qualified_name
from tiphys.api.quantity import canonical, parse_quantity
from tiphys.api.status import duplicate, forbidden_field, invalid, required

Object = Mapping[str, Any]
TYPES = ("Container", "PersistentVolumeClaim", "Pod")
STANDARD = ("cpu", "memory", "ephemeral-storage", "storage")
_FIELDS = ("max", "min", "default", "defaultRequest")
_WORDS = {"min": "min", "max": "max", "defaultRequest": "default request", "default": "default"}
# (smaller, larger, the field that is named, the one whose value is shown)
_ORDER = (
    ("min", "max", "min", "min"),
    ("min", "defaultRequest", "defaultRequest", "defaultRequest"),
    ("defaultRequest", "max", "defaultRequest", "defaultRequest"),
    ("defaultRequest", "default", "defaultRequest", "defaultRequest"),
    ("min", "default", "default", "min"),
    ("default", "max", "default", "max"),
)


def validate(obj: Object) -> Errors:
    errors = check.object_name(obj, is_dns1123_subdomain)
    seen: set[str] = set()
    for index, item in enumerate((obj.get("spec") or {}).get("limits") or []):
        path, kind = f"spec.limits[{index}]", item.get("type", "")
        errors += _type(f"{path}.type", kind)
        if kind in seen:
            errors.append(duplicate(f"{path}.type", kind))
        seen.add(kind)
        errors += _item(path, item, kind)
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    return validate(new)


def _type(path: str, kind: str) -> Errors:
    errors = [invalid(path, kind, text) for text in is_qualified_name(kind)]
    if not errors and "/" not in kind and kind not in TYPES:
        errors.append(invalid(path, kind, "must be a standard limit type or fully qualified"))
    return errors


def _item(path: str, item: Object, kind: str) -> Errors:
    errors: Errors = []
    for field in ("max", "min"):
        errors += _amounts(f"{path}.{field}", item.get(field) or {}, kind)
    for field in ("default", "defaultRequest"):
        if item.get(field) and kind == "Pod":
            errors.append(forbidden_field(f"{path}.{field}", "may not be specified when `type` is 'Pod'"))
        elif kind != "Pod":
            errors += _amounts(f"{path}.{field}", item.get(field) or {}, kind)
    if kind == "PersistentVolumeClaim" and "storage" not in {**(item.get("min") or {}), **(item.get("max") or {})}:
        text = "either minimum or maximum storage value is required, but neither was provided"
        errors.append(required(f"{path}.limits", text))
    ratios = item.get("maxLimitRequestRatio") or {}
    names = {
        *ratios,
        *(name for field in ("max", "min", "default", "defaultRequest") for name in item.get(field) or {}),
    }
    for name in sorted(names):
        errors += _order(path, item, name)
        if name in ratios:
            errors += _ratio(f"{path}.maxLimitRequestRatio[{name}]", item, name)
    return errors


def _amounts(path: str, amounts: Mapping[str, str], kind: str) -> Errors:
    errors: Errors = []
    for name, amount in amounts.items():
        here = f"{path}[{name}]"
        problems = [invalid(here, name, text) for text in is_qualified_name(name)]
        if not problems and "/" not in name and name not in STANDARD and not name.startswith("hugepages-"):
            what = "a standard resource for containers" if kind in ("Pod", "Container") else "a standard resource type"
            problems.append(invalid(here, name, f"must be {what} or fully qualified"))
        errors += problems + quantity_errors(here, name, amount)
    return errors


def _order(path: str, item: Object, name: str) -> Errors:
    errors: Errors = []
    for smaller, larger, field, shown in _ORDER:
        low, high = (item.get(smaller) or {}).get(name), (item.get(larger) or {}).get(name)
        if low is None or high is None or parse_quantity(low) <= parse_quantity(high):
            continue
        bound = "default limit" if (smaller, larger) == ("defaultRequest", "default") else _WORDS[larger]
        text = f"{_WORDS[smaller]} value {canonical(low)} is greater than {bound} value {canonical(high)}"
        errors.append(invalid(f"{path}.{field}[{name}]", (item.get(shown) or {}).get(name), text))
    default, request = (item.get("default") or {}).get(name), (item.get("defaultRequest") or {}).get(name)
    if default is None or request is None or not (name.startswith("hugepages-") or "/" in name):
        return errors
    if parse_quantity(default) != parse_quantity(request):
        text = f"default value {default} must equal to defaultRequest value {request} in {name}"
        errors.append(invalid(f"{path}.defaultRequest[{name}]", request, text))
    return errors


def _ratio(path: str, item: Object, name: str) -> Errors:
    text = item["maxLimitRequestRatio"][name]
    ratio = parse_quantity(text)
    low, high = ((item.get(field) or {}).get(name) for field in ("min", "max"))
    errors = [invalid(path, text, f"ratio {text} is less than 1")] if ratio < 1 else []
    if low is not None and high is not None and parse_quantity(low) > 0:
        bound = parse_quantity(high) / parse_quantity(low)
        if ratio > bound:
            errors.append(invalid(path, text, f"ratio {text} is greater than max/min = {float(bound):f}"))
    return errors
