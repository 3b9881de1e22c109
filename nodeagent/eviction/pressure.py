"""From observations to conditions and to the thresholds that must be acted on: the kubelet's bookkeeping.  Pure.

What must stay true: a condition appears as soon as a threshold is met, grace or not, and goes only when no threshold of
it was met for the transition period; a threshold that was acted on stays met until its minimum reclaim is there too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nodeagent.eviction.signals import Observation
from nodeagent.eviction.thresholds import CONDITIONS, EvictionConfig, Threshold


@dataclass(frozen=True)
class PressureState:
    """Times are monotonic seconds.  `met` are the thresholds met at the last step."""

    met: tuple[Threshold, ...] = ()
    first_met_at: Mapping[Threshold, float] = field(default_factory=dict)
    last_seen_at: Mapping[str, float] = field(default_factory=dict)  # condition -> when its cause was last there
    conditions: frozenset[str] = frozenset()


def is_met(threshold: Threshold, seen: Mapping[str, Observation], *, with_reclaim: bool = False) -> bool:
    """Whether too little is available.  A signal that cannot be seen meets nothing."""
    observation = seen.get(threshold.signal)
    if observation is None:
        return False
    wanted = threshold.amount.of(observation.capacity)
    if with_reclaim:
        wanted += threshold.min_reclaim.of(observation.capacity)
    return observation.available < wanted


def step(
    config: EvictionConfig, state: PressureState, seen: Mapping[str, Observation], now: float
) -> tuple[PressureState, list[Threshold]]:
    """The state after this look, and the thresholds to act on, most urgent first."""
    met = tuple(
        threshold for threshold in config.thresholds if is_met(threshold, seen, with_reclaim=threshold in state.met)
    )
    first = {threshold: state.first_met_at.get(threshold, now) for threshold in met}
    last = {**state.last_seen_at, **{CONDITIONS[threshold.signal]: now for threshold in met}}
    last = {name: at for name, at in last.items() if at == now or now - at < config.transition_seconds}
    after = PressureState(met, first, last, frozenset(last))
    due = [threshold for threshold in met if now - first[threshold] >= (threshold.grace_seconds or 0.0)]
    return after, urgency(due)


def urgency(thresholds: Sequence[Threshold]) -> list[Threshold]:
    """Memory first: it kills fastest; of one signal the hard threshold."""
    return sorted(thresholds, key=lambda threshold: (threshold.signal != "memory.available", not threshold.hard))
