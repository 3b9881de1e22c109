"""NetworkPolicy: ports, peers of one sort, and address blocks that lie within one another."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_cidr, is_dns1123_subdomain, is_port_name
from tiphys.api.status import forbidden_field, invalid, not_supported, required

Object = Mapping[str, Any]
PROTOCOLS = ("TCP", "UDP", "SCTP")


def validate(obj: Object) -> Errors:
    return check.object_name(obj, is_dns1123_subdomain) + _spec(obj.get("spec") or {})


def validate_update(new: Object, old: Object) -> Errors:
    return _spec(new.get("spec") or {})


def _spec(spec: Object) -> Errors:
    errors = check.label_selector("spec.podSelector", spec.get("podSelector"))
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or []):
            path = f"spec.{direction}[{index}]"
            errors += check.each(f"{path}.ports", rule.get("ports"), _port)
            errors += check.each(f"{path}.{peers}", rule.get(peers), _peer)
    types = spec.get("policyTypes") or []
    if len(types) > 2:
        errors.append(invalid("spec.policyTypes", types, "may not specify more than two policyTypes"))
        return errors
    for index, kind in enumerate(types):
        if kind not in ("Ingress", "Egress"):
            errors.append(not_supported(f"spec.policyTypes[{index}]", kind, ("Ingress", "Egress")))
    return errors


def _port(path: str, item: Object) -> Errors:
    protocol, port, end = item.get("protocol"), item.get("port"), item.get("endPort")
    errors: Errors = []
    if protocol is not None and protocol not in PROTOCOLS:
        errors.append(not_supported(f"{path}.protocol", protocol, PROTOCOLS))
    if port is None or isinstance(port, str):
        if end is not None:
            text = "not specified" if port is None else "non-numeric"
            errors.append(invalid(f"{path}.endPort", end, f"may not be specified when `port` is {text}"))
        if port is not None:
            errors += [invalid(f"{path}.port", port, text) for text in is_port_name(port)]
        return errors
    errors += check.port_number(f"{path}.port", port)
    if end is not None:
        if end < port:
            errors.append(invalid(f"{path}.endPort", end, "must be greater than or equal to `port`"))
        errors += check.port_number(f"{path}.endPort", end)
    return errors


def _peer(path: str, peer: Object) -> Errors:
    errors: Errors = []
    for field in ("podSelector", "namespaceSelector"):
        errors += check.label_selector(f"{path}.{field}", peer.get(field))
    block = peer.get("ipBlock")
    if block is not None:
        errors += _block(f"{path}.ipBlock", block)
    given = [field for field in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(field) is not None]
    if not given:
        errors.append(required(path, "must specify a peer"))
    elif len(given) > 1 and block is not None:
        errors.append(forbidden_field(path, "may not specify both ipBlock and another peer"))
    return errors


def _block(path: str, block: Object) -> Errors:
    cidr = block.get("cidr", "")
    if not cidr:
        return [required(f"{path}.cidr")]
    errors = [invalid(f"{path}.cidr", cidr, text) for text in is_cidr(cidr)]
    if errors:
        return errors
    network = ipaddress.ip_network(cidr, strict=False)
    for index, text in enumerate(block.get("except") or []):
        here = f"{path}.except[{index}]"
        problems = [invalid(here, text, message) for message in is_cidr(text)]
        if not problems:
            inner = ipaddress.ip_network(text, strict=False)
            inside = inner.version == network.version and inner.network_address in network
            if not inside or inner.prefixlen <= network.prefixlen:
                problems.append(invalid(here, text, "must be a strict subset of `cidr`"))
        errors += problems
    return errors
