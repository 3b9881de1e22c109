"""What an update of a service keeps of what was allocated, and what does not belong to its new type.

The allocation of addresses and node ports itself is the API server's: it needs to know what is taken.
"""

from typing import Any

JsonObject = dict[str, Any]

ADDRESSED = ("ClusterIP", "NodePort", "LoadBalancer")


def prepare_for_update(new: JsonObject, old: JsonObject) -> None:
    spec, before = new.setdefault("spec", {}), old.get("spec", {})
    keep_allocated(spec, before)
    _normalize_cluster_ips(spec, before)
    drop_what_the_type_cannot_have(spec, before)


def keep_allocated(spec: JsonObject, before: JsonObject) -> None:
    """A client that sends no address or node port means: as it was."""
    if _has_address(spec) and _has_address(before):
        if not spec.get("clusterIP") and before.get("clusterIP"):
            spec["clusterIP"] = before["clusterIP"]
        if not spec.get("clusterIPs") and spec.get("clusterIP") == before.get("clusterIP") and before.get("clusterIPs"):
            spec["clusterIPs"] = before["clusterIPs"]
        for name in ("ipFamilies", "ipFamilyPolicy"):
            if not spec.get(name) and before.get(name):
                spec[name] = before[name]
    if _has_node_ports(spec) and _has_node_ports(before):
        _keep_node_ports(spec, before)
    if _has_health_check(spec) and _has_health_check(before):
        kept = spec.get("healthCheckNodePort") or before.get("healthCheckNodePort")
        if kept:
            spec["healthCheckNodePort"] = kept


def _keep_node_ports(spec: JsonObject, before: JsonObject) -> None:
    taken = {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}
    known = {(port.get("protocol"), port.get("port")): port.get("nodePort", 0) for port in before.get("ports") or ()}
    for port in spec.get("ports") or ():
        kept = known.get((port.get("protocol"), port.get("port")), 0)
        if not port.get("nodePort") and kept and kept not in taken:
            port["nodePort"] = kept
            taken.add(kept)


def _normalize_cluster_ips(spec: JsonObject, before: JsonObject) -> None:
    """`clusterIP` is the first of `clusterIPs`; whichever of the two a client changed wins."""
    one, many = spec.get("clusterIP", ""), spec.get("clusterIPs") or []
    was_one, was_many = before.get("clusterIP", ""), before.get("clusterIPs") or []
    if one != was_one:
        if not one and many == was_many:
            spec.pop("clusterIPs", None)
        elif one and many == was_many:
            spec["clusterIPs"] = [one]
    elif many != was_many and not many and one:
        spec.pop("clusterIP", None)


def drop_what_the_type_cannot_have(spec: JsonObject, before: JsonObject) -> None:
    """When the type changes, fields of the old type that the client left as they were go away."""

    def left_alone(name: str) -> bool:
        return bool(spec.get(name) == before.get(name))

    if _has_address(before) and not _has_address(spec) and left_alone("clusterIP") and left_alone("clusterIPs"):
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            spec.pop(name, None)
    if _has_node_ports(before) and not _has_node_ports(spec):
        for port, was in zip(spec.get("ports") or (), before.get("ports") or (), strict=False):
            if port.get("nodePort") == was.get("nodePort"):
                port.pop("nodePort", None)
    if _has_health_check(before) and not _has_health_check(spec) and left_alone("healthCheckNodePort"):
        spec.pop("healthCheckNodePort", None)
    if before.get("type") == "LoadBalancer" and spec.get("type") != "LoadBalancer":
        for name in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if left_alone(name):
                spec.pop(name, None)
    if _is_reached_from_outside(before) and not _is_reached_from_outside(spec) and left_alone("externalTrafficPolicy"):
        spec.pop("externalTrafficPolicy", None)
    if before.get("type") != "ExternalName" or spec.get("type") == "ExternalName":
        return
    if left_alone("externalName"):
        spec.pop("externalName", None)


def _has_address(spec: JsonObject) -> bool:
    return spec.get("type") in ADDRESSED


def _has_node_ports(spec: JsonObject) -> bool:
    if spec.get("type") == "LoadBalancer":
        return spec.get("allocateLoadBalancerNodePorts") is not False
    return spec.get("type") == "NodePort"


def _is_reached_from_outside(spec: JsonObject) -> bool:
    if spec.get("type") == "ClusterIP":
        return bool(spec.get("externalIPs"))
    return spec.get("type") in ("NodePort", "LoadBalancer")


def _has_health_check(spec: JsonObject) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


selectable_fields = {
    "spec.clusterIP": lambda service: str(service.get("spec", {}).get("clusterIP") or ""),
    "spec.type": lambda service: str(service.get("spec", {}).get("type") or ""),
}
