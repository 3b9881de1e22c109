"""Event: it stands in the namespace of what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.status import invalid

Object = Mapping[str, Any]


def validate(obj: Object) -> Errors:
    errors = check.object_name(obj, is_dns1123_subdomain)
    namespace = (obj.get("metadata") or {}).get("namespace", "")
    involved = (obj.get("involvedObject") or {}).get("namespace", "")
    if (involved and involved != namespace) or (not involved and namespace not in ("", "default", "kube-system")):
        errors.append(invalid("involvedObject.namespace", involved, "does not match event.namespace"))
    return errors
