"""Checks that many kinds' validations share.  Every one returns the errors of one field, none when it is fine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tiphys.api.names import is_dns1123_subdomain, is_label_value, is_port_number, is_qualified_name
from tiphys.api.status import FieldError, forbidden_field, invalid, not_supported, required

Errors = list[FieldError]
NameCheck = Callable[[str], list[str]]

MAX_INT32 = 2**31 - 1
_PERCENT = re.compile(r"^[0-9]+%$", re.ASCII)
_PERCENT_TEXT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
    "regex used for validation is '[0-9]+%')"
)
_URL_PATH = re.compile(r"^[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$", re.ASCII)


def object_name(obj: Mapping[str, Any], check: NameCheck) -> Errors:
    """metadata.name under the rule of its kind.  An absent name is for the API server to refuse."""
    name = obj.get("metadata", {}).get("name", "")
    return [invalid("metadata.name", name, text) for text in check(name)] if name else []


def name(path: str, value: str, check: NameCheck) -> Errors:
    """A name that must be there."""
    if not value:
        return [required(path)]
    return [invalid(path, value, text) for text in check(value)]


def optional_name(path: str, value: str | None, check: NameCheck) -> Errors:
    return name(path, value, check) if value else []


def one_of(path: str, value: str, supported: Sequence[str], *, optional: bool = True) -> Errors:
    if not value:
        return [] if optional else [required(path)]
    return [] if value in supported else [not_supported(path, value, supported)]


def not_negative(path: str, value: int | None) -> Errors:
    if value is None or value >= 0:
        return []
    return [invalid(path, value, "must be greater than or equal to 0")]


def positive(path: str, value: int | None) -> Errors:
    return [] if value is None or value > 0 else [invalid(path, value, "must be greater than 0")]


def within(path: str, value: int | None, low: int, high: int) -> Errors:
    if value is None or low <= value <= high:
        return []
    return [invalid(path, value, f"must be between {low} and {high}, inclusive")]


def port_number(path: str, value: int) -> Errors:
    return [invalid(path, value, text) for text in is_port_number(value)]


def labels(path: str, values: Mapping[str, str] | None) -> Errors:
    errors = []
    for key, value in (values or {}).items():
        errors += [invalid(path, key, text) for text in is_qualified_name(key)]
        errors += [invalid(path, value, text) for text in is_label_value(value)]
    return errors


def label_selector(path: str, selector: Mapping[str, Any] | None) -> Errors:
    errors = labels(f"{path}.matchLabels", (selector or {}).get("matchLabels"))
    for index, item in enumerate((selector or {}).get("matchExpressions") or []):
        errors += _selector_requirement(f"{path}.matchExpressions[{index}]", item)
    return errors


def _selector_requirement(path: str, item: Mapping[str, Any]) -> Errors:
    operator, values = item.get("operator", ""), item.get("values") or []
    errors = []
    if operator in ("In", "NotIn"):
        if not values:
            errors.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.append(forbidden_field(f"{path}.values", text))
    else:
        errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    key = item.get("key", "")
    errors += [invalid(f"{path}.key", key, text) for text in is_qualified_name(key)]
    for number, value in enumerate(values):
        errors += [invalid(f"{path}.values[{number}]", value, text) for text in is_label_value(value)]
    return errors


def immutable(path: str, new: Any, old: Any) -> Errors:
    """The field may not change; compared in wire form, with absent equal to None."""
    return [] if new == old else [invalid(path, new, "field is immutable")]


def relative_path(path: str, value: str) -> Errors:
    """A path inside a volume: relative and without a step upwards."""
    errors = []
    if value.startswith("/"):
        errors.append(invalid(path, value, "must be a relative path"))
    return errors + no_backsteps(path, value)


def no_backsteps(path: str, value: str) -> Errors:
    return [invalid(path, value, "must not contain '..'")] if ".." in value.split("/") else []


def no_null_byte(path: str, value: str) -> Errors:
    """A text that becomes an argument or a path of a process ends at the first NUL."""
    return [invalid(path, value, "must not contain a NUL byte")] if "\x00" in value else []


def each(path: str, items: Iterable[Any] | None, check: Callable[[str, Any], Errors]) -> Errors:
    """`check` for every item with its path path[index]."""
    return [error for index, item in enumerate(items or []) for error in check(f"{path}[{index}]", item)]


def count_or_percent(path: str, value: int | str) -> Errors:
    """A number of things, or a share of them."""
    if isinstance(value, str):
        return [] if _PERCENT.match(value) else [invalid(path, value, _PERCENT_TEXT)]
    return not_negative(path, value)


def at_most_100_percent(path: str, value: int | str) -> Errors:
    if isinstance(value, str) and _PERCENT.match(value) and int(value[:-1][:6]) > 100:
        return [invalid(path, value, "must not be greater than 100%")]
    return []


def is_zero_count(value: int | str) -> bool:
    """Whether a number or share is nothing at all."""
    return value == 0 or (isinstance(value, str) and value.rstrip("%").strip("0") == "" and value.endswith("%"))


def domain_prefixed_path(path: str, value: str) -> Errors:
    """A name such as example.com/thing."""
    if not value:
        return [required(path)]
    host, _, rest = value.partition("/")
    if not host or not rest:
        return [invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    errors = [invalid(path, host, text) for text in is_dns1123_subdomain(host)]
    if not _URL_PATH.match(rest):
        text = f"Invalid path (regex used for validation is '{_URL_PATH.pattern[1:-1]}')"
        errors.append(invalid(path, rest, text))
    return errors


def not_decremented(path: str, new: Mapping[str, Any], old: Mapping[str, Any], field: str) -> Errors:
    """A count that only ever grows."""
    before, after = old.get(field), new.get(field)
    if before is None or (after is not None and after >= before):
        return []
    return [invalid(path, after or 0, "cannot be decremented")]
