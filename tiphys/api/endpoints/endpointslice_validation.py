"""EndpointSlice: addresses of one type that others can reach, and ports with different names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.core.address_validation import ip_errors, non_special_ip_errors
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_label, is_dns1123_subdomain, is_qualified_name
from tiphys.api.status import duplicate, invalid, required, too_many

Object = Mapping[str, Any]
ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
PROTOCOLS = ("SCTP", "TCP", "UDP")
_MAX_ENDPOINTS, _MAX_ADDRESSES, _MAX_PORTS, _MAX_TOPOLOGY, _MAX_HINTS = 1000, 100, 20000, 16, 8


def validate(obj: Object) -> Errors:
    kind = obj.get("addressType", "")
    errors = check.object_name(obj, is_dns1123_subdomain)
    errors += check.one_of("addressType", kind, ADDRESS_TYPES, optional=False)
    endpoints = obj.get("endpoints") or []
    if len(endpoints) > _MAX_ENDPOINTS:
        errors.append(too_many("endpoints", len(endpoints), _MAX_ENDPOINTS))
    else:
        for index, endpoint in enumerate(endpoints):
            errors += _endpoint(f"endpoints[{index}]", endpoint, kind)
    return errors + _ports(obj.get("ports") or [])


def validate_update(new: Object, old: Object) -> Errors:
    return validate(new) + check.immutable("addressType", new.get("addressType"), old.get("addressType"))


def _endpoint(path: str, endpoint: Object, kind: str) -> Errors:
    addresses = endpoint.get("addresses") or []
    errors: Errors = []
    if not addresses:
        errors.append(required(f"{path}.addresses", "must contain at least 1 address"))
    elif len(addresses) > _MAX_ADDRESSES:
        errors.append(too_many(f"{path}.addresses", len(addresses), _MAX_ADDRESSES))
    for index, address in enumerate(addresses[:_MAX_ADDRESSES]):
        errors += _address(f"{path}.addresses", index, address, kind)
    node, topology = endpoint.get("nodeName"), endpoint.get("deprecatedTopology") or {}
    if node is not None:
        errors += [invalid(f"{path}.nodeName", node, text) for text in is_dns1123_subdomain(node)]
    if len(topology) > _MAX_TOPOLOGY:
        errors.append(too_many(f"{path}.deprecatedTopology", len(topology), _MAX_TOPOLOGY))
    errors += check.labels(f"{path}.deprecatedTopology", topology)
    if endpoint.get("hostname") is not None:
        host = endpoint["hostname"]
        errors += [invalid(f"{path}.hostname", host, text) for text in is_dns1123_label(host)]
    return errors + _hints(f"{path}.hints", endpoint.get("hints") or {})


def _address(path: str, index: int, address: str, kind: str) -> Errors:
    here = f"{path}[{index}]"
    if kind in ("IPv4", "IPv6"):
        errors = ip_errors(here, address)
        if errors:
            return errors
        if (":" in address) != (kind == "IPv6"):
            errors.append(invalid(here, address, f"must be an {kind} address"))
        return errors + non_special_ip_errors(here, address)
    if kind == "FQDN":
        return _full_name(here, address)
    return []


def _full_name(path: str, name: str) -> Errors:
    if not name:
        return [required(path)]
    errors = [invalid(path, name, text) for text in is_dns1123_subdomain(name.removesuffix("."))]
    if not errors and len(name.removesuffix(".").split(".")) < 2:
        errors.append(invalid(path, name, "should be a domain with at least two segments separated by dots"))
    return errors


def _hints(path: str, hints: Object) -> Errors:
    errors: Errors = []
    for field, word in (("forZones", "zone"), ("forNodes", "node")):
        entries = hints.get(field) or []
        if len(entries) > _MAX_HINTS:
            errors.append(too_many(f"{path}.{field}", len(entries), _MAX_HINTS))
            continue
        seen: set[str] = set()
        for index, entry in enumerate(entries):
            here, name = f"{path}.{field}[{index}].name", entry.get("name", "")
            errors += check.name(here, name, is_qualified_name if word == "zone" else is_dns1123_subdomain)
            if name in seen:
                errors.append(duplicate(here, name))
            seen.add(name)
    return errors


def _ports(ports: list[Object]) -> Errors:
    if len(ports) > _MAX_PORTS:
        return [too_many("ports", len(ports), _MAX_PORTS)]
    errors: Errors = []
    names: set[str] = set()
    for index, port in enumerate(ports):
        path, name = f"ports[{index}]", port.get("name") or ""
        errors += check.optional_name(f"{path}.name", name, is_dns1123_label)
        if name in names:
            errors.append(duplicate(f"{path}.name", name))
        names.add(name)
        errors += check.one_of(f"{path}.protocol", port.get("protocol") or "", PROTOCOLS, optional=False)
        application = port.get("appProtocol")
        if application is not None:
            errors += [invalid(f"{path}.appProtocol", application, text) for text in is_qualified_name(application)]
    return errors
