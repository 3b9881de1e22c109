"""PersistentVolumeClaim: what storage may be asked for, and what of it may change later."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.quantity import parse_quantity
from tiphys.api.status import forbidden_field, invalid, required

Object = Mapping[str, Any]
ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")
_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
_UPDATE_TEXT = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)


def validate(obj: Object) -> Errors:
    return check.object_name(obj, is_dns1123_subdomain) + claim_spec_errors("spec", obj.get("spec") or {})


def claim_spec_errors(path: str, spec: Object) -> Errors:
    """The spec of a claim, of a claim template or of an ephemeral volume."""
    errors: Errors = []
    modes = spec.get("accessModes") or []
    if not modes:
        errors.append(required(f"{path}.accessModes", "at least 1 access mode is required"))
    errors += check.label_selector(f"{path}.selector", spec.get("selector"))
    errors += access_mode_errors(f"{path}.accessModes", modes)
    errors += _storage(f"{path}.resources[storage]", (spec.get("resources") or {}).get("requests") or {})
    errors += check.optional_name(f"{path}.storageClassName", spec.get("storageClassName"), is_dns1123_subdomain)
    mode = spec.get("volumeMode")
    if mode is not None:
        errors += volume_mode_errors(f"{path}.volumeMode", mode)
    errors += _data_source(f"{path}.dataSource", spec.get("dataSource"))
    errors += _data_source(f"{path}.dataSourceRef", spec.get("dataSourceRef"))
    attributes = spec.get("volumeAttributesClassName")
    return errors + check.optional_name(f"{path}.volumeAttributesClassName", attributes, is_dns1123_subdomain)


def access_mode_errors(path: str, modes: list[str]) -> Errors:
    errors = [error for mode in modes for error in check.one_of(path, mode, ACCESS_MODES, optional=False)]
    if "ReadWriteOncePod" in modes and len(set(modes)) > 1:
        errors.append(forbidden_field(path, "may not use ReadWriteOncePod with other access modes"))
    return errors


def volume_mode_errors(path: str, mode: str) -> Errors:
    return check.one_of(path, mode or "", VOLUME_MODES, optional=False)


def _storage(path: str, requests: Mapping[str, str]) -> Errors:
    if "storage" not in requests:
        return [required(path)]
    amount = requests["storage"]
    return [] if parse_quantity(amount) > 0 else [invalid(path, amount, "must be greater than zero")]


def _data_source(path: str, source: Object | None) -> Errors:
    if source is None:
        return []
    errors: Errors = []
    if not source.get("name"):
        errors.append(required(f"{path}.name"))
    if not source.get("kind"):
        errors.append(required(f"{path}.kind"))
    group = source.get("apiGroup") or ""
    if not group and source.get("kind") != "PersistentVolumeClaim":
        text = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        errors.append(invalid(path, source.get("kind", ""), text))
    return errors + check.optional_name(f"{path}.apiGroup", group, is_dns1123_subdomain)


def validate_update(new: Object, old: Object) -> Errors:
    """A bound claim may grow and change its attributes class; an unbound one may get its volume and class."""
    errors = validate(new)
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    changed = _forbidden_changes(new, old)
    if changed:
        errors.append(forbidden_field("spec", "\n".join([_UPDATE_TEXT, *changed])))
    errors += _shrunk(_requested(spec), _requested(before), (old.get("status") or {}).get("capacity") or {})
    mode, old_mode = spec.get("volumeMode"), before.get("volumeMode")
    return errors + check.immutable("spec.volumeMode", mode, old_mode)


def _shrunk(size: str | None, was: str | None, capacity: Mapping[str, str]) -> Errors:
    """A request that was never granted may be taken back."""
    if size is None or was is None or parse_quantity(size) >= parse_quantity(was):
        return []
    if "storage" in capacity and parse_quantity(size) > parse_quantity(capacity["storage"]):
        return []
    return [forbidden_field("spec.resources.requests.storage", "field can not be less than status.capacity")]


def _requested(spec: Object) -> str | None:
    return ((spec.get("resources") or {}).get("requests") or {}).get("storage")


def _forbidden_changes(new: Object, old: Object) -> list[str]:
    """One line for each changed field that may not change."""
    mine, theirs = deepcopy(dict(new.get("spec") or {})), deepcopy(dict(old.get("spec") or {}))
    free = ["volumeAttributesClassName"]
    if not theirs.get("volumeName"):
        free.append("volumeName")
    annotated = _CLASS_ANNOTATION in ((old.get("metadata") or {}).get("annotations") or {})
    if theirs.get("storageClassName") is None and not annotated:
        free.append("storageClassName")  # the default class may come later
    if (new.get("status") or {}).get("phase") == "Bound":
        for one in (mine, theirs):
            ((one.get("resources") or {}).get("requests") or {}).pop("storage", None)
    for one in (mine, theirs):
        for field in free:
            one.pop(field, None)
    return [f"  spec.{field} changed" for field in sorted({*mine, *theirs}) if mine.get(field) != theirs.get(field)]


def validate_status_update(new: Object, old: Object) -> Errors:
    errors: Errors = []
    status = new.get("status") or {}
    for name, amount in (status.get("capacity") or {}).items():
        if parse_quantity(amount) < 0:
            errors.append(invalid(f"status.capacity[{name}]", amount, "must be greater than or equal to 0"))
    return errors
