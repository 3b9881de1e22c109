"""ServiceAccount: nothing but its name has a rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain


def validate(obj: Mapping[str, Any]) -> Errors:
    return check.object_name(obj, is_dns1123_subdomain)
