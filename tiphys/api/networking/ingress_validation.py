"""What an ingress may say: hosts, absolute paths, and one backend each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import (
    is_dns1035_label,
    is_dns1123_subdomain,
    is_path_segment,
    is_port_name,
    is_valid_ip,
    is_wildcard_dns1123_subdomain,
)
from tiphys.api.status import invalid, not_supported, required

Object = Mapping[str, Any]
PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_BAD_SEQUENCES, _BAD_SUFFIXES = ("//", "/./", "/../", "%2f", "%2F"), ("/..", "/.")


def validate(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    errors = check.object_name(obj, is_dns1123_subdomain) + _spec(spec)
    annotation = ((obj.get("metadata") or {}).get("annotations") or {}).get(_CLASS_ANNOTATION)
    name = spec.get("ingressClassName")
    if annotation is not None and name is not None and annotation != name:
        text = "must match `ingressClassName` when both are specified"
        errors.append(invalid(f"annotations.{_CLASS_ANNOTATION}", annotation, text))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    return _spec(new.get("spec") or {})


def _spec(spec: Object) -> Errors:
    errors: Errors = []
    rules, backend = spec.get("rules") or [], spec.get("defaultBackend")
    if not rules and backend is None:
        errors.append(invalid("spec", None, "either `defaultBackend` or `rules` must be specified"))
    if backend is not None:
        errors += _backend("spec.defaultBackend", backend)
    errors += check.each("spec.rules", rules, _rule)
    errors += check.each("spec.tls", spec.get("tls"), _tls)
    name = spec.get("ingressClassName")
    if name is not None:
        errors += [invalid("spec.ingressClassName", name, text) for text in is_dns1123_subdomain(name)]
    return errors


def _tls(path: str, tls: Object) -> Errors:
    errors: Errors = []
    for index, host in enumerate(tls.get("hosts") or []):
        problems = is_wildcard_dns1123_subdomain(host) if "*" in host else is_dns1123_subdomain(host)
        errors += [invalid(f"{path}.hosts[{index}]", host, text) for text in problems]
    return errors + check.optional_name(f"{path}.secretName", tls.get("secretName"), is_dns1123_subdomain)


def _rule(path: str, rule: Object) -> Errors:
    host = rule.get("host", "")
    errors: Errors = []
    if host:
        if not is_valid_ip(host):
            errors.append(invalid(f"{path}.host", host, "must be a DNS name, not an IP address"))
        problems = is_wildcard_dns1123_subdomain(host) if "*" in host else is_dns1123_subdomain(host)
        errors += [invalid(f"{path}.host", host, text) for text in problems]
    http = rule.get("http")
    if http is None:
        return errors
    if not http.get("paths"):
        errors.append(required(f"{path}.http.paths"))
    return errors + check.each(f"{path}.http.paths", http.get("paths"), _path)


def _path(path: str, item: Object) -> Errors:
    kind, value, here = item.get("pathType"), item.get("path", ""), f"{path}.path"
    if kind is None:
        return [required(f"{path}.pathType", "pathType must be specified")]
    errors: Errors = []
    if kind in ("Exact", "Prefix"):
        if not value.startswith("/"):
            errors.append(invalid(here, value, "must be an absolute path"))
        if value:
            errors += [invalid(here, value, f"must not contain '{bad}'") for bad in _BAD_SEQUENCES if bad in value]
            ends = (bad for bad in _BAD_SUFFIXES if value.endswith(bad))
            errors += [invalid(here, value, f"cannot end with '{bad}'") for bad in ends]
    elif kind == "ImplementationSpecific":
        if value and not value.startswith("/"):
            errors.append(invalid(here, value, "must be an absolute path"))
    else:
        errors.append(not_supported(f"{path}.pathType", kind, PATH_TYPES))
    return errors + _backend(f"{path}.backend", item.get("backend") or {})


def _backend(path: str, backend: Object) -> Errors:
    resource, service = backend.get("resource"), backend.get("service")
    if resource is not None and service is not None:
        return [invalid(path, "", "cannot set both resource and service backends")]
    if resource is not None:
        return _resource(f"{path}.resource", resource)
    if service is None:
        return [invalid(path, "", "resource or service backend is required")]
    errors = check.name(f"{path}.service.name", service.get("name", ""), is_dns1035_label)
    port = service.get("port") or {}
    name, number = port.get("name", ""), port.get("number", 0)
    if name and number:
        errors.append(invalid(path, "", "cannot set both port name & port number"))
    elif name:
        errors += [invalid(f"{path}.service.port.name", name, text) for text in is_port_name(name)]
    elif number:
        errors += check.port_number(f"{path}.service.port.number", number)
    else:
        errors.append(required(path, "port name or number is required"))
    return errors


def _resource(path: str, reference: Object) -> Errors:
    errors = check.optional_name(f"{path}.apiGroup", reference.get("apiGroup"), is_dns1123_subdomain)
    for field in ("kind", "name"):
        errors += check.name(f"{path}.{field}", reference.get(field, ""), is_path_segment)
    return errors


def validate_status_update(new: Object, old: Object) -> Errors:
    errors: Errors = []
    for index, item in enumerate((((new.get("status") or {}).get("loadBalancer") or {}).get("ingress")) or []):
        path, ip, host = f"status.loadBalancer.ingress[{index}]", item.get("ip", ""), item.get("hostname", "")
        if ip and is_valid_ip(ip):
            errors += [invalid(f"{path}.ip", ip, text) for text in is_valid_ip(ip)]
        if host and not is_valid_ip(host):
            errors.append(invalid(f"{path}.hostname", host, "must be a DNS name, not an IP address"))
    return errors
