"""Service: ports, addresses, traffic policies, and what a type asks for or refuses."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1035_label, is_dns1123_label, is_dns1123_subdomain, is_port_name, is_valid_ip
from tiphys.api.status import duplicate, forbidden_field, invalid, not_supported, required

Object = Mapping[str, Any]
TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
PROTOCOLS = ("SCTP", "TCP", "UDP")
MAX_AFFINITY_SECONDS = 86400


def validate(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    kind, headless = spec.get("type", ""), spec.get("clusterIP") == "None"
    errors = check.object_name(obj, is_dns1035_label)
    if not spec.get("ports") and not headless and kind != "ExternalName":
        errors.append(required("spec.ports"))
    errors += _type(spec, kind, headless=headless)
    errors += check.labels("spec.selector", spec.get("selector"))
    errors += _affinity(spec)
    errors += _ports(spec.get("ports") or [], kind)
    for index, address in enumerate(spec.get("externalIPs") or []):
        errors += _address(f"spec.externalIPs[{index}]", address)
    if kind not in TYPES:
        errors.append(not_supported("spec.type", kind, TYPES) if kind else required("spec.type"))
    if kind != "ExternalName":
        errors += _cluster_ips(spec)
    return errors + _policies(spec, kind) + _source_ranges(spec)


def _type(spec: Object, kind: str, *, headless: bool) -> Errors:
    if kind in ("LoadBalancer", "NodePort") and headless:
        text = f"may not be set to 'None' for {kind} services"
        return [invalid("spec.clusterIPs[0]", "None", text)]
    if kind == "ExternalName":
        if spec.get("clusterIP"):
            text = "may not be set when `type` is 'ExternalName'"
            return [forbidden_field("spec.clusterIPs", text)]
        name = spec.get("externalName", "").removesuffix(".")
        if not name:
            return [required("spec.externalName")]
        return [invalid("spec.externalName", name, text) for text in is_dns1123_subdomain(name)]
    return []


def _affinity(spec: Object) -> Errors:
    kind = spec.get("sessionAffinity", "")
    errors = check.one_of("spec.sessionAffinity", kind, ("ClientIP", "None"), optional=False)
    config = spec.get("sessionAffinityConfig")
    path = "spec.sessionAffinityConfig"
    if kind == "ClientIP":
        seconds = ((config or {}).get("clientIP") or {}).get("timeoutSeconds")
        if seconds is None:
            errors.append(required(f"{path}.clientIP.timeoutSeconds"))
        elif not 0 < seconds <= MAX_AFFINITY_SECONDS:
            text = f"must be greater than 0 and less than {MAX_AFFINITY_SECONDS}"
            errors.append(invalid(f"{path}.clientIP.timeoutSeconds", seconds, text))
    elif kind == "None" and config is not None:
        errors.append(forbidden_field(path, "must not be set when session affinity is None"))
    return errors


def _ports(ports: list[Object], kind: str) -> Errors:
    errors: Errors = []
    names: set[str] = set()
    taken: set[tuple[str, int]] = set()
    node_ports: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        here, name = f"spec.ports[{index}]", port.get("name", "")
        if not name and len(ports) > 1:
            errors.append(required(f"{here}.name"))
        elif name:
            problems = [invalid(f"{here}.name", name, text) for text in is_dns1123_label(name)]
            errors += problems or ([duplicate(f"{here}.name", name)] if name in names else [])
            names.add(name)
        errors += check.port_number(f"{here}.port", port.get("port", 0))
        protocol = port.get("protocol", "")
        errors += check.one_of(f"{here}.protocol", protocol, PROTOCOLS, optional=False)
        errors += _target(f"{here}.targetPort", port.get("targetPort", 0))
        if port.get("nodePort") and kind in ("ClusterIP", "ExternalName"):
            text = f"may not be used when `type` is '{kind}'"
            errors.append(forbidden_field(f"{here}.nodePort", text))
        key, node_key = (protocol, port.get("port", 0)), (protocol, port.get("nodePort", 0))
        if key in taken:
            errors.append(duplicate(here, {"protocol": key[0], "port": key[1]}))
        if node_key[1] and node_key in node_ports:
            errors.append(duplicate(f"{here}.nodePort", node_key[1]))
        taken.add(key)
        node_ports.add(node_key)
    return errors


def _target(path: str, target: int | str) -> Errors:
    if isinstance(target, str):
        return [invalid(path, target, text) for text in is_port_name(target)]
    return check.port_number(path, target)


def _address(path: str, address: str) -> Errors:
    """An external address: no loopback, link-local, multicast or unspecified one."""
    problems = is_valid_ip(address)
    if problems:
        return [invalid(path, address, text) for text in problems]
    parsed = ipaddress.ip_address(address)
    for bad, text in (
        (parsed.is_unspecified, f"may not be unspecified ({address})"),
        (parsed.is_loopback, "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        (parsed.is_link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
    ):
        if bad:
            return [invalid(path, address, text)]
    return []


def _cluster_ips(spec: Object) -> Errors:
    addresses, errors = spec.get("clusterIPs") or [], []
    for index, address in enumerate(addresses):
        if address == "None":
            if len(addresses) > 1:
                text = "'None' must be the first and only value"
                errors.append(invalid(f"spec.clusterIPs[{index}]", addresses, text))
            continue
        errors += [invalid(f"spec.clusterIPs[{index}]", address, text) for text in is_valid_ip(address)]
    if len(addresses) > 2:
        errors.append(invalid("spec.clusterIPs", addresses, "may only hold up to 2 values"))
    if addresses and spec.get("clusterIP") and addresses[0] != spec["clusterIP"]:
        errors.append(invalid("spec.clusterIPs", addresses, "first value must match `clusterIP`"))
    for index, family in enumerate(spec.get("ipFamilies") or []):
        errors += check.one_of(f"spec.ipFamilies[{index}]", family, ("IPv4", "IPv6"), optional=False)
    policy = spec.get("ipFamilyPolicy")
    if policy is not None:
        supported = ("SingleStack", "PreferDualStack", "RequireDualStack")
        errors += check.one_of("spec.ipFamilyPolicy", policy, supported, optional=False)
    return errors


def _policies(spec: Object, kind: str) -> Errors:
    external, internal = spec.get("externalTrafficPolicy", ""), spec.get("internalTrafficPolicy")
    outside = kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and spec.get("externalIPs"))
    errors: Errors = []
    if external and not outside:
        text = "may only be set for externally-accessible services"
        errors.append(invalid("spec.externalTrafficPolicy", external, text))
    elif external:
        errors += check.one_of("spec.externalTrafficPolicy", external, ("Cluster", "Local"))
    if internal is not None:
        errors += check.one_of("spec.internalTrafficPolicy", internal, ("Cluster", "Local"), optional=False)
    if spec.get("healthCheckNodePort") and not (kind == "LoadBalancer" and external == "Local"):
        text = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        errors.append(invalid("spec.healthCheckNodePort", spec["healthCheckNodePort"], text))
    if spec.get("trafficDistribution"):
        supported = ("PreferClose", "PreferSameNode", "PreferSameZone")
        errors += check.one_of("spec.trafficDistribution", spec["trafficDistribution"], supported)
    for field in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
        if spec.get(field) is not None and kind != "LoadBalancer":
            errors.append(forbidden_field(f"spec.{field}", "may only be used when `type` is 'LoadBalancer'"))
    return errors


def _source_ranges(spec: Object) -> Errors:
    errors: Errors = []
    for index, text in enumerate(spec.get("loadBalancerSourceRanges") or []):
        try:
            ipaddress.ip_network(text.strip(), strict=False)
        except ValueError:
            message = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            errors.append(invalid(f"spec.loadBalancerSourceRanges[{index}]", text, message))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """A cluster IP stays as long as the service has one."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors = validate(new)
    if "ExternalName" not in (spec.get("type"), before.get("type")):
        for index, address in enumerate((before.get("clusterIPs") or [])[:1]):
            found = (spec.get("clusterIPs") or [None])[index]
            if found != address:
                errors.append(invalid(f"spec.clusterIPs[{index}]", spec.get("clusterIPs"), "may not change once set"))
    if before.get("type") == spec.get("type") == "LoadBalancer":
        errors += check.immutable(
            "spec.loadBalancerClass", spec.get("loadBalancerClass"), before.get("loadBalancerClass")
        )
    return errors
