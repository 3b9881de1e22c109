"""What the pods of a node ask for, beside what the node has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from tiphys.api.quantity import parse_quantity
from tiphys.cli.describers.parts import age
from tiphys.clock import Clock

Pod = Mapping[str, Any]
_BINARY = ("Ei", 60), ("Pi", 50), ("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)


class Amount:
    """A sum of quantities; written in binary units when its first part was."""

    def __init__(self) -> None:
        self.number = Decimal(0)
        self.binary = False

    def add(self, text: str) -> None:
        number = parse_quantity(text)
        if not self.number and number:
            self.binary = text.endswith("i")
        self.number += number

    def __str__(self) -> str:
        whole = int(self.number)
        if self.number != whole:
            return f"{-int(-self.number * 1000 // 1)}m"
        units: Sequence[tuple[str, int]] = [(unit, 1 << bits) for unit, bits in _BINARY]
        if not self.binary:
            units = [("E", 10**18), ("P", 10**15), ("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 1000)]
        for unit, size in units:
            if whole and whole % size == 0:
                return f"{whole // size}{unit}"
        return str(whole)

    def share(self, of: str) -> str:
        """`100m (0%)`"""
        total = parse_quantity(of or "0")
        return f"{self} ({int(self.number / total * 100) if total else 0}%)"


def amount(pods: Sequence[Pod], field: str, resource: str) -> Amount:
    """What `field` (requests, limits) of the pods adds up to: per pod the containers together, or the largest init
    container where that is more, and the overhead."""
    total = Amount()
    for pod in pods:
        together = Amount()
        for container in pod["spec"]["containers"]:
            together.add(_given(container, field, resource))
        for container in pod["spec"].get("initContainers") or ():
            single = Amount()
            single.add(_given(container, field, resource))
            if container.get("restartPolicy") == "Always":
                together.add(_given(container, field, resource))
            elif single.number > together.number:
                together = single
        total.binary = together.binary if not total.number else total.binary
        total.number += together.number
        total.number += parse_quantity((pod["spec"].get("overhead") or {}).get(resource, "0"))
    return total


def _given(container: Mapping[str, Any], field: str, resource: str) -> str:
    text: str = ((container.get("resources") or {}).get(field) or {}).get(resource, "0")
    return text


def pod_lines(pods: Sequence[Pod], allocatable: Mapping[str, str], clock: Clock) -> Iterator[str]:
    yield f"Non-terminated Pods:\t({len(pods)} in total)"
    yield "  Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge"
    yield "  ---------\t----\t\t------------\t----------\t---------------\t-------------\t---"
    for pod in pods:
        metadata = pod["metadata"]
        shares = [
            amount([pod], field, resource).share(allocatable.get(resource, "0"))
            for resource in ("cpu", "memory")
            for field in ("requests", "limits")
        ]
        columns = "\t".join([*shares, age(metadata["creationTimestamp"], clock)])
        yield f"  {metadata['namespace']}\t{metadata['name']}\t\t{columns}"


def allocated_lines(pods: Sequence[Pod], allocatable: Mapping[str, str]) -> Iterator[str]:
    yield "Allocated resources:"
    yield "  (Total limits may be over 100 percent, i.e., overcommitted.)"
    yield "  Resource\tRequests\tLimits"
    yield "  --------\t--------\t------"
    plain = ("cpu", "memory", "ephemeral-storage")
    for resource in (*plain, *sorted(key for key in allocatable if key.startswith("hugepages-"))):
        both = (amount(pods, field, resource).share(allocatable.get(resource, "0")) for field in ("requests", "limits"))
        yield f"  {resource}\t" + "\t".join(both)
    for resource in sorted(key for key in allocatable if "/" in key):
        yield f"  {resource}\t{amount(pods, 'requests', resource)}\t{amount(pods, 'limits', resource)}"
