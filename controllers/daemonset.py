"""DaemonSet: a pod on every node that fits.

The rules are pure and live next door: which nodes and what pods (daemonset_pods), the next step (daemonset_plan), the
counts (daemonset_status); the history is controllerrevisions.  A pod that fails is replaced with growing pauses, so
that a node which refuses it is not flooded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import ClassVar

from controllers import controllerrevisions as revisions
from controllers.controllerrevisions import History
from controllers.daemonset_plan import Plan, Situation, by_node, manage, roll
from controllers.daemonset_pods import HASH_LABEL, node_of, pod_for
from controllers.daemonset_status import availability_due_seconds, next_status
from controllers.replicaset import first_error, in_growing_batches
from tiphys.api.apps.controllerrevision import ControllerRevision
from tiphys.api.apps.daemonset import DaemonSet
from tiphys.api.core.node import Node
from tiphys.api.core.pod import Pod
from tiphys.api.selectors import from_label_selector
from tiphys.client.cache import Key, key_of
from tiphys.client.controller import Controller, Writes
from tiphys.client.errors import ApiError
from tiphys.client.ownership import claim_owned

BURST = 250  # most pods created or deleted in one turn
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 1.0, 900.0


class DaemonSetController(Controller):
    name: ClassVar = "daemonset-controller"
    kind = DaemonSet
    owns = (Pod, ControllerRevision)
    adopts = True
    reads = (Node,)
    writes = (
        Writes(Pod, ("create", "delete", "patch")),
        Writes(ControllerRevision, ("create", "delete", "patch")),
        Writes(DaemonSet, ("update",), "status"),
        Writes(DaemonSet, ("update",), "finalizers"),
    )

    def setup(self) -> None:
        self._failures = Failures()
        self.cache(Node).add_handler(self._node_changed)

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        """Heartbeats change nothing: only a node's coming, going, labels and taints concern us."""
        if old is not None and new is not None:
            before, after = (old.metadata.labels, old.spec.taints), (new.metadata.labels, new.spec.taints)
            if before == after:
                return
        for daemon_set in self.cache(DaemonSet).list():
            self.queue.add(key_of(daemon_set))

    async def reconcile(self, key: Key) -> float | None:
        daemon_set = self.cache(DaemonSet).get(*key)
        if daemon_set is None:
            self._failures.forget(key)
            return None
        selector = from_label_selector(daemon_set.spec.selector)
        if selector.empty:
            text = "This daemon set is selecting all pods. A non-empty selector is required."
            self._event(daemon_set, "Warning", "SelectingAll", text)
            return None
        if daemon_set.metadata.deletionTimestamp:
            return None
        pods = await claim_owned(self.client, daemon_set, selector, self.cache(Pod))
        history = await self._history(daemon_set)
        hashed = history.update.metadata.labels[HASH_LABEL]
        nodes = sorted(self.cache(Node).list(), key=lambda node: node.metadata.name)
        situation = Situation(daemon_set, nodes, by_node(pods), hashed, self.clock.now())
        failure, pause_seconds = await self._step(key, situation)
        await self._clean_up(daemon_set, history, pods)
        status = next_status(situation, history.collision_count)
        if status != daemon_set.status:
            await self.client.update(daemon_set.model_copy(update={"status": status}), subresource="status")
        if failure is not None and not failure.namespace_terminating:
            raise failure
        due = availability_due_seconds(situation)
        return min((seconds for seconds in (pause_seconds, due) if seconds is not None), default=None)

    async def _history(self, daemon_set: DaemonSet) -> History:
        selector = from_label_selector(daemon_set.spec.selector)
        known = await claim_owned(self.client, daemon_set, selector, self.cache(ControllerRevision))
        template, count = daemon_set.spec.template, daemon_set.status.collisionCount
        return await revisions.sync_history(self.client, daemon_set, template, known, count, HASH_LABEL)

    async def _step(self, key: Key, situation: Situation) -> tuple[ApiError | None, float | None]:
        """One step of the plan: (what was refused, seconds after which an ended pod's pause is over)."""
        daemon_set, todo, pause_seconds = situation.daemon_set, manage(situation), None
        now = self.clock.monotonic()
        for pod in todo.ended:
            left = 0.0 if pod.status.phase == "Succeeded" else self._failures.pause_seconds(key, node_of(pod), now)
            if left > 0:
                pause_seconds = min(left, pause_seconds or left)
                continue
            self._tell_ended(daemon_set, pod)
            todo.delete.append(pod)
        if todo.empty:
            todo = roll(situation)
        failure = await self._act(daemon_set, situation.hashed, todo)
        return failure, pause_seconds

    def _tell_ended(self, daemon_set: DaemonSet, pod: Pod) -> None:
        where = f"daemon pod {pod.metadata.namespace}/{pod.metadata.name} on node {pod.spec.nodeName}"
        if pod.status.phase == "Failed":
            text = f"Found failed {where}, will try to kill it"
            self._event(daemon_set, "Warning", "FailedDaemonPod", text)
        else:
            self._event(daemon_set, "Normal", "SucceededDaemonPod", f"Found succeeded {where}, will try to delete it")

    async def _act(self, daemon_set: DaemonSet, hashed: str, todo: Plan) -> ApiError | None:
        async def create_one(node: str) -> None:
            try:
                created = await self.client.create(pod_for(daemon_set, node, hashed))
            except ApiError as error:
                if not error.namespace_terminating:
                    self._event(daemon_set, "Warning", "FailedCreate", f"Error creating: {error}")
                raise
            self._event(daemon_set, "Normal", "SuccessfulCreate", f"Created pod: {created.metadata.name}")

        async def delete_one(pod: Pod) -> None:
            name = pod.metadata.name
            try:
                await self.client.delete(Pod, name, pod.metadata.namespace, uid=pod.metadata.uid)
            except ApiError as error:
                if error.not_found:
                    return
                if error.conflict:
                    raise  # somebody wrote at the same time: the cache will show
                self._event(daemon_set, "Warning", "FailedDelete", f"Error deleting: {error}")
                raise
            self._event(daemon_set, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")

        failure = await in_growing_batches(todo.create[:BURST], create_one)
        results = await asyncio.gather(*map(delete_one, todo.delete[:BURST]), return_exceptions=True)
        return failure or first_error(results)

    async def _clean_up(self, daemon_set: DaemonSet, history: History, pods: Iterable[Pod]) -> None:
        hashes = {pod.metadata.labels.get(HASH_LABEL) for pod in pods}
        in_use = [one.metadata.name for one in history.revisions if one.metadata.labels.get(HASH_LABEL) in hashes]
        await revisions.forget(self.client, revisions.surplus(history, in_use, daemon_set.spec.revisionHistoryLimit))

    def _event(self, daemon_set: DaemonSet, type: str, reason: str, message: str) -> None:
        self.events.event(daemon_set, type, reason, message, source=self.name)


class Failures:
    """How long to wait before a failed pod of a node is replaced: twice as long every time."""

    def __init__(self) -> None:
        self._known: dict[Key, dict[str, tuple[float, float]]] = {}  # node -> (length of the pause, its end)

    def pause_seconds(self, key: Key, node: str, now: float) -> float:
        """What is left of the pause; 0: replace the pod, and the next pause begins."""
        nodes = self._known.setdefault(key, {})
        length, end = nodes.get(node, (0.0, now))
        if now < end:
            return end - now
        if now - end > 2 * LAST_PAUSE_SECONDS:
            length = 0.0
        length = min(max(FIRST_PAUSE_SECONDS, 2 * length), LAST_PAUSE_SECONDS)
        nodes[node] = (length, now + length)
        return 0.0

    def forget(self, key: Key) -> None:
        self._known.pop(key, None)
