"""The names of storage drivers."""

from __future__ import annotations

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.status import too_long

_MAX_BYTES = 63


def driver_name_errors(path: str, name: str) -> Errors:
    errors: Errors = [too_long(path, _MAX_BYTES)] if len(name) > _MAX_BYTES else []
    return errors + check.name(path, name, lambda text: is_dns1123_subdomain(text.lower()))
