"""CSINode: each driver once, with what the node is to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain, is_qualified_name
from tiphys.api.status import duplicate, invalid, required
from tiphys.api.storage.drivernames import driver_name_errors

Object = Mapping[str, Any]
_MAX_NODE_ID = 192


def validate(obj: Object) -> Errors:
    errors = check.object_name(obj, is_dns1123_subdomain)
    seen: set[str] = set()
    for index, driver in enumerate((obj.get("spec") or {}).get("drivers") or []):
        path, name = f"spec.drivers[{index}]", driver.get("name", "")
        errors += _driver(path, driver)
        if name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
    return errors


def _driver(path: str, driver: Object) -> Errors:
    errors = driver_name_errors(f"{path}.name", driver.get("name", ""))
    node = driver.get("nodeID", "")
    if not node:
        errors.append(required(f"{path}.nodeID"))
    elif len(node.encode()) > _MAX_NODE_ID:
        errors.append(invalid(f"{path}.nodeID", node, f"must be {_MAX_NODE_ID} characters or less"))
    errors += check.not_negative(f"{path}.allocatable.count", (driver.get("allocatable") or {}).get("count"))
    seen: set[str] = set()
    for key in driver.get("topologyKeys") or []:
        here = f"{path}.topologyKeys"
        errors += [duplicate(here, key)] if key in seen else []
        errors += [invalid(here, key, text) for text in is_qualified_name(key)] if key else [required(here)]
        seen.add(key)
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """A driver may come and go; while it stays, only its allocatable may change."""
    errors = validate(new)
    before = {driver.get("name"): driver for driver in (old.get("spec") or {}).get("drivers") or []}
    for index, driver in enumerate((new.get("spec") or {}).get("drivers") or []):
        was = before.get(driver.get("name"))
        fixed = ("nodeID", "topologyKeys")
        if was is not None and any(driver.get(field) != was.get(field) for field in fixed):
            errors.append(invalid(f"spec.drivers[{index}]", driver, "field is immutable"))
    return errors
