"""ServiceCIDR: at most one range per family; a second family may come, nothing else may change."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_cidr, is_dns1123_subdomain
from tiphys.api.status import invalid, required

Object = Mapping[str, Any]


def validate(obj: Object) -> Errors:
    ranges = (obj.get("spec") or {}).get("cidrs") or []
    errors = check.object_name(obj, is_dns1123_subdomain)
    if not ranges:
        return [*errors, required("spec.cidrs", "at least one CIDR required")]
    if len(ranges) > 2:
        return [*errors, invalid("spec.cidrs", ranges, "may only hold up to 2 values")]
    for index, text in enumerate(ranges):
        errors += _range(f"spec.cidrs[{index}]", text)
    if len(ranges) == 2 and (":" in ranges[0]) == (":" in ranges[1]):
        text = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        errors.append(invalid("spec.cidrs", ranges, text))
    return errors


def _range(path: str, text: str) -> Errors:
    problems = [invalid(path, text, message) for message in is_cidr(text)]
    if problems:
        return problems
    usual = str(ipaddress.ip_network(text, strict=False))
    return [] if usual == text else [invalid(path, text, f'must be in canonical form ("{usual}")')]


def validate_update(new: Object, old: Object) -> Errors:
    ranges, before = ((obj.get("spec") or {}).get("cidrs") or [] for obj in (new, old))
    errors = validate(new)
    if len(before) == 1 and len(ranges) == 2:
        return errors + check.immutable("spec.cidrs[0]", ranges[0], before[0])
    return errors + check.immutable("spec.cidrs", ranges, before)
