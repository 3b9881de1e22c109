"""All pods of this node: makes a worker for each, wakes workers, and looks after what a restart of the agent finds on
disk.

Pods come from an informer on spec.nodeName; a static identity is the uid, so a pod deleted and made again under the
same name is another pod with another worker.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from nodeagent.pods.mirrors import is_mirror
from nodeagent.pods.node import Node
from nodeagent.pods.observed import Ending
from nodeagent.pods.worker import PodWorker
from nodeagent.runtime.interface import ContainerStatus
from tiphys.api.core.pod import Pod
from tiphys.client.errors import ApiError, ConnectionFailed
from tiphys.client.informer import Informer
from tiphys.logs import fields

_log = logging.getLogger(__name__)


class PodManager:
    """Start with `start` once the runtime is open and the informer runs."""

    def __init__(self, informer: Informer[Pod]) -> None:
        self._informer = informer
        self._node: Node | None = None
        self._pods: dict[str, Pod] = {}
        self.workers: dict[str, PodWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping = False
        self._orphans: asyncio.Task[None] | None = None

    async def start(self, node: Node) -> None:
        """Take over everything on disk and every pod of the informer;
        leftovers of pods that are gone are cleaned up.
        """
        self._node = node
        await self._informer.wait_synced()
        node.runtime.on_exit(self._exited)
        here = {status.spec.pod_uid for status in await node.runtime.list()}
        here.update(sandbox.pod_uid for sandbox in node.sandboxes.list())
        for pod in sorted(self._informer.list(), key=_seniority):
            if not is_mirror(pod):
                if pod.metadata.uid in here:
                    node.admissions.taken_already(pod.metadata.uid)
                node.admissions.take(pod)
        self._informer.add_handler(self._pod_changed)
        for pod in node.static.all():
            node.admissions.taken_already(pod.metadata.uid)
            self._worker(pod.metadata.uid)
        here.update(node.volumes.known_pods(), node.cgroups.pods(), _pods_with_logs(node.logs_root))
        for pod_uid in sorted(uid for uid in here if self._lookup(uid) is None):
            _log.info("leftover of a pod that is gone", extra=fields(pod=pod_uid))
            self._worker(pod_uid)
        self._orphans = asyncio.create_task(self._remove_orphaned_mirrors(), name="orphaned mirrors")

    async def stop(self) -> None:
        """Let go of all pods; containers go on."""
        self._stopping = True
        tasks = [*self._tasks.values(), *([self._orphans] if self._orphans is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def pods(self) -> list[Pod]:
        """Of the API and of this node's manifests; a mirror is not one of them."""
        static = self._node.static.all() if self._node is not None else []
        return [*self._pods.values(), *static]

    def active(self) -> list[Pod]:
        """The pods with the resources they run with."""
        return [
            worker.resizes.running(pod) if (worker := self.workers.get(pod.metadata.uid)) is not None else pod
            for pod in self.pods()
        ]

    def find(self, namespace: str, name: str) -> Pod | None:
        found = next((p for p in self.pods() if (p.metadata.namespace, p.metadata.name) == (namespace, name)), None)
        return self._node.static.known_as(found) if found is not None and self._node is not None else found

    def end_pod(self, pod_uid: str, ending: Ending) -> bool:
        """This node ends the pod; False when it has no such pod."""
        worker = self.workers.get(pod_uid)
        if worker is not None:
            worker.end(ending)
        return worker is not None

    def objects_changed(self, pod_uid: str) -> None:
        """An object that the pod refers to has changed, or its token is due."""
        worker = self.workers.get(pod_uid)
        if worker is not None:
            worker.objects_changed()

    async def wait_over(self, pod_uid: str) -> None:
        """Returns when nothing of the pod runs and the API has been told."""
        worker = self.workers.get(pod_uid)
        if worker is not None:
            await worker.wait_over()

    def wake_all(self) -> None:
        for worker in self.workers.values():
            worker.wake()

    def wake(self, pod_uid: str) -> None:
        """Let the pod's worker look, after making it if need be; nothing before `start` and while stopping."""
        if self._node is not None and not self._stopping:
            self._worker(pod_uid).wake()

    def _lookup(self, pod_uid: str) -> Pod | None:
        static = self._node.static.get(pod_uid) if self._node is not None else None
        return static if static is not None else self._pods.get(pod_uid)

    async def _remove_orphaned_mirrors(self) -> None:
        """Mirrors of manifests that went while no agent was here."""
        assert self._node is not None
        for mirror in self._node.static.orphans():
            try:
                await self._node.static.remove(mirror)
            except (ApiError, ConnectionFailed) as error:
                _log.warning("a mirror cannot be removed", extra=fields(pod=mirror.metadata.name, cause=error))

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if is_mirror(new or old):  # type: ignore[arg-type]
            assert self._node is not None
            self._node.static.mirror_changed(old, new)
            return
        self._wake_deferred(old, new)
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            self._pods.pop(old.metadata.uid, None)
            self._worker(old.metadata.uid).wake()
        if new is not None:
            self._pods[new.metadata.uid] = new
            self._worker(new.metadata.uid).wake()

    def _wake_deferred(self, old: Pod | None, new: Pod | None) -> None:
        """A pod that gives something back lets a deferred resize of another go on."""
        if old is None or (new is not None and new.status.phase == old.status.phase and new.spec == old.spec):
            return
        for worker in self.workers.values():
            if worker.resizes.deferred:
                worker.wake()

    def _exited(self, status: ContainerStatus) -> None:
        worker = self.workers.get(status.spec.pod_uid)
        if worker is not None:
            worker.wake()

    def _worker(self, pod_uid: str) -> PodWorker:
        worker = self.workers.get(pod_uid)
        if worker is None:
            assert self._node is not None
            worker = self.workers[pod_uid] = PodWorker(self._node, pod_uid, lambda: self._lookup(pod_uid))
            task = self._tasks[pod_uid] = asyncio.create_task(worker.run(), name=f"pod {pod_uid}")
            task.add_done_callback(lambda _: self._ended(pod_uid))
        return worker

    def _ended(self, pod_uid: str) -> None:
        self.workers.pop(pod_uid, None)
        self._tasks.pop(pod_uid, None)
        if self._lookup(pod_uid) is not None and not self._stopping:  # it came back between the last look and the end
            self._worker(pod_uid)


def _pods_with_logs(root: Path) -> list[str]:
    """The uid is what follows the last underscore of NAMESPACE_NAME_UID."""
    return [path.name.rpartition("_")[2] for path in root.iterdir()] if root.is_dir() else []


def _seniority(pod: Pod) -> tuple[bool, str, str]:
    """Those the node has already taken first, then by age."""
    return not pod.status.startTime, pod.metadata.creationTimestamp or "", pod.metadata.name
