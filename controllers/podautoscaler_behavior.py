"""How fast an autoscaler may follow what its metrics ask for.  Pure.

Two memories per autoscaler decide: what was recommended lately (a decision is the mildest of a window) and how many
replicas were added and removed lately (policies allow so many per period).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tiphys.api.autoscaling.horizontalpodautoscaler_v2 import HorizontalPodAutoscaler, HPAScalingPolicy, HPAScalingRules

DOWN_WINDOW_SECONDS = 300
_ALL_DOWN = [HPAScalingPolicy(type="Percent", value=100, periodSeconds=15)]
_DEFAULT_UP = [
    HPAScalingPolicy(type="Pods", value=4, periodSeconds=15),
    HPAScalingPolicy(type="Percent", value=100, periodSeconds=15),
]
_TOO_FAST = "the desired replica count is {} faster than the maximum scale rate"
MOST_REMEMBERED = timedelta(hours=1)


@dataclass
class Memory:
    """Of one autoscaler, since this program leads: (when, replicas) each."""

    recommended: list[tuple[datetime, int]] = field(default_factory=list)
    added: list[tuple[datetime, int]] = field(default_factory=list)
    removed: list[tuple[datetime, int]] = field(default_factory=list)

    def note_change(self, before: int, after: int, now: datetime) -> None:
        if after > before:
            self.added.append((now, after - before))
        elif after < before:
            self.removed.append((now, before - after))

    def forget(self, now: datetime) -> None:
        for held in (self.recommended, self.added, self.removed):
            held[:] = [one for one in held if one[0] > now - MOST_REMEMBERED]


@dataclass(frozen=True)
class Limited:
    """The replicas to have, and the two conditions that say what held the wish back."""

    replicas: int
    able: tuple[str, str]  # reason and message of AbleToScale; always True
    limited: tuple[bool, str, str]  # status, reason and message of ScalingLimited


def bounds(autoscaler: HorizontalPodAutoscaler) -> tuple[int, int]:
    low = autoscaler.spec.minReplicas
    return (1 if low is None else low), autoscaler.spec.maxReplicas


def limit(autoscaler: HorizontalPodAutoscaler, current: int, wished: int, memory: Memory, now: datetime) -> Limited:
    """What becomes of `wished` under stabilisation, policies and bounds; the wish is remembered."""
    behavior = autoscaler.spec.behavior
    up = behavior.scaleUp if behavior is not None else None
    down = behavior.scaleDown if behavior is not None else None
    memory.recommended.append((now, wished))
    stable = _stabilised(current, wished, memory, up, down, now)
    able = ("ReadyForNewScale", "recommended size matches current size")
    if stable != wished:
        word = "highest" if stable > wished else "lowest"
        way = "Down" if stable > wished else "Up"
        text = f"recent recommendations were {'higher' if stable > wished else 'lower'} than current one, "
        able = (f"Scale{way}Stabilized", f"{text}applying the {word} recent recommendation")
    return Limited(*_bounded(autoscaler, current, stable, memory, now, able))


def _window_seconds(rules: HPAScalingRules | None, usual: int) -> int:
    if rules is None or rules.stabilizationWindowSeconds is None:
        return usual
    return rules.stabilizationWindowSeconds


def _stabilised(
    current: int,
    wished: int,
    memory: Memory,
    up: HPAScalingRules | None,
    down: HPAScalingRules | None,
    now: datetime,
) -> int:
    """`current` moved only as far as every recommendation of the windows agrees."""
    up_from = now - timedelta(seconds=_window_seconds(up, 0))
    down_from = now - timedelta(seconds=_window_seconds(down, DOWN_WINDOW_SECONDS))
    lowest = min([wished, *(replicas for at, replicas in memory.recommended if at > up_from)])
    highest = max([wished, *(replicas for at, replicas in memory.recommended if at > down_from)])
    return min(max(current, lowest), highest)


def _bounded(
    autoscaler: HorizontalPodAutoscaler,
    current: int,
    stable: int,
    memory: Memory,
    now: datetime,
    able: tuple[str, str],
) -> tuple[int, tuple[str, str], tuple[bool, str, str]]:
    low, high = bounds(autoscaler)
    behavior = autoscaler.spec.behavior
    if stable > current:
        most = up_limit(current, behavior.scaleUp if behavior is not None else None, memory, now)
        if stable > min(most, high):
            if most < high:
                reason, text = (
                    "ScaleUpLimit",
                    _TOO_FAST.format("increasing"),
                )
            else:
                reason, text = "TooManyReplicas", "the desired replica count is more than the maximum replica count"
            return min(most, high), able, (True, reason, text)
    elif stable < current:
        least = down_limit(current, behavior.scaleDown if behavior is not None else None, memory, now)
        if stable < max(least, low):
            if least > low:
                reason, text = (
                    "ScaleDownLimit",
                    _TOO_FAST.format("decreasing"),
                )
            else:
                reason, text = "TooFewReplicas", "the desired replica count is less than the minimum replica count"
            return max(least, low), able, (True, reason, text)
    if stable < low:
        return low, able, (True, "TooFewReplicas", "the desired replica count is less than the minimum replica count")
    if stable > high:
        return high, able, (True, "TooManyReplicas", "the desired replica count is more than the maximum replica count")
    return stable, able, (False, "DesiredWithinRange", "the desired count is within the acceptable range")


def _changed(events: Sequence[tuple[datetime, int]], seconds: int, now: datetime) -> int:
    return sum(replicas for at, replicas in events if at > now - timedelta(seconds=seconds))


def up_limit(current: int, rules: HPAScalingRules | None, memory: Memory, now: datetime) -> int:
    """The most replicas the policies allow now."""
    if rules is None:
        return max(2 * current, 4)
    if rules.selectPolicy == "Disabled":
        return current
    allowed = []
    for policy in rules.policies or _DEFAULT_UP:
        added = _changed(memory.added, policy.periodSeconds, now)
        start = current - added + _changed(memory.removed, policy.periodSeconds, now)
        percent = math.ceil(start * (1 + policy.value / 100))
        allowed.append(start + policy.value if policy.type == "Pods" else percent)
    return max(current, min(allowed) if rules.selectPolicy == "Min" else max(allowed))


def down_limit(current: int, rules: HPAScalingRules | None, memory: Memory, now: datetime) -> int:
    """The fewest replicas the policies allow now."""
    if rules is None:
        return 0
    if rules.selectPolicy == "Disabled":
        return current
    allowed = []
    for policy in rules.policies or _ALL_DOWN:
        removed = _changed(memory.removed, policy.periodSeconds, now)
        start = current + removed - _changed(memory.added, policy.periodSeconds, now)
        percent = int(start * (1 - policy.value / 100))
        allowed.append(start - policy.value if policy.type == "Pods" else percent)
    return max(0, min(current, max(allowed) if rules.selectPolicy == "Min" else min(allowed)))
