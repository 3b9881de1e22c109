"""How pods end: stopping containers in the background, the last steps of a deletion,
and what a forgotten pod leaves.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nodeagent.pods.admission import is_static
from nodeagent.pods.hooks import stop_container
from nodeagent.pods.node import Node, field_of
from nodeagent.pods.observed import LABEL_GRACE_SECONDS, Observed
from nodeagent.pods.plan import Actions, Kill
from nodeagent.runtime.interface import ContainerNotFound, RuntimeFailure
from tiphys.api.core.pod import Pod
from tiphys.client.errors import ApiError
from tiphys.logs import fields

_log = logging.getLogger(__name__)


@dataclass
class _Stop:
    task: asyncio.Task[None]
    ends_at: float  # monotonic: when the grace is over


class ContainerStops:
    """The containers of one pod that are being stopped; each stop is a task, `wake` is called when one ends."""

    def __init__(self, node: Node, wake: Callable[[], None]) -> None:
        self._node, self._wake = node, wake
        self._stops: dict[str, _Stop] = {}
        self._grace = -1

    def ids(self) -> frozenset[str]:
        return frozenset(self._stops)

    def apply(self, pod: Pod | None, kills: Sequence[Kill], pod_ip: str) -> None:
        """Begin the stops that are asked for; a deletion with a shorter grace than before shortens those under way."""
        if pod is not None and pod.metadata.deletionTimestamp:
            self._shorten(pod, pod.metadata.deletionGracePeriodSeconds or 0)
        for kill in kills:
            if kill.container_id in self._stops:
                continue
            if pod is not None:
                self._node.event(pod, "Normal", "Killing", kill.message, kill.name, field_of(pod, kill.name))
            self._begin(pod, kill.container_id, kill.name, kill.grace_seconds, pod_ip)

    def _begin(self, pod: Pod | None, container_id: str, name: str, grace_seconds: int, pod_ip: str) -> None:
        task = asyncio.create_task(self._stop(pod, container_id, name, grace_seconds, pod_ip), name=f"stop {name}")
        ends_at = self._node.clock.monotonic() + max(grace_seconds, 0)
        self._stops[container_id] = _Stop(task, ends_at)

    async def _stop(self, pod: Pod | None, container_id: str, name: str, grace_seconds: int, pod_ip: str) -> None:
        try:
            if grace_seconds < 0:
                grace_seconds = await self._grace_of(container_id)
            with self._node.metrics.operation("stop_container"):
                await stop_container(self._node, pod, container_id, name, grace_seconds, pod_ip)
        except RuntimeFailure as error:
            _log.warning("stopping failed", extra=fields(container=container_id, cause=error))
            await asyncio.sleep(1.0)  # the next turn asks again
        finally:
            self._stops.pop(container_id, None)
            self._wake()

    async def _grace_of(self, container_id: str) -> int:
        """Of a container whose pod the API has forgotten: what the pod said when it was started."""
        try:
            status = await self._node.runtime.status(container_id)
        except ContainerNotFound:
            return 0
        text = status.spec.labels.get(LABEL_GRACE_SECONDS, "")
        return int(text) if text.isdigit() else 30

    def _shorten(self, pod: Pod, grace_seconds: int) -> None:
        now = self._node.clock.monotonic()
        for container_id, stop in list(self._stops.items()):
            if stop.ends_at - now > grace_seconds + 1:
                stop.task.cancel()
                self._begin(pod, container_id, container_id[:12], grace_seconds, "")

    def cancel(self) -> None:
        """Let go: the containers are not waited for any more."""
        for stop in list(self._stops.values()):
            stop.task.cancel()


async def finish_deletion(node: Node, pod: Pod, observed: Observed) -> None:
    """Every container is dead and the final status is written: give everything back,
    then tell the API that it is done.
    """
    uid = pod.metadata.uid
    await _give_back(node, uid, observed)
    if is_static(pod):
        await node.static.finished(pod)
        return
    try:
        await node.client.delete(Pod, pod.metadata.name, pod.metadata.namespace, uid=uid, grace_period_seconds=0)
    except ApiError as error:
        if not (error.not_found or error.code == 409):
            raise


async def clean_up(node: Node, pod_uid: str, pod: Pod | None, observed: Observed, actions: Actions) -> bool:
    """What is left of a pod that the API no longer has goes; True when nothing is left."""
    if observed.running():
        return False
    await _give_back(node, pod_uid, observed)
    for directory in node.logs_root.glob(f"*_{pod_uid}") if node.logs_root.is_dir() else ():
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
    return True


async def _give_back(node: Node, pod_uid: str, observed: Observed) -> None:
    node.images.forget(pod_uid)
    node.tokens.forget(pod_uid)
    node.admissions.forget(pod_uid)
    node.metrics.probes.forget(pod_uid)
    for container in observed.containers:
        await node.runtime.remove(container.id)
    await node.sandboxes.remove(pod_uid)
    for path in [path for uid, path in node.cgroups.pods().items() if uid == pod_uid]:
        await asyncio.to_thread(node.cgroups.remove, path)
    await node.volumes.tear_down(pod_uid)
    await node.objects.release(pod_uid)
