"""LimitRanger: containers that ask for nothing get the namespace's defaults; what is out of bounds is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from apiserver.admission import Attributes, Obj, Plugin
from apiserver.resources import Resources
from tiphys.api.core.pod_resources import Amounts, amounts, is_binary, pod_amounts, quantity
from tiphys.api.quantity import parse_quantity

ANNOTATION = "kubernetes.io/limit-ranger"
_RANGES = "/registry/core/limitranges/"


class LimitRanger(Plugin):
    kinds = frozenset({("", "pods"), ("", "persistentvolumeclaims")})

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._cached = resources.cache.resource(_RANGES)

    async def mutate(self, attributes: Attributes) -> None:
        if attributes.operation != "CREATE" or not attributes.is_for("", "pods") or attributes.subresource:
            return
        for one in self._ranges(attributes):
            assert attributes.obj is not None
            set_defaults(attributes.obj, one)

    async def validate(self, attributes: Attributes) -> None:
        problems: list[str] = []
        for one in self._ranges(attributes):
            assert attributes.obj is not None
            for item in one["spec"].get("limits") or ():
                if _is_judged_pod(attributes):
                    problems += pod_problems(attributes.obj, item)
                elif attributes.is_for("", "persistentvolumeclaims") and not attributes.subresource:
                    problems += claim_problems(attributes.obj, item)
        if problems:
            raise attributes.refuse(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")

    def _ranges(self, attributes: Attributes) -> list[Obj]:
        """The namespace's, in the order of their names."""
        if not len(self._cached) or attributes.obj is None or attributes.operation not in ("CREATE", "UPDATE"):
            return []
        if attributes.info.group or attributes.info.plural not in ("pods", "persistentvolumeclaims"):
            return []
        ranges = self._resources.named("", "limitranges")
        return ranges.peek_all(attributes.namespace) if ranges is not None else []


def _is_judged_pod(attributes: Attributes) -> bool:
    if not attributes.is_for("", "pods"):
        return False
    return attributes.subresource == ("" if attributes.operation == "CREATE" else "resize")


def set_defaults(pod: Obj, limit_range: Obj) -> None:
    limits: dict[str, str] = {}
    requests: dict[str, str] = {}
    for item in limit_range["spec"].get("limits") or ():
        if item.get("type") == "Container":
            limits |= item.get("default") or {}
            requests |= item.get("defaultRequest") or {}
    notes: list[str] = []
    spec = pod.get("spec") or {}
    for field, word in (("containers", "container"), ("initContainers", "init container")):
        for container in spec.get(field) or ():
            notes += _fill(container, word, requests, limits)
    if notes:
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations[ANNOTATION] = "LimitRanger plugin set: " + "; ".join(notes)


def _fill(container: Obj, word: str, requests: Mapping[str, str], limits: Mapping[str, str]) -> Iterator[str]:
    for kind, defaults in (("requests", requests), ("limits", limits)):
        now = (container.get("resources") or {}).get(kind) or {}
        new = {name: amount for name, amount in defaults.items() if name not in now}
        if new:
            container.setdefault("resources", {})[kind] = {**now, **new}
            yield f"{', '.join(sorted(new))} {kind[:-1]} for {word} {container['name']}"


def pod_problems(pod: Obj, item: Obj) -> Iterator[str]:
    spec, kind = pod.get("spec") or {}, item.get("type")
    if kind == "Container":
        for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
            resources = container.get("resources") or {}
            yield from _problems(
                item, "Container", amounts(resources.get("requests")), amounts(resources.get("limits"))
            )
    elif kind == "Pod":
        yield from _problems(item, "Pod", pod_amounts(spec, "requests"), pod_amounts(spec, "limits"))


def _problems(item: Obj, kind: str, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, text in sorted((item.get("min") or {}).items()):
        about, bound = f"minimum {name} usage per {kind} is {text}", parse_quantity(text)
        if name not in requests:
            yield f"{about}.  No request is specified"
        elif requests[name] < bound:
            yield f"{about}, but request is {_said(requests[name], text)}"
        elif name in limits and limits[name] < bound:
            yield f"{about}, but limit is {_said(limits[name], text)}"
    for name, text in sorted((item.get("max") or {}).items()):
        about, bound = f"maximum {name} usage per {kind} is {text}", parse_quantity(text)
        if name not in limits:
            yield f"{about}.  No limit is specified"
        elif limits[name] > bound:
            yield f"{about}, but limit is {_said(limits[name], text)}"
        elif requests.get(name, Decimal(0)) > bound:
            yield f"{about}, but request is {_said(requests[name], text)}"
    for name, text in sorted((item.get("maxLimitRequestRatio") or {}).items()):
        about = f"{name} max limit to request ratio per {kind} is {text}"
        if not requests.get(name):
            yield f"{about}, but no request is specified or request is 0"
        elif not limits.get(name):
            yield f"{about}, but no limit is specified or limit is 0"
        elif limits[name] / requests[name] > parse_quantity(text):
            yield f"{about}, but provided ratio is {limits[name] / requests[name]:f}"


def claim_problems(claim: Obj, item: Obj) -> Iterator[str]:
    if item.get("type") != "PersistentVolumeClaim":
        return
    asked: Any = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    requests = amounts(asked)
    for name, text in sorted((item.get("min") or {}).items()):
        about = f"minimum {name} usage per PersistentVolumeClaim is {text}"
        if name not in requests:
            yield f"{about}.  No request is specified"
        elif requests[name] < parse_quantity(text):
            yield f"{about}, but request is {asked[name]}"
    for name, text in sorted((item.get("max") or {}).items()):
        about = f"maximum {name} usage per PersistentVolumeClaim is {text}"
        if name not in requests:
            yield f"{about}.  No request is specified"
        elif requests[name] > parse_quantity(text):
            yield f"{about}, but request is {asked[name]}"


def _said(amount: Decimal, like: str) -> str:
    return quantity(amount, binary=is_binary(like))
