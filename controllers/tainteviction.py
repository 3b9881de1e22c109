"""Eviction by NoExecute taints: a pod that does not tolerate its node's taint is deleted, in time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from controllers.nodelifecycle import NODE_INDEX, index_by_node
from tiphys.api.core.node import Node
from tiphys.api.core.pod import Pod
from tiphys.api.core.scheduling import Taint, Toleration
from tiphys.api.times import format_time, parse_time
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Writes
from tiphys.client.errors import ApiError


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """An empty effect means every effect, an empty key with Exists every key."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    return bool(toleration.key) and toleration.operator in ("", "Equal") and toleration.value == taint.value


def eviction_due(taints: Sequence[Taint], tolerations: Sequence[Toleration], now: datetime) -> datetime | None:
    """When the pod has to go: `now` if a NoExecute taint is not tolerated, None if it may stay for ever.

    Of the tolerations that match a taint the shortest tolerationSeconds counts, from when the taint was added."""
    due: datetime | None = None
    for taint in taints:
        if taint.effect != "NoExecute":
            continue
        matching = [toleration for toleration in tolerations if tolerates(toleration, taint)]
        if not matching:
            return now
        limits = [max(0, one.tolerationSeconds) for one in matching if one.tolerationSeconds is not None]
        if limits:
            added = parse_time(taint.timeAdded) if taint.timeAdded else now
            until = added + timedelta(seconds=min(limits))
            due = until if due is None else min(due, until)
    return due


class TaintEvictionController(Controller):
    name: ClassVar = "taint-eviction-controller"
    kind = Pod
    reads = (Node,)
    writes = (Writes(Pod, ("delete",)), Writes(Pod, ("patch",), "status"))

    def setup(self) -> None:
        index_by_node(self.cache(Pod))
        self._tainted: set[str] = set()
        self.on(Node, self._pods_of)

    def _pods_of(self, node: Node) -> Iterable[Key]:
        """Only a node that has or had such a taint concerns its pods; heartbeats of healthy nodes concern nobody."""
        name = node.metadata.name
        tainted = any(taint.effect == "NoExecute" for taint in node.spec.taints)
        if tainted or name in self._tainted:
            (self._tainted.add if tainted else self._tainted.discard)(name)
            for pod in self.cache(Pod).by_index(NODE_INDEX, name):
                yield Key(pod.metadata.namespace, pod.metadata.name)

    async def reconcile(self, key: Key) -> float | None:
        pod = self.cache(Pod).get(*key)
        if pod is None or not pod.spec.nodeName or pod.metadata.deletionTimestamp:
            return None
        node = self.cache(Node).get("", pod.spec.nodeName)
        now = self.clock.now()
        due = eviction_due(node.spec.taints, pod.spec.tolerations, now) if node is not None else None
        if due is None:
            return None
        if due > now:
            return (due - now).total_seconds()
        await self._evict(pod, now)
        return None

    async def _evict(self, pod: Pod, now: datetime) -> None:
        name, namespace = pod.metadata.name, pod.metadata.namespace
        message = f"Marking for deletion Pod {namespace}/{name}"
        self.events.event(pod, "Normal", "TaintManagerEviction", message, source=self.name)
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastTransitionTime": format_time(now),
        }
        patch = {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}}
        try:
            await self.client.patch(Pod, name, namespace, patch, patch_type="strategic", subresource="status")
            await self.client.delete(Pod, name, namespace, uid=pod.metadata.uid)
        except ApiError as error:
            if not error.not_found:
                raise
