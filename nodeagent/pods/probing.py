"""The probes of one pod: one `ContainerProbes` for each running container,
made and dropped as containers come and go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from nodeagent.pods.containerstatus import SCHEME
from nodeagent.pods.node import Node
from nodeagent.pods.observed import Observed, ProbeView
from nodeagent.pods.probes import ContainerProbes
from nodeagent.pods.restart import is_sidecar
from tiphys.api.core.pod import Pod


class PodProbes:
    """`changed` is called when a probe's verdict changes."""

    def __init__(self, node: Node, changed: Callable[[], None]) -> None:
        self._node, self._changed = node, changed
        self._running: dict[str, ContainerProbes] = {}  # by container name

    def views(self) -> dict[str, ProbeView]:
        return {name: probes.view for name, probes in self._running.items()}

    def update(
        self, pod: Pod, observed: Observed, pod_ips: tuple[str, ...], hooks: Mapping[str, asyncio.Task[None]]
    ) -> None:
        """Bring the set of probes in line with the containers that run now."""
        containers = [*pod.spec.containers, *(c for c in pod.spec.initContainers if is_sidecar(c))]
        alive: set[str] = set()
        for container in containers:
            latest = observed.latest(container.name)
            if latest is None or not latest.running:
                continue
            alive.add(container.name)
            probes = self._running.get(container.name)
            if probes is None or probes.container_id != latest.id:
                if probes is not None:
                    probes.stop()
                was_started, was_ready = _before(pod, container.name, latest.id)
                probes = self._running[container.name] = ContainerProbes(
                    self._node,
                    pod,
                    container,
                    latest.id,
                    pod_ips[0] if pod_ips else "",
                    self._changed,
                    was_started=was_started,
                    was_ready=was_ready,
                )
                probes.start()
            probes.hook_done = container.name not in hooks
            if pod.metadata.deletionTimestamp:
                probes.stop_restarting()
        for name in [name for name in self._running if name not in alive]:
            self._running.pop(name).stop()

    def stop(self) -> None:
        for probes in self._running.values():
            probes.stop()
        self._running.clear()


def _before(pod: Pod, name: str, container_id: str) -> tuple[bool, bool]:
    """What the API says of this very container: (started, ready)."""
    for status in [*pod.status.containerStatuses, *pod.status.initContainerStatuses]:
        if status.name == name and status.containerID == SCHEME + container_id:
            return bool(status.started), status.ready
    return False, False
