"""Watches what can run out, says so in the Node's conditions, and ends pods before the kernel ends processes.

One look every CHECK_SECONDS (a few system calls) and whenever the kernel reports memory pressure; pods are measured
only when one of them has to go, or when it has a limit of ephemeral storage.  What must stay true: disk space is won
back from images and dead containers before any pod pays; one pod at a time ends, and its end is waited for; critical
and static pods are never ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from nodeagent.eviction import localstorage, messages
from nodeagent.eviction.kernelpressure import MemoryTrigger
from nodeagent.eviction.pressure import PressureState, is_met, step
from nodeagent.eviction.ranking import Candidate, rank
from nodeagent.eviction.signals import Observation
from nodeagent.eviction.thresholds import CONDITIONS, EvictionConfig, Threshold
from nodeagent.pods.admission import is_critical
from nodeagent.pods.observed import Ending, Waiting
from nodeagent.pods.qos import qos_class
from nodeagent.stats.disk import PodDisk
from nodeagent.stats.snapshot import NodeSnapshot
from tiphys.api.core.pod import Pod
from tiphys.clock import Clock
from tiphys.logs import fields

_log = logging.getLogger(__name__)

CHECK_SECONDS = 10.0
POD_CLEANUP_SECONDS = 30.0
AT_ONCE_SECONDS = 1  # of grace, for a hard threshold and for limits
_MEMORY_TAINT = "node.kubernetes.io/memory-pressure"


class Pods(Protocol):
    """What of the pod manager is needed."""

    def pods(self) -> list[Pod]: ...

    def end_pod(self, pod_uid: str, ending: Ending) -> bool: ...

    async def wait_over(self, pod_uid: str) -> None: ...


@dataclass(frozen=True)
class EvictionParts:
    """`snapshot(disk)` measures all pods, `disk(pod)` one; `reclaim` wins disk space back; `node_event(reason, text)`
    is a Warning on the Node; `changed` is called when a condition has changed; `counted(signal)` per eviction."""

    observe: Callable[[], Mapping[str, Observation]]
    pods: Pods
    snapshot: Callable[[bool], Awaitable[NodeSnapshot]]
    disk: Callable[[Pod], Awaitable[PodDisk]]
    reclaim: Callable[[], Awaitable[None]]
    node_event: Callable[[str, str], None]
    changed: Callable[[], None]
    counted: Callable[[str], None]


class EvictionManager:
    """`run` until cancelled; `pressures` and `gate` may be asked from the start."""

    def __init__(self, config: EvictionConfig, parts: EvictionParts, clock: Clock) -> None:
        self.config, self._parts, self._clock = config, parts, clock
        self._state = PressureState()
        self._woken = asyncio.Event()
        self._ended: set[str] = set()

    def pressures(self) -> dict[str, bool]:
        """The Node's conditions by type."""
        return {name: name in self._state.conditions for name in dict.fromkeys(CONDITIONS.values())}

    def gate(self, pod: Pod) -> Waiting | None:
        """Why a new pod is not taken now: under memory pressure only pods without requests are refused."""
        conditions = self._state.conditions
        if not conditions or is_critical(pod):
            return None
        if conditions == {"MemoryPressure"} and (qos_class(pod) != "BestEffort" or _tolerates_memory_pressure(pod)):
            return None
        return Waiting(messages.REASON, messages.rejected(conditions))

    async def run(self) -> None:
        """Two loops: looking at large directories must not hold up memory that runs out."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(), name="node pressure")
            group.create_task(self._watch_limits(), name="ephemeral storage limits")

    async def _watch(self) -> None:
        trigger = MemoryTrigger(self._woken.set)
        trigger.open()
        try:
            while True:
                try:
                    await self.check()
                except Exception:
                    _log.exception("looking for pressure failed")
                self._woken.clear()
                try:
                    async with asyncio.timeout(CHECK_SECONDS):
                        await self._woken.wait()
                except TimeoutError:
                    pass
        finally:
            trigger.close()

    async def _watch_limits(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                await self.enforce_limits()
            except Exception:
                _log.exception("looking at ephemeral storage failed")

    async def check(self) -> list[str]:
        """One look and what follows from it; the uids of the pods that were ended."""
        due = self._look()
        return await self._relieve(due[0]) if due else []

    def _look(self) -> list[Threshold]:
        before = self._state.conditions
        self._state, due = step(self.config, self._state, self._parts.observe(), self._clock.monotonic())
        if self._state.conditions != before:
            _log.info(
                "the node's pressures", extra=fields(conditions=" ".join(sorted(self._state.conditions)) or "none")
            )
            self._parts.changed()
        return due

    async def enforce_limits(self) -> list[str]:
        """Pods above their limits of ephemeral storage end; their uids."""
        ended = []
        for pod in self._active():
            if localstorage.is_limited(pod) and not is_critical(pod):
                text = localstorage.over_limit(pod, await self._parts.disk(pod))
                if text and self._end(pod, Ending(messages.REASON, text, AT_ONCE_SECONDS, disruption=False)):
                    self._parts.counted(
                        "ephemeralpodfs.limit" if text.startswith("Pod") else "ephemeralcontainerfs.limit"
                    )
                    ended.append(pod.metadata.uid)
        return ended

    async def _relieve(self, threshold: Threshold) -> list[str]:
        """Win back what runs out: first from nobody, then from the pod that is first in the ranking."""
        parts = self._parts
        parts.node_event("EvictionThresholdMet", f"Attempting to reclaim {threshold.resource}")
        on_disk = CONDITIONS[threshold.signal] == "DiskPressure"
        if on_disk:
            await parts.reclaim()
        seen = parts.observe()
        if not is_met(threshold, seen, with_reclaim=True):
            return []
        snapshot = await parts.snapshot(on_disk)
        stats = {one.uid: one for one in snapshot.pods}
        candidates = [Candidate(pod, stats.get(pod.metadata.uid)) for pod in self._active()]
        for candidate in rank(candidates, threshold.resource):
            pod = candidate.pod
            if is_critical(pod):
                continue
            text = messages.evicted(candidate, threshold, seen.get(threshold.signal))
            if self._end(pod, Ending(messages.REASON, text, self._grace(pod, threshold))):
                parts.counted(threshold.signal)
                await self._wait(pod)
                return [pod.metadata.uid]
        _log.warning("nothing can be evicted", extra=fields(signal=threshold.signal, pods=len(candidates)))
        return []

    def _active(self) -> Sequence[Pod]:
        found = self._parts.pods.pods()
        self._ended &= {pod.metadata.uid for pod in found}
        return [
            pod
            for pod in found
            if pod.status.phase not in ("Succeeded", "Failed") and pod.metadata.uid not in self._ended
        ]

    def _grace(self, pod: Pod, threshold: Threshold) -> int:
        if threshold.hard:
            return AT_ONCE_SECONDS
        own = pod.spec.terminationGracePeriodSeconds
        return min(self.config.max_pod_grace_seconds, 30 if own is None else own)

    def _end(self, pod: Pod, ending: Ending) -> bool:
        done = self._parts.pods.end_pod(pod.metadata.uid, ending)
        if done:
            meta = pod.metadata
            _log.warning("pod evicted", extra=fields(pod=f"{meta.namespace}/{meta.name}", cause=ending.message))
            self._ended.add(meta.uid)
        return done

    async def _wait(self, pod: Pod) -> None:
        """What it used is free only when it has ended."""
        try:
            async with asyncio.timeout(POD_CLEANUP_SECONDS):
                await self._parts.pods.wait_over(pod.metadata.uid)
        except TimeoutError:
            _log.warning("an evicted pod has not ended in time", extra=fields(pod=pod.metadata.name))


def _tolerates_memory_pressure(pod: Pod) -> bool:
    return any(
        one.key in ("", _MEMORY_TAINT) and one.effect in ("", "NoSchedule") and (one.operator == "Exists" or one.key)
        for one in pod.spec.tolerations
    )
