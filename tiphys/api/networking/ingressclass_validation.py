"""IngressClass: a controller that stays, and parameters that name one object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_label, is_dns1123_subdomain, is_path_segment
from tiphys.api.status import forbidden_field, invalid, required, too_long

Object = Mapping[str, Any]
_MAX_CONTROLLER = 250


def validate(obj: Object) -> Errors:
    return check.object_name(obj, is_dns1123_subdomain) + _spec(obj.get("spec") or {})


def validate_update(new: Object, old: Object) -> Errors:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors = _spec(spec)
    return errors + check.immutable("spec.controller", spec.get("controller"), before.get("controller"))


def _spec(spec: Object) -> Errors:
    controller = spec.get("controller", "")
    errors: Errors = []
    if len(controller) > _MAX_CONTROLLER:
        errors.append(too_long("spec.controller", _MAX_CONTROLLER))
    errors += check.domain_prefixed_path("spec.controller", controller)
    parameters = spec.get("parameters")
    return errors + (_parameters("spec.parameters", parameters) if parameters is not None else [])


def _parameters(path: str, reference: Object) -> Errors:
    errors = check.optional_name(f"{path}.apiGroup", reference.get("apiGroup"), is_dns1123_subdomain)
    for field in ("kind", "name"):
        errors += check.name(f"{path}.{field}", reference.get(field, ""), is_path_segment)
    scope, namespace = reference.get("scope"), reference.get("namespace")
    if scope is None:
        return [*errors, required(f"{path}.scope")]
    errors += check.one_of(f"{path}.scope", scope, ("Cluster", "Namespace"), optional=False)
    if scope == "Namespace":
        if namespace is None:
            errors.append(required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'"))
        else:
            errors += [invalid(f"{path}.namespace", namespace, text) for text in is_dns1123_label(namespace)]
    elif scope == "Cluster" and namespace is not None:
        errors.append(forbidden_field(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'"))
    return errors
