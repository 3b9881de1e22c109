"""The quality-of-service class of a pod, which follows from its requests and limits."""

from typing import Any

from tiphys.api.quantity import parse_quantity

COMPUTE = ("cpu", "memory")


def qos_class(spec: dict[str, Any]) -> str:
    """Guaranteed, Burstable or BestEffort for a PodSpec in wire form."""
    own = spec.get("resources")
    if own and (_amounts(own, "requests") or _amounts(own, "limits")):
        return _class_of([own])
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    return _class_of([container.get("resources") or {} for container in containers])


def _class_of(resources: list[dict[str, Any]]) -> str:
    requests = [_amounts(item, "requests") for item in resources]
    limits = [_amounts(item, "limits") for item in resources]
    if not any(requests) and not any(limits):
        return "BestEffort"
    limited = all(set(limit) == set(COMPUTE) for limit in limits)
    if limited and _total(requests) == _total(limits):
        return "Guaranteed"
    return "Burstable"


def _amounts(resources: dict[str, Any], what: str) -> dict[str, Any]:
    amounts = {name: parse_quantity(str(text)) for name, text in (resources.get(what) or {}).items() if name in COMPUTE}
    return {name: amount for name, amount in amounts.items() if amount > 0}


def _total(amounts: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: sum(amount.get(name, 0) for amount in amounts) for name in COMPUTE}
