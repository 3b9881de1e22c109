"""RuntimeClass: a handler that stays, an overhead, and the nodes that know it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.core.resources_validation import requirements_errors
from tiphys.api.core.scheduling_validation import toleration_errors
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_label, is_dns1123_subdomain
from tiphys.api.status import FieldError, duplicate, invalid

Object = Mapping[str, Any]


def validate(obj: Object) -> Errors:
    handler = obj.get("handler", "")
    errors = check.object_name(obj, is_dns1123_subdomain)
    errors += [invalid("handler", handler, text) for text in is_dns1123_label(handler)]
    fixed = (obj.get("overhead") or {}).get("podFixed")
    if fixed:
        for error in requirements_errors("overhead.podFixed", {"limits": fixed}):
            errors.append(FieldError(error.field.replace(".limits[", "["), error.reason, error.detail))
    scheduling = obj.get("scheduling") or {}
    errors += check.labels("scheduling.nodeSelector", scheduling.get("nodeSelector"))
    seen: set[str] = set()
    for index, item in enumerate(scheduling.get("tolerations") or []):
        path = f"scheduling.tolerations[{index}]"
        errors += toleration_errors(path, item)
        text = json.dumps(item, sort_keys=True)
        if text in seen:
            errors.append(duplicate(path, item))
        seen.add(text)
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    return check.immutable("handler", new.get("handler"), old.get("handler"))
