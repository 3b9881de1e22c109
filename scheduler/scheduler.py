"""The loop: take the next pod, choose, assume the choice in the snapshot, bind in the background, take the next pod.

What holds: a pod is counted on the node it was assumed on from the decision until the informer shows it there, or until
its binding fails; so no two decisions spend the same room.
"""

from __future__ import annotations

import asyncio
import logging
from random import Random

from prometheus_client import CollectorRegistry

from scheduler.binding import bind, mark_unschedulable
from scheduler.framework import Decision, choose
from scheduler.metrics import SchedulerMetrics
from scheduler.plugins import FILTERS, SCORERS
from scheduler.plugins.volumebinding import choose_volumes
from scheduler.podinfo import TERMINAL_PHASES, PodInfo, pod_info
from scheduler.queue import QueuedPod, SchedulingQueue
from scheduler.snapshot import Snapshot
from scheduler.volumes import VolumeChoice, VolumesNotBound
from tiphys.api.core.node import Node
from tiphys.api.core.persistentvolume import PersistentVolume
from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.api.core.pod import Pod
from tiphys.api.core.volume_binding import claims_of
from tiphys.api.storage.storageclass import StorageClass
from tiphys.client.errors import ApiError, ConnectionFailed
from tiphys.client.events import EventRecorder
from tiphys.client.informer import Informer
from tiphys.client.rest import Client
from tiphys.clock import Clock
from tiphys.logs import fields

NAME = "default-scheduler"
MAX_BINDINGS = 64  # in flight
VOLUME_PLUGINS = frozenset({"VolumeBinding", "VolumeRestrictions", "VolumeZone"})
_log = logging.getLogger(__name__)


