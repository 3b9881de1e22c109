"""Node health: a node whose Lease and status have stopped moving is not ready, and gets the taints that say so.

When something was last heard of a node is measured on our own clock from the moment we saw it, never by comparing the
node's timestamps with ours.  After GRACE_SECONDS of silence the conditions become Unknown; the taints follow the
conditions, so they also follow a kubelet that says itself that it is not ready.  Evicting pods is tainteviction.py; how
many nodes are handed to it at a time is nodelifecycle_zones.py, and none when no node at all is heard of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import ClassVar

from controllers.nodelifecycle_zones import Pace, is_blind, rate_per_second, states, zone_of
from controllers.podconditions import condition as pod_condition
from tiphys.api.coordination.lease import Lease
from tiphys.api.core.node import Node, NodeCondition
from tiphys.api.core.pod import Pod
from tiphys.api.core.scheduling import Taint
from tiphys.api.times import format_time
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Environment, Writes
from tiphys.client.errors import ApiError
from tiphys.client.informer import Informer

GRACE_SECONDS = 50.0
LEASE_NAMESPACE = "kube-node-lease"
NODE_INDEX = "nodeName"
_WATCHED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_PRESSURE = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
_OURS = frozenset({NOT_READY, UNREACHABLE, UNSCHEDULABLE, *_PRESSURE.values()})


def status_of(node: Node, type: str) -> str:
    """The status of a condition; "" where the node has no such condition."""
    return next((condition.status for condition in node.status.conditions if condition.type == type), "")


def silent_conditions(node: Node, now: datetime) -> list[NodeCondition]:
    """The conditions of a node nothing is heard of: what the kubelet used to report becomes Unknown."""
    at = format_time(now)
    held = {condition.type: condition for condition in node.status.conditions}
    unknown: dict[str, NodeCondition] = {}
    for type in _WATCHED:
        old = held.get(type)
        if old is None:
            unknown[type] = NodeCondition(
                type=type,
                status="Unknown",
                reason="NodeStatusNeverUpdated",
                message="Kubelet never posted node status.",
                lastHeartbeatTime=node.metadata.creationTimestamp or None,
                lastTransitionTime=at,
            )
        elif old.status != "Unknown":
            unknown[type] = old.model_copy(
                update={
                    "status": "Unknown",
                    "reason": "NodeStatusUnknown",
                    "message": "Kubelet stopped posting node status.",
                    "lastTransitionTime": at,
                }
            )
    kept = [unknown.pop(condition.type, condition) for condition in node.status.conditions]
    return [*kept, *unknown.values()]


def wanted_taints(node: Node, now: datetime) -> Sequence[Taint]:
    """The node's taints with ours as its conditions call for; ours that stay keep the time they were added."""
    ready = status_of(node, "Ready")
    wanted: list[tuple[str, str]] = []
    if ready == "False":
        wanted += [(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")]
    elif ready != "True":
        wanted += [(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")] if ready else [(NOT_READY, "NoSchedule")]
    wanted += [(taint, "NoSchedule") for type, taint in _PRESSURE.items() if status_of(node, type) == "True"]
    if node.spec.unschedulable:
        wanted.append((UNSCHEDULABLE, "NoSchedule"))
    kept = [taint for taint in node.spec.taints if taint.key not in _OURS or (taint.key, taint.effect) in wanted]
    held = {(taint.key, taint.effect) for taint in kept}
    at = format_time(now)
    return [
        *kept,
        *(Taint(key=key, effect=effect, timeAdded=at) for key, effect in wanted if (key, effect) not in held),
    ]


def index_by_node(pods: Informer[Pod]) -> None:
    """Make `by_index(NODE_INDEX, node_name)` list the pods bound to a node."""
    if not pods.cache.has_index(NODE_INDEX):
        pods.add_index(NODE_INDEX, lambda pod: [pod.spec.nodeName] if pod.spec.nodeName else [])


class NodeLifecycleController(Controller):
    name: ClassVar = "node-controller"
    kind = Node
    reads = (Lease, Pod)
    writes = (
        Writes(Node, ("patch",)),
        Writes(Node, ("update",), "status"),
        Writes(Pod, ("patch",), "status"),
    )

    def __init__(self, environment: Environment, grace_seconds: float = GRACE_SECONDS) -> None:
        super().__init__(environment)
        self.grace_seconds = grace_seconds
        self._heard: dict[str, tuple[str, float]] = {}  # node to (what it last said, when we saw that)
        self._pace = Pace()
        self._zones: dict[str, str] = {}

    def setup(self) -> None:
        index_by_node(self.cache(Pod))
        self.on(Lease, self._renewed)
        self.on(Pod, self._new_on_silent_node)
        self.on(Node, self._others)

    def _renewed(self, lease: Lease) -> Iterable[Key]:
        """A renewal is noted and nothing else: one comes every ten seconds from every node."""
        name = lease.metadata.name
        if lease.metadata.namespace == LEASE_NAMESPACE and name in self._heard:
            node = self.cache(Node).get("", name)
            if node is not None:
                self._listen(node)
        return ()

    def _new_on_silent_node(self, pod: Pod) -> Iterable[Key]:
        node = self.cache(Node).get("", pod.spec.nodeName) if pod.spec.nodeName else None
        ready = pod_condition(pod, "Ready")
        if node is not None and status_of(node, "Ready") != "True" and ready is not None and ready.status == "True":
            yield Key("", node.metadata.name)

    def _others(self, _: Node) -> Iterable[Key]:
        """When a zone's state changes, so does what may be done about its silent nodes."""
        nodes = self.cache(Node).list()
        found = states((zone_of(node.metadata.labels), status_of(node, "Ready") == "True") for node in nodes)
        if found != self._zones:
            self._zones = found
            for node in nodes:
                if status_of(node, "Ready") != "True":
                    yield Key("", node.metadata.name)

    def _paced(self, node: Node, taints: Sequence[Taint]) -> tuple[Sequence[Taint], float | None]:
        """The taints that may be set now, and in how many seconds the others may."""
        held = {(taint.key, taint.effect) for taint in node.spec.taints}
        evicting = [one for one in taints if one.key in (NOT_READY, UNREACHABLE) and one.effect == "NoExecute"]
        if not evicting:
            return taints, None
        if is_blind(self._zones):
            return [one for one in taints if one not in evicting], None
        if any((one.key, one.effect) in held for one in evicting):
            return taints, None
        zone = zone_of(node.metadata.labels)
        size = sum(1 for one in self.cache(Node).list() if zone_of(one.metadata.labels) == zone)
        rate = rate_per_second(self._zones.get(zone, ""), size)
        wait_seconds = self._pace.wait_seconds(zone, rate, self.clock.monotonic())
        if wait_seconds == 0:
            return taints, None
        return [one for one in taints if one not in evicting], wait_seconds

    def _listen(self, node: Node) -> float:
        """Seconds since the node last said something new."""
        name, now = node.metadata.name, self.clock.monotonic()
        lease = self.cache(Lease).get(LEASE_NAMESPACE, name)
        beats = [condition.lastHeartbeatTime for condition in node.status.conditions if condition.type == "Ready"]
        said = f"{node.metadata.uid} {lease.spec.renewTime if lease else ''} {beats}"
        before, at = self._heard.get(name, ("", now))
        if said != before:
            at = now
        self._heard[name] = (said, at)
        return now - at

    async def reconcile(self, key: Key) -> float | None:
        node = self.cache(Node).get(*key)
        if node is None:
            self._heard.pop(key.name, None)
            return None
        silent_seconds = self._listen(node)
        now = self.clock.now()
        if silent_seconds >= self.grace_seconds:
            conditions = silent_conditions(node, now)
            if conditions != node.status.conditions:
                status = node.status.model_copy(update={"conditions": conditions})
                node = await self.client.update(node.model_copy(update={"status": status}), subresource="status")
        if status_of(node, "Ready") != "True":
            await self._mark_pods(node, now)
        taints, wait_seconds = self._paced(node, wanted_taints(node, now))
        if taints != node.spec.taints:
            patch = {
                "metadata": {"resourceVersion": node.metadata.resourceVersion},
                "spec": {"taints": [taint.to_dict() for taint in taints] or None},
            }
            await self.client.patch(Node, node.metadata.name, "", patch)
        left_seconds = self.grace_seconds - silent_seconds
        again = left_seconds + 0.01 if left_seconds > 0 else None  # silence ends with an event
        return again if wait_seconds is None else min(wait_seconds, again or wait_seconds)

    async def _mark_pods(self, node: Node, now: datetime) -> None:
        """A pod on a node that is not ready serves nobody: its Ready condition becomes False."""
        marked = 0
        for pod in self.cache(Pod).by_index(NODE_INDEX, node.metadata.name):
            ready = pod_condition(pod, "Ready")
            if ready is None or ready.status != "True" or status_of(node, "Ready") == "":
                continue
            condition = {"type": "Ready", "status": "False", "lastTransitionTime": format_time(now)}
            patch = {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}}
            try:
                await self.client.patch(
                    Pod, pod.metadata.name, pod.metadata.namespace, patch, patch_type="strategic", subresource="status"
                )
            except ApiError as error:
                if not error.not_found and error.code not in (409, 422):
                    raise
                continue
            self.events.event(pod, "Warning", "NodeNotReady", "Node is not ready", source=self.name)
            marked += 1
        if marked:
            message = f"Node {node.metadata.name} status is now: NodeNotReady"
            self.events.event(node, "Normal", "NodeNotReady", message, source=self.name)
