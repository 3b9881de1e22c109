"""ResourceClaim: requests with names of their own, for classes; what was asked for never changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.resource.selection_validation import MAX_ITEMS, configs_errors, selectors_errors, unique_names
from tiphys.api.status import invalid, not_supported, required, too_many

Object = Mapping[str, Any]
_ALLOCATION_MODES = ("All", "ExactCount")
_MAX_ALTERNATIVES, _MAX_USERS = 8, 256


def validate(obj: Object) -> Errors:
    return check.object_name(obj, is_dns1123_subdomain) + claim_spec_errors("spec", obj.get("spec") or {})


def claim_spec_errors(path: str, spec: Object) -> Errors:
    devices, here = spec.get("devices") or {}, f"{path}.devices"
    requests = devices.get("requests") or []
    if len(requests) > MAX_ITEMS:
        return [too_many(f"{here}.requests", len(requests), MAX_ITEMS)]
    errors = unique_names(f"{here}.requests", requests)
    errors += check.each(f"{here}.requests", requests, _request)
    names = {item.get("name", "") for item in requests}
    names |= {f"{item['name']}/{sub.get('name', '')}" for item in requests for sub in item.get("firstAvailable") or []}
    for field in ("constraints", "config"):
        for index, item in enumerate((devices.get(field) or [])[:MAX_ITEMS]):
            for number, name in enumerate(item.get("requests") or []):
                if name not in names:
                    text = "must be the name of a request in the claim or the name of a request and a subrequest"
                    errors.append(invalid(f"{here}.{field}[{index}].requests[{number}]", name, text))
        if len(devices.get(field) or []) > MAX_ITEMS:
            errors.append(too_many(f"{here}.{field}", len(devices[field]), MAX_ITEMS))
    return errors + configs_errors(f"{here}.config", (devices.get("config") or [])[:MAX_ITEMS])


def _request(path: str, request: Object) -> Errors:
    exactly, alternatives = request.get("exactly"), request.get("firstAvailable") or []
    if exactly is None and not alternatives:
        return [required(path, "exactly one of `exactly` or `firstAvailable` is required")]
    if exactly is not None and alternatives:
        text = "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set"
        return [invalid(path, None, text)]
    if exactly is not None:
        return _exactly(f"{path}.exactly", exactly)
    if len(alternatives) > _MAX_ALTERNATIVES:
        return [too_many(f"{path}.firstAvailable", len(alternatives), _MAX_ALTERNATIVES)]
    errors = unique_names(f"{path}.firstAvailable", alternatives)
    return errors + check.each(f"{path}.firstAvailable", alternatives, _exactly)


def _exactly(path: str, request: Object) -> Errors:
    errors = check.name(f"{path}.deviceClassName", request.get("deviceClassName", ""), is_dns1123_subdomain)
    errors += selectors_errors(f"{path}.selectors", request.get("selectors") or [])
    mode, count = request.get("allocationMode", ""), request.get("count", 0)
    if mode not in _ALLOCATION_MODES:
        return [*errors, not_supported(f"{path}.allocationMode", mode, _ALLOCATION_MODES)]
    if mode == "All" and count:
        errors.append(invalid(f"{path}.count", count, "must not be specified when allocationMode is 'All'"))
    if mode == "ExactCount" and count <= 0:
        errors.append(invalid(f"{path}.count", count, "must be greater than zero"))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    return check.immutable("spec", new.get("spec"), old.get("spec"))


def validate_status_update(new: Object, old: Object) -> Errors:
    """A claim that is allocated to somebody keeps its allocation; nobody reserves what is not allocated."""
    status, before = new.get("status") or {}, old.get("status") or {}
    users, allocation = status.get("reservedFor") or [], status.get("allocation")
    errors: Errors = []
    if len(users) > _MAX_USERS:
        errors.append(too_many("status.reservedFor", len(users), _MAX_USERS))
    if users and allocation is None:
        text = "may not be specified when `allocated` is not set"
        errors.append(invalid("status.reservedFor", users, text))
    if before.get("allocation") is not None and allocation is not None:
        errors += check.immutable("status.allocation", allocation, before["allocation"])
    return errors