class Scheduler:
    """`run` until cancelled.  `random` breaks ties between equal nodes."""

    def __init__(
        self, client: Client, recorder: EventRecorder, clock: Clock, random: Random, registry: CollectorRegistry
    ) -> None:
        self.client = client
        self.snapshot = Snapshot()
        self.queue = SchedulingQueue()
        self._recorder = recorder
        self._clock = clock
        self._random = random
        self.metrics = SchedulerMetrics(registry, self.queue.counts)
        self.nodes: Informer[Node] = Informer(client, Node)
        self.pods: Informer[Pod] = Informer(client, Pod)
        self.claims: Informer[PersistentVolumeClaim] = Informer(client, PersistentVolumeClaim)
        self.volumes: Informer[PersistentVolume] = Informer(client, PersistentVolume)
        self.classes: Informer[StorageClass] = Informer(client, StorageClass)
        self._informers = (self.nodes, self.claims, self.volumes, self.classes, self.pods)
        self._wake = asyncio.Event()
        self._assumed: set[str] = set()
        self._bindings: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(MAX_BINDINGS)
        self.nodes.add_handler(self._node_changed)
        self.pods.add_handler(self._pod_changed)
        self.claims.add_handler(self.snapshot.storage.claim_changed)
        self.volumes.add_handler(self.snapshot.storage.volume_changed)
        self.classes.add_handler(self.snapshot.storage.class_changed)
        for informer in (self.claims, self.volumes, self.classes):
            informer.add_handler(self._storage_changed)

    @property
    def synced(self) -> bool:
        return all(informer.synced for informer in self._informers)

    async def run(self) -> None:
        for informer in self._informers:
            informer.start()
        try:
            for informer in self._informers:
                await informer.wait_synced()
            while True:
                await self._turn()
        finally:
            for task in self._bindings:
                task.cancel()
            stops = [informer.stop() for informer in self._informers]
            await asyncio.gather(*stops, *self._bindings, return_exceptions=True)

    async def _turn(self) -> None:
        """Decide for one pod, or wait until there is one."""
        now = self._clock.monotonic()
        due = self.queue.flush(now)
        queued = self.queue.pop()
        if queued is None:
            self._wake.clear()
            try:
                async with asyncio.timeout(None if due is None else max(due - now, 0.001)):
                    await self._wake.wait()
            except TimeoutError:
                pass  # a back-off has ended: the next turn flushes it
            return
        await self._slots.acquire()
        self._decide(queued)
        await asyncio.sleep(0)

    def _decide(self, queued: QueuedPod) -> None:
        started = self._clock.monotonic()
        info = queued.info
        tie = self._random.getrandbits(30)
        decision = choose(info, self.snapshot, FILTERS, SCORERS, tie)
        self.metrics.algorithm_seconds.observe(self._clock.monotonic() - started)
        if decision.node:
            self._assumed.add(info.uid)
            choice = self._choose_volumes(info, decision.node)
            self.snapshot.add_pod(info, decision.node)
            work = self._bind(queued, decision.node, choice, started)
        else:
            self.queue.failed(info.uid, self._clock.monotonic(), refused_by=decision.plugins)
            work = self._refuse(info, decision, started)
        task = asyncio.create_task(work)
        self._bindings.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._bindings.discard(task)
        self._slots.release()

    def _choose_volumes(self, info: PodInfo, node: str) -> VolumeChoice | None:
        """What the pod's claims get on the node, promised to nobody else from now on; None: it has no claims."""
        if not claims_of(info.pod):
            return None
        storage = self.snapshot.storage
        choice = choose_volumes(info.pod, storage, node, self.snapshot.labels[self.snapshot.row_of[node]])
        storage.assume(choice)
        return choice

    async def _bind_volumes(self, info: PodInfo, node: str, choice: VolumeChoice) -> None:
        """Wait for the claims without holding up the binding of other pods."""
        self._slots.release()
        try:
            await self.snapshot.storage.bind(self.client, info.pod, node, choice)
        except BaseException:
            self.snapshot.storage.forget(choice)
            raise
        finally:
            await self._slots.acquire()

    async def _bind(self, queued: QueuedPod, node: str, choice: VolumeChoice | None, started: float) -> None:
        info = queued.info
        try:
            if choice is not None:
                await self._bind_volumes(info, node, choice)
            await bind(self.client, info, node)
        except (ApiError, ConnectionFailed, VolumesNotBound) as error:
            self._forget(info)
            now = self._clock.monotonic()
            self.metrics.attempt("error", now - started)
            if isinstance(error, VolumesNotBound):
                text = f'running PreBind plugin "VolumeBinding": {error}'
                self._recorder.event(info.pod, "Warning", "FailedScheduling", text)
            if isinstance(error, ApiError) and error.code == 404 and choice is None:
                self.queue.remove(info.uid)
                return
            _log.warning("binding failed", extra=fields(pod=info.key, node=node, reason=error))
            self.queue.failed(info.uid, now, error=True)
            self._wake.set()
            return
        now = self._clock.monotonic()
        self.queue.remove(info.uid)
        self.metrics.attempt("scheduled", now - started)
        self.metrics.sli_seconds.labels(str(min(queued.attempts, 16))).observe(now - queued.first_added)
        message = f"Successfully assigned {info.key} to {node}"
        self._recorder.event(info.pod, "Normal", "Scheduled", message)

    def _forget(self, info: PodInfo) -> None:
        """Undo the assumption, unless the informer has meanwhile shown the pod on a node."""
        if info.uid in self._assumed:
            self._assumed.discard(info.uid)
            self.snapshot.remove_pod(info.uid)
            self.queue.move(None, self._clock.monotonic())

    async def _refuse(self, info: PodInfo, decision: Decision, started: float) -> None:
        self.metrics.attempt("unschedulable", self._clock.monotonic() - started)
        message = decision.message()
        self._recorder.event(info.pod, "Warning", "FailedScheduling", message)
        try:
            await mark_unschedulable(self.client, info.pod, "Unschedulable", message, self._clock)
        except (ApiError, ConnectionFailed) as error:
            _log.info("condition not written", extra=fields(pod=info.key, reason=error))

    # What the informers say

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        pod = new or old
        if pod is None:
            return
        uid = pod.metadata.uid
        if new is None or new.status.phase in TERMINAL_PHASES:
            self._gone(uid)
        elif new.spec.nodeName:
            self._assumed.discard(uid)
            self.queue.remove(uid)
            if old is None or old.spec.nodeName != new.spec.nodeName or _resized(old, new):
                self.snapshot.add_pod(pod_info(new), new.spec.nodeName)
        elif _wants_scheduling(new):
            if uid not in self._assumed and (old is None or _asks_anew(old, new)):
                self.queue.add(pod_info(new), self._clock.monotonic())
                self._wake.set()
        else:
            self.queue.remove(uid)

    def _gone(self, uid: str) -> None:
        self._assumed.discard(uid)
        self.queue.remove(uid)
        if self.snapshot.remove_pod(uid):
            freed = frozenset({"NodeResourcesFit", "NodePorts", "VolumeRestrictions"})
            self.queue.move(freed, self._clock.monotonic())
            self._wake.set()

    def _storage_changed(self, old: object, new: object) -> None:
        self.queue.move(VOLUME_PLUGINS, self._clock.monotonic())
        self._wake.set()

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        if new is None:
            if old is not None:
                self.snapshot.remove_node(old.metadata.name)
            return
        if old is not None and not _node_matters(old, new):
            return
        self.snapshot.set_node(new)
        self.queue.move(None, self._clock.monotonic())
        self._wake.set()


def _wants_scheduling(pod: Pod) -> bool:
    ours = (pod.spec.schedulerName or NAME) == NAME
    return ours and not pod.metadata.deletionTimestamp and not pod.spec.schedulingGates


def _asks_anew(old: Pod, new: Pod) -> bool:
    """Only the spec and the labels decide where a pod fits: our own condition must not wake it again."""
    return old.spec != new.spec or old.metadata.labels != new.metadata.labels


def _resized(old: Pod, new: Pod) -> bool:
    return [c.resources for c in old.spec.containers] != [c.resources for c in new.spec.containers]


def _node_matters(old: Node, new: Node) -> bool:
    """A heartbeat changes nothing for the scheduler."""
    return (
        old.status.allocatable != new.status.allocatable
        or old.spec.unschedulable != new.spec.unschedulable
        or old.spec.taints != new.spec.taints
        or old.metadata.labels != new.metadata.labels
    )
