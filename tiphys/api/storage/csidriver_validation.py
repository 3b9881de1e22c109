"""CSIDriver: known modes and policies; whether volumes are attached does not change under volumes in use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.status import duplicate, invalid, not_supported, required
from tiphys.api.storage.drivernames import driver_name_errors

Object = Mapping[str, Any]
_MIN_TOKEN_SECONDS, _MAX_TOKEN_SECONDS = 600, 2**32
_MODES = ("Ephemeral", "Persistent")
_GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")


def validate(obj: Object) -> Errors:
    name = (obj.get("metadata") or {}).get("name", "")
    return (driver_name_errors("metadata.name", name) if name else []) + _spec(obj.get("spec") or {})


def validate_update(new: Object, old: Object) -> Errors:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors = _spec(spec)
    for field in ("attachRequired", "volumeLifecycleModes"):
        errors += check.immutable(f"spec.{field}", spec.get(field), before.get(field))
    return errors


def _spec(spec: Object) -> Errors:
    needed = ("attachRequired", "podInfoOnMount", "storageCapacity", "requiresRepublish", "seLinuxMount")
    errors: Errors = [required(f"spec.{field}") for field in needed if spec.get(field) is None]
    policy = spec.get("fsGroupPolicy")
    if policy is not None and policy not in _GROUP_POLICIES:
        errors.append(not_supported("spec.fsGroupPolicy", policy, _GROUP_POLICIES))
    for mode in spec.get("volumeLifecycleModes") or []:
        if mode not in _MODES:
            errors.append(not_supported("spec.volumeLifecycleModes", mode, _MODES))
    seen: set[str] = set()
    for index, token in enumerate(spec.get("tokenRequests") or []):
        path, audience, seconds = (
            f"spec.tokenRequests[{index}]",
            token.get("audience", ""),
            token.get("expirationSeconds"),
        )
        if audience in seen:
            errors.append(duplicate(f"{path}.audience", audience))
        seen.add(audience)
        if seconds is not None and seconds < _MIN_TOKEN_SECONDS:
            text = "may not specify a duration less than 10 minutes"
            errors.append(invalid(f"{path}.expirationSeconds", seconds, text))
        elif seconds is not None and seconds > _MAX_TOKEN_SECONDS:
            text = "may not specify a duration larger than 2^32 seconds"
            errors.append(invalid(f"{path}.expirationSeconds", seconds, text))
    return errors
