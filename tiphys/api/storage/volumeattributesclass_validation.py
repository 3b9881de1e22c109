"""VolumeAttributesClass: a driver and attributes that never change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.status import required
from tiphys.api.storage.drivernames import driver_name_errors
from tiphys.api.storage.storageclass_validation import parameter_errors

Object = Mapping[str, Any]


def validate(obj: Object) -> Errors:
    parameters = obj.get("parameters") or {}
    errors = check.object_name(obj, is_dns1123_subdomain) + driver_name_errors("driverName", obj.get("driverName", ""))
    if not parameters:
        errors.append(required("parameters", "must contain at least one key/value pair"))
    return errors + parameter_errors("parameters", parameters)


def validate_update(new: Object, old: Object) -> Errors:
    errors: Errors = []
    for field in ("driverName", "parameters"):
        errors += check.immutable(field, new.get(field), old.get(field))
    return errors
