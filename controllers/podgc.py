"""Pod garbage: pods nobody will ever finish.

A pod bound to a node that no longer exists is deleted by force (its kubelet cannot confirm anything any more); so is a
pod that was deleted before it was ever bound.  Of the pods that have ended, the oldest go when there are more than
TERMINATED_THRESHOLD.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from controllers.nodelifecycle import NODE_INDEX, index_by_node
from tiphys.api.core.node import Node
from tiphys.api.core.pod import Pod
from tiphys.api.times import format_time
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Writes
from tiphys.client.errors import ApiError

TERMINATED_THRESHOLD = 12500
QUARANTINE_SECONDS = 40.0  # a node that was just deleted may be registering again
ENDED_INDEX = "ended"


def has_ended(pod: Pod) -> bool:
    return pod.status.phase in ("Succeeded", "Failed")


def surplus(ended: Sequence[Pod], threshold: int = TERMINATED_THRESHOLD) -> list[Pod]:
    """The oldest of the ended pods beyond the threshold."""
    if threshold <= 0 or len(ended) <= threshold:
        return []
    return sorted(ended, key=lambda pod: pod.metadata.creationTimestamp)[: len(ended) - threshold]


class PodGCController(Controller):
    name: ClassVar = "pod-garbage-collector-controller"
    kind = Pod
    reads = (Node,)
    writes = (Writes(Pod, ("delete",)), Writes(Pod, ("patch",), "status"))
    workers = 2

    def setup(self) -> None:
        index_by_node(self.cache(Pod))
        self.cache(Pod).add_index(ENDED_INDEX, lambda pod: ["yes"] if has_ended(pod) else [])
        self._missing_since: dict[str, float] = {}
        self.on(Node, self._pods_of_deleted)

    def _pods_of_deleted(self, node: Node) -> Iterable[Key]:
        if self.cache(Node).get("", node.metadata.name) is None:
            for pod in self.cache(Pod).by_index(NODE_INDEX, node.metadata.name):
                yield Key(pod.metadata.namespace, pod.metadata.name)

    async def reconcile(self, key: Key) -> float | None:
        pod = self.cache(Pod).get(*key)
        if pod is None:
            return None
        if not pod.spec.nodeName:
            if pod.metadata.deletionTimestamp:
                await self._delete(pod)
            return None
        if has_ended(pod):
            for old in surplus(self.cache(Pod).by_index(ENDED_INDEX, "yes")):
                await self._delete(old)
        return await self._check_node(pod)

    async def _check_node(self, pod: Pod) -> float | None:
        name, now = pod.spec.nodeName, self.clock.monotonic()
        if self.cache(Node).get("", name) is not None:
            self._missing_since.pop(name, None)
            return None
        waited = now - self._missing_since.setdefault(name, now)
        if waited < QUARANTINE_SECONDS:
            return QUARANTINE_SECONDS - waited
        try:
            await self.client.get(Node, name)
        except ApiError as error:
            if not error.not_found:
                raise
            await self._fail(pod)
            await self._delete(pod)
        return None

    async def _fail(self, pod: Pod) -> None:
        """Whoever waits for the pod learns that it will not end by itself."""
        if has_ended(pod):
            return
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByPodGC",
            "message": "PodGC: node no longer exists",
            "lastTransitionTime": format_time(self.clock.now()),
        }
        patch = {"metadata": {"uid": pod.metadata.uid}, "status": {"phase": "Failed", "conditions": [condition]}}
        meta = pod.metadata
        await self.client.patch(Pod, meta.name, meta.namespace, patch, patch_type="strategic", subresource="status")

    async def _delete(self, pod: Pod) -> None:
        meta = pod.metadata
        try:
            await self.client.delete(Pod, meta.name, meta.namespace, uid=meta.uid, grace_period_seconds=0)
        except ApiError as error:
            if not error.not_found and not error.conflict:
                raise
