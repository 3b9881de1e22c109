"""APIService: its name follows from group and version, and it can be trusted one way or the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1035_label, is_dns1123_subdomain
from tiphys.api.status import invalid, required

Object = Mapping[str, Any]
_MAX_GROUP_PRIORITY, _MAX_VERSION_PRIORITY = 20000, 1000


def validate(obj: Object) -> Errors:
    spec, name = obj.get("spec") or {}, (obj.get("metadata") or {}).get("name", "")
    group, version = spec.get("group", ""), spec.get("version", "")
    errors: Errors = []
    if name != f"{version}.{group}":
        text = f'must be `spec.version+"."+spec.group`: "{version}.{group}"'
        errors.append(invalid("metadata.name", name, text))
    if group:
        errors += [invalid("spec.group", group, text) for text in is_dns1123_subdomain(group)]
    else:
        errors += (
            []
            if version == "v1"
            else [required("spec.group", "only v1 may have an empty group and it better be legacy kube")]
        )
    errors += [invalid("spec.version", version, text) for text in is_dns1035_label(version)]
    for field, limit in (("groupPriorityMinimum", _MAX_GROUP_PRIORITY), ("versionPriority", _MAX_VERSION_PRIORITY)):
        value = spec.get(field, 0)
        if not 0 < value <= limit:
            errors.append(invalid(f"spec.{field}", value, f"must be positive and less than {limit}"))
    return errors + _service(spec)


def _service(spec: Object) -> Errors:
    service, insecure, bundle = spec.get("service"), spec.get("insecureSkipTLSVerify"), spec.get("caBundle")
    errors: Errors = []
    if service is None:
        if bundle:
            errors.append(invalid("spec.caBundle", bundle, "local APIServices may not have a caBundle"))
        if insecure:
            text = "local APIServices may not have insecureSkipTLSVerify"
            errors.append(invalid("spec.insecureSkipTLSVerify", insecure, text))
        return errors
    for field in ("namespace", "name"):
        if not service.get(field):
            errors.append(required(f"spec.service.{field}"))
    errors += check.port_number("spec.service.port", service.get("port") or 0)
    if insecure and bundle:
        errors.append(invalid("spec.insecureSkipTLSVerify", insecure, "may not be true if caBundle is present"))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    return validate(new)
