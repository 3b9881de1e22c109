"""Node: taints are well formed, and a node keeps its pod network and provider for life."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.core.scheduling_validation import EFFECTS
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain, is_label_value, is_qualified_name
from tiphys.api.quantity import parse_quantity
from tiphys.api.status import duplicate, forbidden_field, invalid

Object = Mapping[str, Any]


def validate(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    errors = check.object_name(obj, is_dns1123_subdomain) + _taints(spec.get("taints") or [])
    for index, text in enumerate(spec.get("podCIDRs") or []):
        try:
            ipaddress.ip_network(text)
        except ValueError:
            message = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            errors.append(invalid(f"spec.podCIDRs[{index}]", text, message))
    return errors


def _taints(taints: list[Object]) -> Errors:
    errors: Errors = []
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(taints):
        path, key, effect = f"metadata.taints[{index}]", taint.get("key", ""), taint.get("effect", "")
        errors += [invalid(f"{path}.key", key, text) for text in is_qualified_name(key)]
        value = taint.get("value", "")
        errors += [invalid(f"{path}.value", value, text) for text in is_label_value(value)]
        errors += check.one_of(f"{path}.effect", effect, EFFECTS, optional=False)
        if (key, effect) in seen:
            errors.append(duplicate(path, dict(taint)))
        seen.add((key, effect))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    errors = validate(new)
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    if before.get("podCIDRs") and spec.get("podCIDRs") != before["podCIDRs"]:
        text = 'node updates may not change podCIDR except from "" to valid'
        errors.append(forbidden_field("spec.podCIDRs", text))
    if before.get("providerID") and spec.get("providerID") != before["providerID"]:
        errors.append(
            forbidden_field("spec.providerID", 'node updates may not change providerID except from "" to valid')
        )
    return errors


def validate_status_update(new: Object, old: Object) -> Errors:
    errors: Errors = []
    for field in ("capacity", "allocatable"):
        for name, amount in ((new.get("status") or {}).get(field) or {}).items():
            if parse_quantity(amount) < 0:
                errors.append(invalid(f"status.{field}[{name}]", amount, "must be greater than or equal to 0"))
    return errors
