"""ControllerRevision: its data is there and never changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.status import required

Object = Mapping[str, Any]


def validate(obj: Object) -> Errors:
    errors = check.object_name(obj, is_dns1123_subdomain)
    if obj.get("data") is None:
        errors.append(required("data", "data is mandatory"))
    return errors + check.not_negative("revision", obj.get("revision"))


def validate_update(new: Object, old: Object) -> Errors:
    return validate(new) + check.immutable("data", new.get("data"), old.get("data"))
