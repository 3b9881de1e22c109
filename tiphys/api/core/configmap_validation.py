"""ConfigMap: keys are file names, the whole is bounded, and an immutable one stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_config_map_key, is_dns1123_subdomain
from tiphys.api.status import forbidden_field, invalid, too_long

Object = Mapping[str, Any]
MAX_BYTES = 1024 * 1024


def validate(obj: Object) -> Errors:
    return check.object_name(obj, is_dns1123_subdomain) + _data(obj)


def _data(obj: Object) -> Errors:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    errors: Errors = []
    total = 0
    for key, value in data.items():
        errors += [invalid(f"data[{key}]", key, text) for text in is_config_map_key(key)]
        if key in binary:
            errors.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
        total += len(value.encode())
    for key, value in binary.items():
        errors += [invalid(f"binaryData[{key}]", key, text) for text in is_config_map_key(key)]
        total += len(value) * 3 // 4
    if total > MAX_BYTES:
        errors.append(too_long("", MAX_BYTES))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    errors: Errors = []
    if old.get("immutable"):
        if not new.get("immutable"):
            errors.append(forbidden_field("immutable", "field is immutable when `immutable` is set"))
        for field in ("data", "binaryData"):
            if (new.get(field) or {}) != (old.get(field) or {}):
                errors.append(forbidden_field(field, "field is immutable when `immutable` is set"))
    return errors + _data(new)
