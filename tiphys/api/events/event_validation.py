"""Event: a new one says who saw what, when, and stands in the namespace of what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.core.event_validation import validate as core_errors
from tiphys.api.events.event_conversion import to_storage
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_qualified_name
from tiphys.api.status import invalid, required

Object = Mapping[str, Any]
_LIMITS = {"reportingInstance": 128, "action": 128, "reason": 128, "note": 1024}
_FIXED = (
    *("eventTime", "reportingController", "reportingInstance", "action", "reason", "regarding", "related", "note"),
    "type",
)


def validate(event: Object) -> Errors:
    errors = core_errors(to_storage(dict(event)))
    if not event.get("eventTime"):
        errors.append(required("eventTime"))
    controller = event.get("reportingController", "")
    errors += check.name("reportingController", controller, is_qualified_name)
    for field in ("reportingInstance", "action", "reason"):
        if not event.get(field):
            errors.append(required(field))
    for field, limit in _LIMITS.items():
        if len(event.get(field, "").encode()) > limit:
            errors.append(invalid(field, "", f"can have at most {limit} characters"))
    if event.get("type") not in ("Normal", "Warning"):
        errors.append(invalid("type", "", f"has invalid value: {event.get('type', '')}"))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """Only the series may go on."""
    errors: Errors = []
    for field in _FIXED:
        errors += check.immutable(field, new.get(field), old.get(field))
    series = new.get("series")
    if series is not None and series.get("count", 0) < 2:
        errors.append(invalid("series.count", "", "should be at least 2"))
    return errors
