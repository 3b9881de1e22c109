"""IPAddress: its name is an address in its usual spelling, and it belongs to one object for good."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_path_segment, is_valid_ip
from tiphys.api.status import invalid, required

Object = Mapping[str, Any]


def validate(obj: Object) -> Errors:
    name = (obj.get("metadata") or {}).get("name", "")
    errors = [invalid("metadata.name", name, text) for text in is_valid_ip(name)]
    if not errors and str(ipaddress.ip_address(name)) != name:
        usual = str(ipaddress.ip_address(name))
        errors.append(invalid("metadata.name", name, f'must be in canonical form ("{usual}")'))
    parent, path = (obj.get("spec") or {}).get("parentRef"), "spec.parentRef"
    if parent is None:
        return [*errors, required(path)]
    for field, needed in (("group", False), ("resource", True), ("name", True), ("namespace", False)):
        value = parent.get(field, "")
        errors += check.name(f"{path}.{field}", value, is_path_segment) if value or needed else []
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    parent, before = ((obj.get("spec") or {}).get("parentRef") for obj in (new, old))
    return validate(new) + check.immutable("spec.parentRef", parent, before)
