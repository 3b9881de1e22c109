"""VolumeAttachment: one volume, one node, one driver, for good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.core.persistentvolumeclaim_validation import access_mode_errors
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.status import invalid, required
from tiphys.api.storage.drivernames import driver_name_errors

Object = Mapping[str, Any]


def validate(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    errors = check.object_name(obj, is_dns1123_subdomain)
    errors += driver_name_errors("spec.attacher", spec.get("attacher", ""))
    errors += _source("spec.source", spec.get("source") or {})
    node = spec.get("nodeName", "")
    return errors + [invalid("spec.nodeName", node, text) for text in is_dns1123_subdomain(node)]


def _source(path: str, source: Object) -> Errors:
    inline, name = source.get("inlineVolumeSpec"), source.get("persistentVolumeName")
    if inline is not None and name is not None:
        return [invalid(path, None, "must specify exactly one of inlineVolumeSpec and persistentVolumeName")]
    if inline is None and name is None:
        return [required(path, "must specify exactly one of inlineVolumeSpec and persistentVolumeName")]
    if inline is not None:
        return access_mode_errors(f"{path}.inlineVolumeSpec.accessModes", inline.get("accessModes") or [])
    return [] if name else [required(f"{path}.persistentVolumeName", "must specify non empty persistentVolumeName")]


def validate_update(new: Object, old: Object) -> Errors:
    return validate(new) + check.immutable("spec", new.get("spec"), old.get("spec"))
