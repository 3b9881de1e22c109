"""All pods of this node: makes a worker for each, wakes workers, and looks after what a restart of the agent finds on
disk.

Pods come from an informer on spec.nodeName; a static identity is the uid, so a pod deleted and made again under the
same name is another pod with another worker.
"""

from __future__ import annotations

import asyncio
import logging

from nodeagent.pods.node import Node
from nodeagent.pods.worker import PodWorker
from nodeagent.runtime.interface import ContainerStatus
from tiphys.api.core.pod import Pod
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

    async def start(self, node: Node) -> None:
        """Take over everything on disk and every pod of the informer;
        leftovers of pods that are gone are cleaned up.
        """
        self._node = node
        await self._informer.wait_synced()
        node.runtime.on_exit(self._exited)
        self._informer.add_handler(self._pod_changed)
        left = {status.spec.pod_uid for status in await node.runtime.list()}
        left.update(sandbox.pod_uid for sandbox in node.sandboxes.list())
        left.update(node.volumes.known_pods())
        for pod_uid in sorted(left - set(self._pods)):
            _log.info("leftover of a pod that is gone", extra=fields(pod=pod_uid))
            self._worker(pod_uid)

    async def stop(self) -> None:
        """Let go of all pods; containers go on."""
        self._stopping = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def pods(self) -> list[Pod]:
        return list(self._pods.values())

    def find(self, namespace: str, name: str) -> Pod | None:
        return next(
            (p for p in self._pods.values() if p.metadata.name == name and p.metadata.namespace == namespace), None
        )

    def objects_changed(self, pod_uid: str) -> None:
        """An object that the pod refers to has changed, or its token is due."""
        worker = self.workers.get(pod_uid)
        if worker is not None:
            worker.objects_changed()

    def wake_all(self) -> None:
        for worker in self.workers.values():
            worker.wake()

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            self._pods.pop(old.metadata.uid, None)
            self._worker(old.metadata.uid).wake()
        if new is not None:
            self._pods[new.metadata.uid] = new
            self._worker(new.metadata.uid).wake()

    def _exited(self, status: ContainerStatus) -> None:
        worker = self.workers.get(status.spec.pod_uid)
        if worker is not None:
            worker.wake()

    def _worker(self, pod_uid: str) -> PodWorker:
        worker = self.workers.get(pod_uid)
        if worker is None:
            assert self._node is not None
            worker = self.workers[pod_uid] = PodWorker(self._node, pod_uid, lambda: self._pods.get(pod_uid))
            task = self._tasks[pod_uid] = asyncio.create_task(worker.run(), name=f"pod {pod_uid}")
            task.add_done_callback(lambda _: self._ended(pod_uid))
        return worker

    def _ended(self, pod_uid: str) -> None:
        self.workers.pop(pod_uid, None)
        self._tasks.pop(pod_uid, None)
        if pod_uid in self._pods and not self._stopping:  # it came back between the last look and the end
            self._worker(pod_uid)
