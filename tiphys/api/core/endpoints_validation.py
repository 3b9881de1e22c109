"""Endpoints: addresses other machines can reach, and named ports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.core.address_validation import ip_errors, non_special_ip_errors
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_label, is_dns1123_subdomain, is_qualified_name
from tiphys.api.status import invalid, required

Object = Mapping[str, Any]
PROTOCOLS = ("SCTP", "TCP", "UDP")


def validate(obj: Object) -> Errors:
    return check.object_name(obj, is_dns1123_subdomain) + check.each("subsets", obj.get("subsets"), _subset)


def validate_update(new: Object, old: Object) -> Errors:
    """Controllers rewrite what they once wrote: unchanged subsets pass."""
    if new.get("subsets") == old.get("subsets"):
        return []
    return check.each("subsets", new.get("subsets"), _subset)


def _subset(path: str, subset: Object) -> Errors:
    errors: Errors = []
    if not subset.get("addresses") and not subset.get("notReadyAddresses"):
        errors.append(required(path, "must specify `addresses` or `notReadyAddresses`"))
    for field in ("addresses", "notReadyAddresses"):
        errors += check.each(f"{path}.{field}", subset.get(field), _address)
    ports = subset.get("ports") or []
    for index, port in enumerate(ports):
        errors += _port(f"{path}.ports[{index}]", port, needs_name=len(ports) > 1)
    return errors


def _address(path: str, address: Object) -> Errors:
    ip = address.get("ip", "")
    errors = ip_errors(f"{path}.ip", ip)
    errors += check.optional_name(f"{path}.hostname", address.get("hostname"), is_dns1123_label)
    node = address.get("nodeName")
    if node is not None:
        errors += [invalid(f"{path}.nodeName", node, text) for text in is_dns1123_subdomain(node)]
    return errors + non_special_ip_errors(f"{path}.ip", ip)


def _port(path: str, port: Object, *, needs_name: bool) -> Errors:
    name = port.get("name", "")
    errors = check.name(f"{path}.name", name, is_dns1123_label) if name or needs_name else []
    errors += check.port_number(f"{path}.port", port.get("port", 0))
    errors += check.one_of(f"{path}.protocol", port.get("protocol", ""), PROTOCOLS, optional=False)
    application = port.get("appProtocol")
    if application is not None:
        errors += [invalid(f"{path}.appProtocol", application, text) for text in is_qualified_name(application)]
    return errors
