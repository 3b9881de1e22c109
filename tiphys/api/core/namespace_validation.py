"""Namespace: its name is a DNS label, because it becomes one; finalizers go through their own subresource."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_label, is_qualified_name
from tiphys.api.status import invalid

Object = Mapping[str, Any]


def validate(obj: Object) -> Errors:
    errors = check.object_name(obj, is_dns1123_label)
    for finalizer in (obj.get("spec") or {}).get("finalizers") or []:
        errors += [invalid("spec.finalizers", finalizer, text) for text in is_qualified_name(finalizer)]
    return errors


def validate_status_update(new: Object, old: Object) -> Errors:
    phase = (new.get("status") or {}).get("phase", "")
    leaving = bool((new.get("metadata") or {}).get("deletionTimestamp"))
    if leaving and phase != "Terminating":
        return [invalid("status.Phase", phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")]
    if not leaving and phase not in ("", "Active"):
        return [invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty")]
    return []
