"""PodTemplate: its template could make a pod."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.core.podspec_validation import pod_template_errors
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain

Object = Mapping[str, Any]


def validate(obj: Object) -> Errors:
    return check.object_name(obj, is_dns1123_subdomain) + pod_template_errors("template", obj.get("template") or {})


def validate_update(new: Object, old: Object) -> Errors:
    return validate(new)
