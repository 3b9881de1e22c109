"""What a pod worker works with: the doors to the runtime, the images, the API and the disk of this node,
in one value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from nodeagent.metrics.families import AgentMetrics
from nodeagent.pods.admissions import Admissions
from nodeagent.pods.containerspec import ImageFacts
from nodeagent.pods.downward import NodeFacts
from nodeagent.pods.mirrors import StaticPods
from nodeagent.pods.netfiles import ClusterDNS
from nodeagent.pods.objects import ReferencedObjects
from nodeagent.pods.observed import Waiting
from nodeagent.pods.tokens import ServiceAccountTokens
from nodeagent.runtime.cgroups import Cgroups
from nodeagent.runtime.interface import Runtime, Sandbox, SandboxSpec
from nodeagent.volumes.manager import VolumeManager
from tiphys.api.core.container import Container
from tiphys.api.core.pod import Pod
from tiphys.api.core.service import Service
from tiphys.client.events import EventRecorder
from tiphys.client.rest import Client
from tiphys.clock import Clock

if TYPE_CHECKING:
    import aiohttp


class Sandboxes(Protocol):
    """The pods' namespaces and addresses."""

    async def create(self, spec: SandboxSpec) -> Sandbox: ...

    async def remove(self, pod_uid: str) -> None: ...

    def get(self, pod_uid: str) -> Sandbox | None:
        """None when there is none, or when a namespace of it is gone."""

    def list(self) -> Sequence[Sandbox]:
        """All that are complete."""


class Images(Protocol):
    """Images for containers, pulled in the background."""

    def ensure(self, pod: Pod, container: Container, wake: Callable[[], None]) -> ImageFacts | Waiting:
        """The image, or why it is not there; in the second case `wake` is called when it is worth asking again."""

    def forget(self, pod_uid: str) -> None: ...


@dataclass
class Node:
    """One per agent."""

    client: Client
    runtime: Runtime
    sandboxes: Sandboxes
    cgroups: Cgroups
    images: Images
    volumes: VolumeManager
    objects: ReferencedObjects
    tokens: ServiceAccountTokens
    events: EventRecorder
    clock: Clock
    http: aiohttp.ClientSession
    metrics: AgentMetrics
    facts: Callable[[], NodeFacts]
    dns: Callable[[], ClusterDNS]
    services: Callable[[], Sequence[Service]]
    api_server: tuple[str, int]
    logs_root: Path
    seccomp_root: Path
    memory_capacity_bytes: int
    new_container_id: Callable[[], str]
    admissions: Admissions
    static: StaticPods

    def log_dir(self, pod: Pod) -> Path:
        meta = pod.metadata
        return self.logs_root / f"{meta.namespace}_{meta.name}_{meta.uid}"

    def event(
        self, pod: Pod, kind: str, reason: str, message: str, container: str = "", field: str = "containers"
    ) -> None:
        """See `record`."""
        record(self.events, pod, kind, reason, message, container, field)


def record(
    events: EventRecorder,
    pod: Pod,
    kind: str,
    reason: str,
    message: str,
    container: str = "",
    field: str = "containers",
) -> None:
    """An event on the pod, or on one of its containers (`field` is the list of the spec it is in)."""
    meta = pod.metadata
    reference = {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": meta.name,
        "namespace": meta.namespace,
        "uid": meta.uid,
        "resourceVersion": meta.resourceVersion,
    }
    if container:
        reference["fieldPath"] = f"spec.{field}{{{container}}}"
    events.event_for(reference, kind, reason, message)


def field_of(pod: Pod, name: str) -> str:
    """The list of the spec a container stands in; "containers" for one that is not there any more."""
    try:
        return find_container(pod, name)[1]
    except KeyError:
        return "containers"


def find_container(pod: Pod, name: str) -> tuple[Container, str]:
    """The container (init and ephemeral ones too) and the spec list it stands in.  Raises KeyError."""
    for field in ("containers", "initContainers", "ephemeralContainers"):
        for container in getattr(pod.spec, field):
            if container.name == name:
                return container, field
    raise KeyError(name)
