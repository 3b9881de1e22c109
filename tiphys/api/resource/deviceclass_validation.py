"""DeviceClass: selectors and settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.resource.selection_validation import configs_errors, selectors_errors

Object = Mapping[str, Any]


def validate(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    errors = check.object_name(obj, is_dns1123_subdomain)
    errors += selectors_errors("spec.selectors", spec.get("selectors") or [])
    return errors + configs_errors("spec.config", spec.get("config") or [])


def validate_update(new: Object, old: Object) -> Errors:
    return validate(new)
