"""What the runtime says about one pod, as frozen data for the pure `plan` and `status`.

What must stay true: nothing here is remembered by the agent; all of it comes from the container directories and the
sandbox on disk, so that an agent that was killed sees the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

# Labels put on every container.  They are what a restarted agent knows about pods that the API no longer has.
LABEL_POD_NAME = "io.kubernetes.pod.name"
LABEL_POD_NAMESPACE = "io.kubernetes.pod.namespace"
LABEL_POD_UID = "io.kubernetes.pod.uid"
LABEL_CONTAINER_NAME = "io.kubernetes.container.name"
LABEL_GRACE_SECONDS = "io.kubernetes.pod.terminationGracePeriod"
LABEL_IMAGE = "io.tiphys.image"
LABEL_IMAGE_ID = "io.tiphys.image.id"
LABEL_MESSAGE_FILE = "io.tiphys.termination-message.file"
LABEL_MESSAGE_POLICY = "io.tiphys.termination-message.policy"
LABEL_LOG_PATH = "io.tiphys.log.path"
LABEL_SPEC_HASH = "io.kubernetes.container.hash"


@dataclass(frozen=True)
class ObservedContainer:
    """One attempt of one container.

    `state` is "created", "running" or "exited"; times are UTC or None when unknown.
    """

    id: str
    name: str
    attempt: int = 0
    state: str = "running"
    pid: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int = 0
    oom_killed: bool = False
    message: str = ""
    image: str = ""
    image_id: str = ""
    spec_hash: str = ""
    reason: str = ""  # the runtime's own word for the end, e.g. ContainerStatusUnknown
    user: tuple[int, int, tuple[int, ...]] | None = None  # uid, gid, supplementary groups of the first process

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def exited(self) -> bool:
        return self.state == "exited"


@dataclass(frozen=True)
class ObservedSandbox:
    """The pod's namespaces and address.  A sandbox that is not `ready` (a namespace is gone) must be made again."""

    ready: bool = True
    ips: tuple[str, ...] = ()


@dataclass(frozen=True)
class Observed:
    """All containers of the pod, any attempt, and its sandbox."""

    containers: tuple[ObservedContainer, ...] = ()
    sandbox: ObservedSandbox | None = None

    def latest(self, name: str) -> ObservedContainer | None:
        """The newest attempt of the container `name`."""
        return max((c for c in self.containers if c.name == name), key=lambda c: c.attempt, default=None)

    def previous(self, name: str) -> ObservedContainer | None:
        """The attempt before the newest, if its record is still there."""
        latest = self.latest(name)
        if latest is None:
            return None
        older = (c for c in self.containers if c.name == name and c.attempt < latest.attempt)
        return max(older, key=lambda c: c.attempt, default=None)

    def running(self) -> tuple[ObservedContainer, ...]:
        return tuple(c for c in self.containers if c.running)


@dataclass(frozen=True)
class ProbeView:
    """What the probes of one container say now."""

    started: bool = True
    ready: bool = True
    kill_reason: str = ""  # "" or the sentence of the Killing event: the liveness or startup probe wants a restart
    kill_grace_seconds: int | None = None  # of the probe that wants it; None: the pod's


@dataclass(frozen=True)
class Waiting:
    """Why a container is not running: upstream's reason and message."""

    reason: str
    message: str = ""


@dataclass(frozen=True)
class Ending:
    """Why this node ends a pod by itself (eviction, preemption, shutdown); the pod becomes Failed with these words."""

    reason: str
    message: str
    grace_seconds: int | None = None  # at most this; None: what the pod says
    disruption: bool = True  # the pod gets the condition DisruptionTarget
    condition_message: str = ""  # of that condition, where it says something else
    event: bool = True  # a Warning with reason and message


@dataclass(frozen=True)
class ResizeView:
    """How far the resources of a pod are from what its spec asks; names are containers', values wire ResourceLists.

    `allocated` is what the node has agreed to, `actuated` what the running container has.
    """

    allocated: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    actuated: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    generation: int = 0  # of the pod whose resources are allocated
    pending: Waiting | None = None  # Deferred or Infeasible, and why
    error: str = ""  # why the last attempt to actuate failed
    restart: frozenset[str] = frozenset()  # containers that get theirs by a restart

    @property
    def in_progress(self) -> bool:
        return any(self.allocated.get(name) != has for name, has in self.actuated.items())


@dataclass(frozen=True)
class BackoffEntry:
    """How long the next restart is held back, and when that was decided."""

    seconds: float
    updated_at: datetime


@dataclass(frozen=True)
class Memory:
    """What the worker remembers between turns; losing it (agent restart) is harmless."""

    backoff: Mapping[str, BackoffEntry] = field(default_factory=dict)
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    probes: Mapping[str, ProbeView] = field(default_factory=dict)
    stopping: frozenset[str] = frozenset()  # container ids being stopped
    rejected: Waiting | None = None  # the node does not admit this pod
    ending: Ending | None = None  # the node ends this pod
    replaced: frozenset[str] = frozenset()  # container ids that were stopped to become another attempt
    resize: ResizeView | None = None
