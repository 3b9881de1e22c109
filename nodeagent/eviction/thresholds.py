"""Eviction thresholds as an operator writes them: `memory.available<100Mi`, `nodefs.inodesFree<5%`.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tiphys.api.quantity import QuantityError, value

CONDITIONS = {
    "memory.available": "MemoryPressure",
    "nodefs.available": "DiskPressure",
    "nodefs.inodesFree": "DiskPressure",
    "imagefs.available": "DiskPressure",
    "imagefs.inodesFree": "DiskPressure",
    "containerfs.available": "DiskPressure",
    "containerfs.inodesFree": "DiskPressure",
    "pid.available": "PIDPressure",
}
RESOURCES = {
    "memory.available": "memory",
    "nodefs.available": "ephemeral-storage",
    "nodefs.inodesFree": "inodes",
    "imagefs.available": "ephemeral-storage",
    "imagefs.inodesFree": "inodes",
    "containerfs.available": "ephemeral-storage",
    "containerfs.inodesFree": "inodes",
    "pid.available": "pids",
}
DEFAULT_HARD = (
    "memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%,imagefs.available<15%,imagefs.inodesFree<5%"
)


@dataclass(frozen=True)
class Amount:
    """A quantity of bytes (or inodes, or processes), or a percentage of the capacity."""

    absolute: int = 0
    percent: float | None = None

    def of(self, capacity: int) -> int:
        return self.absolute if self.percent is None else int(capacity * self.percent / 100)


@dataclass(frozen=True)
class Threshold:
    """Met while less than `amount` is available.  `grace_seconds` is None for a hard one."""

    signal: str
    amount: Amount
    grace_seconds: float | None = None
    min_reclaim: Amount = Amount()

    @property
    def hard(self) -> bool:
        return self.grace_seconds is None

    @property
    def resource(self) -> str:
        return RESOURCES[self.signal]


@dataclass(frozen=True)
class EvictionConfig:
    """`max_pod_grace_seconds` is what a pod gets at most when a soft threshold ends it."""

    thresholds: Sequence[Threshold]
    transition_seconds: float = 300.0
    max_pod_grace_seconds: int = 0

    def hard_amount(self, signal: str, capacity: int) -> int:
        """What a hard threshold keeps free of `capacity`: not allocatable to pods."""
        return max((t.amount.of(capacity) for t in self.thresholds if t.hard and t.signal == signal), default=0)


def parse_config(
    hard: str = DEFAULT_HARD,
    soft: str = "",
    soft_grace_period: str = "",
    minimum_reclaim: str = "",
    *,
    transition_seconds: float = 300.0,
    max_pod_grace_seconds: int = 0,
) -> EvictionConfig:
    """From the kubelet's flags (--eviction-hard and friends); `hard` replaces all defaults.  Raises ValueError."""
    reclaim = {signal: parse_amount(text) for signal, text in _pairs(minimum_reclaim, "=").items()}
    graces = {signal: parse_seconds(text) for signal, text in _pairs(soft_grace_period, "=").items()}
    thresholds = []
    for signal, text in _pairs(hard, "<").items():
        amount = parse_amount(text)
        if amount != Amount() and amount.percent != 0:
            thresholds.append(Threshold(signal, amount, None, reclaim.get(signal, Amount())))
    for signal, text in _pairs(soft, "<").items():
        if signal not in graces:
            raise ValueError(f"grace period must be specified for the soft eviction threshold {signal}")
        thresholds.append(Threshold(signal, parse_amount(text), graces[signal], reclaim.get(signal, Amount())))
    for signal in (*graces, *reclaim):
        _known(signal)
    return EvictionConfig(tuple(thresholds), transition_seconds, max_pod_grace_seconds)


def _pairs(text: str, separator: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        signal, sign, amount = part.partition(separator)
        if not sign:
            raise ValueError(f"invalid eviction threshold syntax {part}, expected <signal>{separator}<value>")
        _known(signal)
        if signal in found:
            raise ValueError(f"duplicate eviction threshold {signal}")
        found[signal] = amount
    return found


def _known(signal: str) -> None:
    if signal not in CONDITIONS:
        raise ValueError(f"unsupported eviction signal {signal}")


def parse_amount(text: str) -> Amount:
    """ "10%" or a quantity.  Raises ValueError."""
    if text.endswith("%"):
        percent = float(text[:-1])
        if not 0 <= percent < 100:
            raise ValueError(f"eviction percentage must be between 0 and 100: {text}")
        return Amount(percent=percent)
    try:
        amount = value(text)
    except QuantityError as error:
        raise ValueError(f"eviction threshold {text!r}: {error}") from error
    if amount < 0:
        raise ValueError(f"eviction threshold {text!r} must not be negative")
    return Amount(amount)


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_seconds(text: str) -> float:
    """ "1m30s".  Raises ValueError."""
    total, number = 0.0, ""
    for letter in text:
        if letter.isdigit() or letter == ".":
            number += letter
        elif letter in _UNITS and number:
            total, number = total + float(number) * _UNITS[letter], ""
        else:
            raise ValueError(f"invalid duration {text!r}")
    if number or not text:
        raise ValueError(f"invalid duration {text!r}")
    return total
