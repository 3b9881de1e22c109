"""What one object uses of a ResourceQuota, and which quotas are about it.  Pure, on objects in wire form.

What must stay true: the admission of a write and whoever counts afterwards use these same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from tiphys.api.core.pod_resources import Amounts, amounts, is_binary, pod_amounts, quantity

Object = Mapping[str, Any]

_BY_NAME = frozenset({"configmaps", "secrets", "replicationcontrollers", "resourcequotas"})
_ONE = Decimal(1)
_CLASS = ".storageclass.storage.k8s.io/"
_OLD_CLASS = "volume.beta.kubernetes.io/storage-class"
_REQUIRED = frozenset({"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})
_NATIVE = frozenset({"cpu", "memory", "ephemeral-storage"})


def usage(group: str, plural: str, obj: Object) -> Amounts:
    """Everything the object uses, under all names a quota may call it by."""
    found: Amounts = {f"count/{plural}.{group}" if group else f"count/{plural}": _ONE}
    if group:
        return found
    if plural in _BY_NAME:
        found[plural] = _ONE
    elif plural == "pods" and not is_finished(obj):
        found |= _pod(obj)
    elif plural == "services":
        found |= _service(obj)
    elif plural == "persistentvolumeclaims":
        found |= _claim(obj)
    return found


def is_finished(pod: Object) -> bool:
    """A pod that has ended holds nothing but its own object."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _pod(pod: Object) -> Amounts:
    spec = pod.get("spec") or {}
    found: Amounts = {"pods": _ONE}
    for name, amount in pod_amounts(spec, "requests").items():
        found[f"requests.{name}"] = amount
        if name in _NATIVE or name.startswith("hugepages-"):
            found[name] = amount
    for name, amount in pod_amounts(spec, "limits").items():
        if name in _NATIVE:
            found[f"limits.{name}"] = amount
    return found


def _service(service: Object) -> Amounts:
    spec = service.get("spec") or {}
    kind, ports = spec.get("type", "ClusterIP"), Decimal(len(spec.get("ports") or ()))
    found: Amounts = {"services": _ONE, "services.nodeports": Decimal(0), "services.loadbalancers": Decimal(0)}
    if kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True)):
        found["services.nodeports"] = ports
    if kind == "LoadBalancer":
        found["services.loadbalancers"] = _ONE
    return found


def _claim(claim: Object) -> Amounts:
    spec = claim.get("spec") or {}
    annotations = claim["metadata"].get("annotations") or {}
    name = annotations.get(_OLD_CLASS) or spec.get("storageClassName") or ""
    storage = amounts((spec.get("resources") or {}).get("requests")).get("storage", Decimal(0))
    found: Amounts = {"persistentvolumeclaims": _ONE, "requests.storage": storage}
    if name:
        found |= {f"{name}{_CLASS}persistentvolumeclaims": _ONE, f"{name}{_CLASS}requests.storage": storage}
    return found


def concerns(quota: Object, group: str, plural: str, obj: Object, used: Mapping[str, Decimal]) -> bool:
    """Whether the quota bounds something the object may use, and the object is in its scopes."""
    hard = (quota.get("spec") or {}).get("hard") or {}
    if not (hard.keys() & used.keys()) and not ((group, plural) == ("", "pods") and hard.keys() & _REQUIRED):
        return False
    terms = _scope_terms(quota.get("spec") or {})
    if terms and (group, plural) != ("", "pods"):
        return False
    return all(_is_in_scope(obj, *term) for term in terms)


def _scope_terms(spec: Object) -> list[tuple[str, str, Sequence[str]]]:
    """(scope, operator, values)"""
    found: list[tuple[str, str, Sequence[str]]] = [(scope, "Exists", ()) for scope in spec.get("scopes") or ()]
    for one in (spec.get("scopeSelector") or {}).get("matchExpressions") or ():
        found.append((one["scopeName"], one.get("operator", "Exists"), one.get("values") or ()))
    return found


def _is_in_scope(pod: Object, scope: str, operator: str, values: Sequence[str]) -> bool:
    spec = pod.get("spec") or {}
    if scope in ("Terminating", "NotTerminating"):
        return (spec.get("activeDeadlineSeconds") is not None) == (scope == "Terminating")
    if scope in ("BestEffort", "NotBestEffort"):
        return _is_best_effort(spec) == (scope == "BestEffort")
    if scope == "PriorityClass":
        name = spec.get("priorityClassName") or ""
        if operator in ("Exists", "DoesNotExist"):
            return bool(name) == (operator == "Exists")
        return (name in values) == (operator == "In")
    if scope == "CrossNamespacePodAffinity":
        return any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in _terms(spec))
    return False


def _is_best_effort(spec: Object) -> bool:
    every = [spec, *(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    asked = (
        text
        for one in every
        for kind in ("requests", "limits")
        for name, text in ((one.get("resources") or {}).get(kind) or {}).items()
        if name in ("cpu", "memory")
    )
    return not any(amounts({"": text})[""] for text in asked)


def _terms(spec: Object) -> Iterable[Object]:
    for kind in ("podAffinity", "podAntiAffinity"):
        affinity = (spec.get("affinity") or {}).get(kind) or {}
        yield from affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        for weighted in affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            yield weighted.get("podAffinityTerm") or {}


def unspecified(quota: Object, pod: Object) -> str:
    """What the pod's containers must say because the quota bounds it: "limits.cpu for: a,b; ..." or ""."""
    spec = pod.get("spec") or {}
    if spec.get("resources"):
        return ""
    wanted = sorted(_REQUIRED & ((quota.get("spec") or {}).get("hard") or {}).keys())
    missing: dict[str, list[str]] = {}
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        resources = container.get("resources") or {}
        for name in wanted:
            kind, _, short = name.rpartition(".")
            if short not in (resources.get(kind or "requests") or {}):
                missing.setdefault(name, []).append(container["name"])
    return "; ".join(f"{name} for: {','.join(names)}" for name, names in missing.items())


def shown(used: Mapping[str, Decimal], like: Mapping[str, str]) -> dict[str, str]:
    """Amounts as quantities, binary where the quota's own number of that name is."""
    return {name: quantity(amount, binary=is_binary(like.get(name, ""))) for name, amount in used.items()}
