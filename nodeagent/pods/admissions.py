"""Keeps who was admitted to this node, and asks `admission.admit` about the pods that are new to it.

What must stay true: asking and taking is one step, so two pods never get the same room; a pod the node has taken
(its status has a startTime, or it has containers here) is not asked about again; nothing here outlives the agent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from nodeagent.pods.admission import NodeView, admit, is_critical
from nodeagent.pods.observed import Ending, Waiting
from nodeagent.pods.preemption import PREEMPTED, victims
from tiphys.api.core.pod import Pod

Gate = Callable[[Pod], Waiting | None]
STALE = ("NodeAffinity", "TaintToleration")  # may be due to an old look at the Node
OVER = ("Succeeded", "Failed")


class Admissions:
    """`view` is the node as last seen, `look` sees it anew, `active` gives the pods as they run here, `end` ends one.

    `gates` are asked first: each may refuse a pod for reasons of its own (shutdown, pressure).
    """

    def __init__(
        self,
        view: Callable[[], NodeView],
        look: Callable[[], Awaitable[object]],
        active: Callable[[], Sequence[Pod]],
        end: Callable[[str, Ending], object],
    ) -> None:
        self.view, self._look, self._active, self.end = view, look, active, end
        self.gates: list[Gate] = []
        self._taken: set[str] = set()
        self._leaving: set[str] = set()  # they end, and their room is given away already
        self._refused: dict[str, Waiting] = {}

    def others(self, pod_uid: str) -> list[Pod]:
        """The pods the node has taken that are not over, without that one."""
        return [
            pod
            for pod in self._active()
            if pod.metadata.uid != pod_uid and pod.metadata.uid in self._taken and pod.status.phase not in OVER
        ]

    def take(self, pod: Pod) -> Waiting | None:
        """None: the pod is taken.  The answer stays the same until `forget`."""
        uid = pod.metadata.uid
        if uid in self._taken or uid in self._leaving:
            return None
        if uid in self._refused:
            return self._refused[uid]
        if pod.status.startTime or pod.metadata.deletionTimestamp or pod.status.phase in OVER:
            self._taken.add(uid)
            return None
        refused = next((refused for gate in self.gates if (refused := gate(pod)) is not None), None)
        refused = refused or admit(pod, self.others(uid), self.view())
        if refused is not None and self._make_room(pod, refused):
            refused = admit(pod, self.others(uid), self.view())
        if refused is None:
            self._taken.add(uid)
        else:
            self._refused[uid] = refused
        return refused

    def _make_room(self, pod: Pod, refused: Waiting) -> bool:
        """For a critical pod others end, if that helps."""
        if not (refused.reason.startswith("OutOf") and is_critical(pod)):
            return False
        chosen = victims(pod, self.others(pod.metadata.uid), self.view())
        for victim in chosen or ():
            self.end(victim.metadata.uid, PREEMPTED)
            self._taken.discard(victim.metadata.uid)
            self._leaving.add(victim.metadata.uid)
        return bool(chosen)

    def taken_already(self, pod_uid: str) -> None:
        """The pod has containers here: an agent before us took it."""
        self._refused.pop(pod_uid, None)
        if pod_uid not in self._leaving:
            self._taken.add(pod_uid)

    async def ask(self, pod: Pod) -> Waiting | None:
        """As `take`; a refusal that may be due to an old look at the Node is checked against a new one."""
        refused = self.take(pod)
        if refused is None or refused.reason not in STALE or pod.metadata.uid not in self._refused:
            return refused
        await self._look()
        self._refused.pop(pod.metadata.uid, None)
        return self.take(pod)

    def forget(self, pod_uid: str) -> None:
        self._taken.discard(pod_uid)
        self._leaving.discard(pod_uid)
        self._refused.pop(pod_uid, None)
