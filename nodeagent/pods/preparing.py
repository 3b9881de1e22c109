"""What a pod needs before its first container: its volumes, its cgroup, its sandbox.

What must stay true: everything here may be done again at any turn; what fails is said in an event and tried again
after a while, or at once when an object the pod refers to changes.
"""

from __future__ import annotations

import asyncio
import logging

from nodeagent.pods.environment import ConfigError, kernel_hostname
from nodeagent.pods.node import Node
from nodeagent.pods.objects import NotSynced
from nodeagent.pods.observed import BackoffEntry
from nodeagent.pods.plan import Actions
from nodeagent.pods.qos import qos_class
from nodeagent.pods.resources import pod_resources
from nodeagent.pods.runtimeclass import runtime_handler
from nodeagent.pods.security import sandbox_spec
from nodeagent.pods.starting import pod_ips
from nodeagent.runtime.interface import RuntimeFailure, Sandbox
from nodeagent.volumes.manager import MountedVolume
from nodeagent.volumes.payload import PodFacts, VolumeError, VolumeSources, references
from tiphys.api.core.pod import Pod

_log = logging.getLogger(__name__)

RETRY_SECONDS = 10.0  # a sandbox that cannot be made is tried again after this
FIRST_SETUP_RETRY_SECONDS, LAST_SETUP_RETRY_SECONDS = 0.5, 122.0


class PodGround:
    """One per worker.  `volumes` is None until they have been set up once, {} after they were taken down."""

    def __init__(self, node: Node, pod_uid: str) -> None:
        self._node, self._uid = node, pod_uid
        self.volumes: dict[str, MountedVolume] | None = None
        self._volumes_for: tuple[str, ...] = ()
        self._refresh = True
        self._backoff: BackoffEntry | None = None
        self._retry_at = 0.0

    def refresh(self) -> None:
        """An object that the volumes are made from is another now."""
        self._refresh = True
        self._retry_at = 0.0

    async def set_up_volumes(self, pod: Pod, sandbox: Sandbox | None, actions: Actions) -> bool:
        """True when containers may start on them."""
        node = self._node
        shape = (repr(pod.metadata.labels), repr(pod.metadata.annotations), sandbox.ip if sandbox else "")
        if self.volumes is not None and not self._refresh and shape == self._volumes_for:
            return True
        left = self._retry_at - node.clock.monotonic()
        if left > 0:
            actions.wake_within(left)
            return self.volumes is not None
        # before anything is read: a change from here on, or a failure, asks for another turn
        self._refresh, self._volumes_for = False, ()
        try:
            config_maps, secrets, tokens = references(pod)
            maps, hidden = await node.objects.data(self._uid, pod.metadata.namespace, config_maps, secrets)
            sources = VolumeSources(maps, hidden, await node.tokens.get(pod, tokens) if tokens else {})
            facts = PodFacts(node.facts(), pod_ips(node, pod, sandbox))
            with node.metrics.upkeep.storage_operation("volume_mount", "kubernetes.io/pod"):
                self.volumes = await node.volumes.set_up(pod, sources, facts)
            self._volumes_for, self._backoff = shape, None
            return True
        except (VolumeError, NotSynced) as error:
            node.event(pod, "Warning", getattr(error, "reason", "FailedMount"), str(error))
            entry = self._backoff
            seconds = FIRST_SETUP_RETRY_SECONDS
            if entry is not None:
                seconds = min(entry.seconds * 2, LAST_SETUP_RETRY_SECONDS)
            self._backoff = BackoffEntry(seconds, node.clock.now())
            self._retry_at = node.clock.monotonic() + seconds
            actions.wake_within(seconds)
            return self.volumes is not None

    async def unmount(self) -> None:
        """The pod is over: its volumes go, its directory stays for the record."""
        if self.volumes != {}:
            await self._node.volumes.unmount(self._uid)
            self.volumes = {}

    async def create_sandbox(self, pod: Pod, actions: Actions) -> bool:
        """True when it is there."""
        node = self._node
        quality = qos_class(pod)
        parent = node.cgroups.pod_path(self._uid, quality)
        try:
            name = kernel_hostname(pod, node.facts().name, node.dns().domain)
            spec = sandbox_spec(pod, name, parent, await runtime_handler(node.client, pod))
            with node.metrics.upkeep.cgroup_seconds.labels("create").time():
                await asyncio.to_thread(node.cgroups.create_pod, self._uid, quality, pod_resources(pod))
            with node.metrics.operation("run_podsandbox"):
                await node.sandboxes.create(spec)
        except (RuntimeFailure, ConfigError, OSError) as error:
            node.event(pod, "Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
            actions.wake_within(RETRY_SECONDS)
            return False
        node.metrics.started_pods.inc()
        return True
