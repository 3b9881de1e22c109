"""The scheduling queue: which pod is next.

A pod waits in exactly one of three places: `active` (a heap by priority, then by age), `backoff` (until its time
comes), or `unschedulable` (until something in the cluster changes that might help).  A pod being decided is in none of
them; when it or the cluster changes meanwhile, a failed attempt sends it to `backoff` instead of `unschedulable`, so no
change is missed.  No I/O; time is passed in.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import count

from scheduler.podinfo import PodInfo

FIRST_BACKOFF_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 10.0
UNSCHEDULABLE_SECONDS = 300.0  # upstream's flush: nothing waits longer for a hint that was missed


@dataclass(slots=True)
class QueuedPod:
    info: PodInfo
    first_added: float
    attempts: int = 0
    since: float = 0.0  # when the last attempt ended
    refused_by: frozenset[str] = field(default_factory=frozenset)


def backoff_seconds(attempts: int) -> float:
    """1, 2, 4, 8, 10, 10 ... seconds."""
    return min(FIRST_BACKOFF_SECONDS * 2.0 ** min(attempts - 1, 8), MAX_BACKOFF_SECONDS)


class SchedulingQueue:
    def __init__(self) -> None:
        self._active: list[tuple[int, float, int, str]] = []  # (-priority, first added, order, uid)
        self._backoff: list[tuple[float, int, str]] = []  # (due, order, uid)
        self._pods: dict[str, QueuedPod] = {}
        self._place: dict[str, str] = {}  # uid -> "active" | "backoff" | "unschedulable" | "deciding"
        self._order = count()
        self._moves = 0  # grows with every `move`: an attempt that overlapped one must be tried again
        self._moves_at_pop: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._pods)

    def counts(self) -> dict[str, int]:
        """Pods per place, for scheduler_pending_pods."""
        places = list(self._place.values())
        return {name: places.count(name) for name in ("active", "backoff", "unschedulable")}

    def add(self, info: PodInfo, now: float) -> None:
        """A new pod, or a new version of one: what changed may make it fit, so it becomes active again."""
        known = self._pods.get(info.uid)
        if known is None:
            self._pods[info.uid] = QueuedPod(info, now)
            self._activate(info.uid)
            return
        known.info = info
        if self._place[info.uid] == "unschedulable":
            self._activate(info.uid)
        elif self._place[info.uid] == "deciding":
            self._moves_at_pop[info.uid] = -1

    def remove(self, uid: str) -> None:
        self._pods.pop(uid, None)
        self._place.pop(uid, None)
        self._moves_at_pop.pop(uid, None)

    def pop(self) -> QueuedPod | None:
        """The next active pod; it must be given back with `failed`, or be removed."""
        while self._active:
            uid = heapq.heappop(self._active)[3]
            if self._place.get(uid) == "active":
                self._place[uid] = "deciding"
                self._moves_at_pop[uid] = self._moves
                queued = self._pods[uid]
                queued.attempts += 1
                return queued
        return None

    def failed(self, uid: str, now: float, *, refused_by: frozenset[str] = frozenset(), error: bool = False) -> None:
        """The attempt found no node, or (`error`) could not be carried out."""
        queued = self._pods.get(uid)
        if queued is None:
            return
        queued.since, queued.refused_by = now, refused_by
        overlapped = self._moves_at_pop.pop(uid, self._moves) != self._moves
        if error or overlapped:
            self._back_off(uid)
        else:
            self._place[uid] = "unschedulable"

    def move(self, plugins: frozenset[str] | None, now: float) -> None:
        """Something changed: pods refused by one of `plugins` (None: any) may fit now."""
        self._moves += 1
        for uid, place in list(self._place.items()):
            if place != "unschedulable":
                continue
            queued = self._pods[uid]
            if plugins is None or not queued.refused_by or queued.refused_by & plugins:
                if queued.since + backoff_seconds(queued.attempts) <= now:
                    self._activate(uid)
                else:
                    self._back_off(uid)

    def flush(self, now: float) -> float | None:
        """Make due pods active; returns the moment of the next one, None when nothing waits for a time."""
        while self._backoff and self._backoff[0][0] <= now:
            uid = heapq.heappop(self._backoff)[2]
            if self._place.get(uid) == "backoff":
                self._activate(uid)
        waiting = []
        for uid, place in list(self._place.items()):
            if place == "unschedulable":
                due = self._pods[uid].since + UNSCHEDULABLE_SECONDS
                if due <= now:
                    self._activate(uid)
                else:
                    waiting.append(due)
        if self._backoff:
            waiting.append(self._backoff[0][0])
        return min(waiting, default=None)

    def _activate(self, uid: str) -> None:
        queued = self._pods[uid]
        self._place[uid] = "active"
        heapq.heappush(self._active, (-queued.info.priority, queued.first_added, next(self._order), uid))

    def _back_off(self, uid: str) -> None:
        queued = self._pods[uid]
        self._place[uid] = "backoff"
        due = queued.since + backoff_seconds(queued.attempts)
        heapq.heappush(self._backoff, (due, next(self._order), uid))
