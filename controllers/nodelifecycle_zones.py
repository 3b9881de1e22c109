"""How fast nodes may be emptied: by zone, and slower the more of a zone is lost.  Pure but for the one counter.

Losing one node is everyday life; losing most of them at once is more likely our own blindness, and emptying nodes that
are well would make it a disaster.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

NORMAL, PARTIAL, FULL = "Normal", "PartialDisruption", "FullDisruption"
UNHEALTHY_SHARE = 0.55
LARGE_ZONE_NODES = 50
RATE_PER_SECOND, SECONDARY_RATE_PER_SECOND = 0.1, 0.01
REGION_LABEL, ZONE_LABEL = "topology.kubernetes.io/region", "topology.kubernetes.io/zone"


def zone_of(labels: Mapping[str, str]) -> str:
    """Region and zone together; "" for nodes that say neither."""
    region, zone = labels.get(REGION_LABEL, ""), labels.get(ZONE_LABEL, "")
    return f"{region}:\x00:{zone}" if region or zone else ""


def state_of(ready: int, not_ready: int) -> str:
    """The state of a zone with so many nodes."""
    if ready == 0 and not_ready > 0:
        return FULL
    if not_ready > 2 and not_ready / (ready + not_ready) >= UNHEALTHY_SHARE:
        return PARTIAL
    return NORMAL


def states(nodes: Iterable[tuple[str, bool]]) -> dict[str, str]:
    """Zone -> state, of (zone, ready) for every node."""
    counts: dict[str, list[int]] = {}
    for zone, ready in nodes:
        counts.setdefault(zone, [0, 0])[0 if ready else 1] += 1
    return {zone: state_of(*found) for zone, found in counts.items()}


def is_blind(found: Mapping[str, str]) -> bool:
    """Every zone is lost: it is we who see nothing."""
    return bool(found) and all(state == FULL for state in found.values())


def rate_per_second(state: str, nodes: int) -> float:
    """Nodes of a zone that may be emptied per second; 0: none."""
    if state == PARTIAL:
        return SECONDARY_RATE_PER_SECOND if nodes > LARGE_ZONE_NODES else 0.0
    return RATE_PER_SECOND


class Pace:
    """Lets one node of a zone pass, and the next when its time has come; `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def wait_seconds(self, zone: str, rate: float, now: float) -> float | None:
        """0: go, and that is noted; else how long to wait; None: not as things are."""
        if rate <= 0:
            return None
        left = self._last.get(zone, now - 1 / rate) + 1 / rate - now
        if left > 0:
            return left
        self._last[zone] = now
        return 0.0
