"""StorageClass: a provisioner and parameters that stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain, is_qualified_name
from tiphys.api.status import duplicate, forbidden_field, invalid, required, too_long

Object = Mapping[str, Any]
RECLAIM_POLICIES = ("Delete", "Retain")
BINDING_MODES = ("Immediate", "WaitForFirstConsumer")
_MAX_PARAMETERS, _MAX_PARAMETER_BYTES = 512, 256 * 1024


def validate(obj: Object) -> Errors:
    provisioner = obj.get("provisioner", "")
    errors = check.object_name(obj, is_dns1123_subdomain)
    if not provisioner:
        errors.append(required("provisioner"))
    else:
        errors += [invalid("provisioner", provisioner, text) for text in is_qualified_name(provisioner.lower())]
    errors += parameter_errors("parameters", obj.get("parameters") or {})
    errors += check.one_of("reclaimPolicy", obj.get("reclaimPolicy") or "", RECLAIM_POLICIES)
    if obj.get("volumeBindingMode") is None:
        errors.append(required("volumeBindingMode"))
    else:
        errors += check.one_of("volumeBindingMode", obj["volumeBindingMode"] or "", BINDING_MODES, optional=False)
    return errors + check.each("allowedTopologies", obj.get("allowedTopologies"), _topology)


def parameter_errors(path: str, parameters: Mapping[str, str]) -> Errors:
    """What a provisioner is told: bounded in number and size."""
    if len(parameters) > _MAX_PARAMETERS:
        return [too_long(path, _MAX_PARAMETERS)]
    errors: Errors = []
    if "" in parameters:
        errors.append(invalid(path, "", "field can not be empty."))
    if sum(len(key.encode()) + len(value.encode()) for key, value in parameters.items()) > _MAX_PARAMETER_BYTES:
        errors.append(too_long(path, _MAX_PARAMETER_BYTES))
    return errors


def _topology(path: str, term: Object) -> Errors:
    errors: Errors = []
    keys: set[str] = set()
    for index, item in enumerate(term.get("matchLabelExpressions") or []):
        here, key, values = f"{path}.matchLabelExpressions[{index}]", item.get("key", ""), item.get("values") or []
        if not values:
            errors.append(required(f"{here}.values"))
        seen: set[str] = set()
        for number, value in enumerate(values):
            if value in seen:
                errors.append(duplicate(f"{here}.values[{number}]", value))
            seen.add(value)
        errors += [invalid(f"{here}.key", key, text) for text in is_qualified_name(key)]
        if key in keys:
            errors.append(duplicate(f"{here}.key", key))
        keys.add(key)
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    errors = validate(new)
    for field in ("parameters", "provisioner"):
        if (new.get(field) or None) != (old.get(field) or None):
            errors.append(forbidden_field(field, f"updates to {field} are forbidden."))
    if new.get("reclaimPolicy") != old.get("reclaimPolicy"):
        errors.append(forbidden_field("reclaimPolicy", "updates to reclaimPolicy are forbidden."))
    field = "volumeBindingMode"
    return errors + check.immutable(field, new.get(field), old.get(field))
