"""What a pod asks for as a whole: its containers together, its init containers at their worst, and the overhead.

Pure; wire form in, exact numbers out.  The same sum counts for quotas, limit ranges and whoever else must agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tiphys.api.quantity import canonical, parse_quantity

Object = Mapping[str, Any]
Amounts = dict[str, Decimal]
_BINARY = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_OF_PODS = ("cpu", "memory")


def amounts(quantities: Mapping[str, Any] | None) -> Amounts:
    return {name: parse_quantity(str(text)) for name, text in (quantities or {}).items()}


def added(*every: Mapping[str, Decimal]) -> Amounts:
    total: Amounts = {}
    for one in every:
        for name, amount in one.items():
            total[name] = total.get(name, Decimal(0)) + amount
    return total


def largest(one: Mapping[str, Decimal], other: Mapping[str, Decimal]) -> Amounts:
    return {name: max(one.get(name, Decimal(0)), other.get(name, Decimal(0))) for name in {**one, **other}}


def pod_amounts(spec: Object, kind: str) -> Amounts:
    """`kind`: requests or limits."""

    def of(container: Object) -> Amounts:
        return amounts((container.get("resources") or {}).get(kind))

    total = added(*(of(one) for one in spec.get("containers") or ()))
    beside: Amounts = {}  # init containers that go on running
    worst: Amounts = {}
    for one in spec.get("initContainers") or ():
        if one.get("restartPolicy") == "Always":
            beside = added(beside, of(one))
            worst = largest(worst, beside)
        else:
            worst = largest(worst, added(beside, of(one)))
    total = largest(added(total, beside), worst)
    own = amounts((spec.get("resources") or {}).get(kind))
    total |= {name: amount for name, amount in own.items() if name in _OF_PODS or name.startswith("hugepages-")}
    overhead = amounts(spec.get("overhead"))
    if kind == "limits":
        overhead = {name: amount for name, amount in overhead.items() if total.get(name)}
    return added(total, overhead)


def quantity(amount: Decimal, *, binary: bool = False) -> str:
    """The number as a quantity: 1500m, 2, or where `binary` is wanted and fits 1536Mi."""
    if binary and amount == amount.to_integral_value() and amount:
        number, suffix = int(amount), ""
        for one in _BINARY:
            if number % 1024:
                break
            number, suffix = number // 1024, one
        return f"{number}{suffix}" if suffix else canonical(str(number))
    return canonical(format(amount.normalize() if amount else Decimal(0), "f"))


def is_binary(text: str) -> bool:
    return text.endswith("i")
