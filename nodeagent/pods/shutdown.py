"""Graceful node shutdown: pods end by priority, each group within its own time, before the machine goes down.

`periods` and `groups` are pure.  What must stay true: from the first moment on no new pod is admitted and the Node is
not Ready; a group begins when the one before has ended or used up its time; containers get no more than that time.

Begun by SIGPWR to the agent (what init sends when power fails); SIGTERM stops the agent alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from nodeagent.pods.admission import CRITICAL_PRIORITY, is_static
from nodeagent.pods.observed import Ending, Waiting
from tiphys.api.core.pod import Pod
from tiphys.logs import fields

_log = logging.getLogger(__name__)

NODE_MESSAGE = "node is shutting down"
REJECTED = Waiting("NodeShutdown", "Pod was rejected as the node is shutting down.")
TERMINATED = "Pod was terminated in response to imminent node shutdown."
Periods = Sequence[tuple[int, float]]  # (lowest priority of the group, seconds), lowest first


class Pods(Protocol):
    """What of the pod manager is needed."""

    def pods(self) -> list[Pod]: ...

    def end_pod(self, pod_uid: str, ending: Ending) -> bool: ...

    async def wait_over(self, pod_uid: str) -> None:
        """Returns when nothing of the pod runs and the API has been told."""


def periods(grace_seconds: float, critical_seconds: float) -> Periods:
    """Everybody first, in what critical pods leave of `grace_seconds`; then those."""
    return ((-(2**31), max(0.0, grace_seconds - critical_seconds)), (CRITICAL_PRIORITY, critical_seconds))


def parse_periods(text: str) -> Periods:
    """ "0=20,10000=10,2000000000=5".  Raises ValueError."""
    found: Mapping[int, float] = {
        int(left): float(right)
        for left, separator, right in (part.partition("=") for part in text.split(","))
        if separator
    }
    if not found:
        raise ValueError(f"no priority=seconds in {text!r}")
    return tuple(sorted(found.items()))


def groups(pods: Sequence[Pod], by_priority: Periods) -> list[tuple[float, list[Pod]]]:
    """(seconds, pods) in the order in which they end: the last group whose priority a pod reaches is its own."""
    result: list[tuple[float, list[Pod]]] = [(seconds, []) for _, seconds in by_priority]
    for pod in pods:
        own = CRITICAL_PRIORITY if is_static(pod) and pod.spec.priority is None else pod.spec.priority or 0
        reached = [index for index, (priority, _) in enumerate(by_priority) if own >= priority]
        result[max(reached, default=0)][1].append(pod)
    return [(seconds, members) for seconds, members in result if members]


class NodeShutdown:
    """`wake_node` lets the Node's condition be written."""

    def __init__(self, pods: Pods, by_priority: Periods, wake_node: Callable[[], None]) -> None:
        self._pods, self._periods, self._wake_node = pods, by_priority, wake_node
        self.active = False

    def gate(self, pod: Pod) -> Waiting | None:
        return REJECTED if self.active else None

    async def run(self) -> None:
        """End all pods; returns when they have ended or their time is over."""
        self.active = True
        self._wake_node()
        for seconds, members in groups(self._pods.pods(), self._periods):
            _log.info("pods end for the shutdown", extra=fields(pods=len(members), seconds=seconds))
            ending = Ending("Terminated", TERMINATED, int(seconds), event=False)
            waiting = [
                asyncio.create_task(self._pods.wait_over(pod.metadata.uid))
                for pod in members
                if self._pods.end_pod(pod.metadata.uid, ending)
            ]
            if waiting:
                _, late = await asyncio.wait(waiting, timeout=seconds + 1.0)
                for task in late:
                    task.cancel()
