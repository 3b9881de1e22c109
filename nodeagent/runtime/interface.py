"""The container interface: what the node agent asks of whatever runs containers.

The contract, which every implementation keeps:

* Seven verbs: `create`, `start`, `update`, `stop`, `remove`, `status`/`list`, `exec`.  Each may be called again after a
  crash of the caller at any point; `stop` and `remove` of something absent succeed, `create` of an id that exists
  raises ContainerExists, everything else on an unknown id raises ContainerNotFound.
* A container is `created` (its first process exists but has not been given control), then `running`, then `exited`.
  It never goes back; a restart is a new container with a new id and the next `attempt`.
* Containers outlive the caller.  After a kill -9 a new Runtime on the same directory lists the same containers with the
  same pids, and an exit that happened in between is reported with its true exit code and time.
* An exit is announced to the listeners of `on_exit` once, after `status` already shows it.  Nobody polls.
* `stop` sends the stop signal, waits for the grace period, then kills; it returns when the container has exited.
* `remove` leaves nothing: no mount, cgroup, process or file, except the log, which belongs to the caller.
* The OCI configuration is a function of ContainerSpec alone.  Labels, annotations and image metadata never reach it.
* An error text of RuntimeFailure is fit to be shown in a pod's status.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from nodeagent.runtime.streams import ExecRequest, Streams


class RuntimeFailure(Exception):
    """The runtime could not do it; the text names the cause in one line."""


class ContainerNotFound(RuntimeFailure):
    """There is no container with that id."""


class ContainerExists(RuntimeFailure):
    """A container with that id exists already."""


class RootfsUnsafe(RuntimeFailure):
    """The image's root directory would lead the runtime out of it, or hides what must be real directories."""


class NotExecutable(RuntimeFailure):
    """The command does not exist in the image or cannot be executed; `create` or `start` may be the one to notice."""


class NoSuchHandler(RuntimeFailure):
    """A RuntimeClass names a handler that this node does not have."""


class UserNotFound(RuntimeFailure):
    """The image's user or group name is not in its own /etc/passwd or /etc/group, or the file cannot be trusted."""


@dataclass(frozen=True, slots=True)
class User:
    """Numeric identity of a process; names are resolved by `runtime.users.resolve_user` before."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()  # supplementary groups, exactly these


@dataclass(frozen=True, slots=True)
class Mount:
    """A bind mount of a file or directory of the node.  `source` is trusted, `target` (in the container) is not."""

    source: str
    target: str
    read_only: bool = False
    recursive_read_only: bool = False  # also mounts below the source become read-only
    propagation: Literal["rprivate", "rslave", "rshared"] = "rprivate"
    options: tuple[str, ...] = ("nosuid", "nodev")  # subset of nosuid, nodev, noexec


@dataclass(frozen=True, slots=True)
class Device:
    """A device node of the node made visible in the container (device plugins, block volumes)."""

    path: str  # in the container
    kind: Literal["c", "b"]
    major: int
    minor: int
    access: str = "rwm"
    mode: int = 0o660


@dataclass(frozen=True, slots=True)
class Resources:
    """Limits of one container or pod.  Zero means: not set."""

    cpu_shares: int = 0  # cgroup v1 scale, 2..262144; see cgroups.cpu_shares(milli)
    cpu_quota_us: int = 0  # per period; see cgroups.cpu_quota_us(milli)
    cpu_period_us: int = 100_000
    memory_limit_bytes: int = 0
    pids_limit: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    hugepage_limits: Mapping[str, int] = field(default_factory=dict)  # "2MB" -> bytes


@dataclass(frozen=True, slots=True)
class Security:
    """What a container may do.  The defaults are those of a container without a security context."""

    privileged: bool = False
    capabilities_add: tuple[str, ...] = ()  # Kubernetes spelling: NET_ADMIN, or ALL
    capabilities_drop: tuple[str, ...] = ()
    no_new_privileges: bool = False  # allowPrivilegeEscalation: false
    read_only_rootfs: bool = False
    seccomp: Literal["RuntimeDefault", "Unconfined", "Localhost"] = "RuntimeDefault"
    seccomp_profile: str = ""  # absolute path of an OCI seccomp JSON; only with Localhost
    unmasked_proc: bool = False  # procMount: Unmasked


@dataclass(frozen=True, slots=True)
class Rlimit:
    kind: str  # RLIMIT_NOFILE ...
    soft: int
    hard: int


@dataclass(frozen=True, slots=True)
class PodNamespaces:
    """Where a pod's namespaces are pinned.  An empty path of net, ipc, uts, user means the node's own namespace."""

    net: str = ""
    ipc: str = ""
    uts: str = ""
    pid: str = ""  # "" = private to the container, "host" = the node's, "container:ID" = of that one, else a path
    shm: str = ""  # directory to bind at /dev/shm; "" = a fresh tmpfs of 64 MiB
    user: str = ""
    id_base: int = 0  # with `user`: its ids 0..65535 are the node's id_base..id_base+65535


@dataclass(frozen=True, slots=True)
class PortMapping:
    """One port of the node that leads to a pod; `pod_ip` is filled in once the pod has one."""

    protocol: str  # "tcp", "udp"
    host_port: int
    container_port: int
    host_ip: str = ""  # "" for every address of the node
    pod_ip: str = ""


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """A pod as `PodSandboxes` sees it."""

    pod_uid: str
    hostname: str
    host_network: bool = False
    host_ipc: bool = False
    host_pid: bool = False
    share_pid: bool = False  # one PID namespace for all containers, held by a tiny process
    user_namespace: bool = False  # hostUsers: false
    sysctls: Mapping[str, str] = field(default_factory=dict)
    cgroup_parent: str = ""  # of the process that holds the shared PID namespace
    runtime_handler: str = ""  # of the pod's RuntimeClass; "" = the default
    host_ports: tuple[PortMapping, ...] = ()


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The pinned namespaces of one pod and its address ("" on the node's network)."""

    pod_uid: str
    hostname: str
    namespaces: PodNamespaces
    ip: str = ""
    host_network: bool = False
    runtime_handler: str = ""


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """Everything a container is made of: a closed set."""

    id: str  # [a-zA-Z0-9_.-]{1,128}; new_container_id() makes one
    pod_uid: str
    name: str
    argv: tuple[str, ...]
    layers: tuple[Path, ...]  # unpacked layer directories, bottom first
    log_path: Path  # written in CRI format; its directory must exist
    attempt: int = 0
    pod_name: str = ""
    pod_namespace: str = ""
    image: str = ""  # for status only
    image_id: str = ""  # for status only
    env: tuple[tuple[str, str], ...] = ()
    cwd: str = "/"
    user: User = User()
    mounts: tuple[Mount, ...] = ()
    devices: tuple[Device, ...] = ()
    namespaces: PodNamespaces = PodNamespaces()
    runtime_handler: str = ""  # which OCI runtime; "" = the default
    hostname: str = ""  # informational: the name lives in the pod's UTS namespace
    cgroup_parent: str = ""  # from Cgroups.pod_path(...); "" = directly below the cgroup root
    resources: Resources = Resources()
    oom_score_adj: int = 0
    security: Security = Security()
    rlimits: tuple[Rlimit, ...] = ()
    stop_signal: str = "SIGTERM"
    stdin: bool = False
    stdin_once: bool = False
    terminal: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)  # the caller's notes; never reach the runtime


ContainerState = Literal["created", "running", "exited"]


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """What is true of a container now.  Times are UTC; pid is 0 once it has exited."""

    id: str
    spec: ContainerSpec
    state: ContainerState
    pid: int = 0
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    reason: str = ""  # Completed, Error, OOMKilled, or Unknown (its exit was not seen); "" while not exited
    message: str = ""


@dataclass(frozen=True, slots=True)
class ExecResult:
    """Outcome of exec_sync; output beyond the limit is dropped, `timed_out` means the process was killed."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    timed_out: bool = False


ExitListener = Callable[[ContainerStatus], None]


class Runtime(Protocol):
    """See the module's contract.  All methods are for one event loop."""

    async def create(self, spec: ContainerSpec) -> ContainerStatus:
        """Prepare the root directory and cgroup and create the first process, stopped before exec.

        Raises ContainerExists, RootfsUnsafe, RuntimeFailure; after an error nothing is left."""

    async def start(self, container_id: str) -> ContainerStatus:
        """Give control to the container's program.  Raises RuntimeFailure when it cannot be executed."""

    async def stop(self, container_id: str, grace_seconds: float, signal: str = "") -> ContainerStatus | None:
        """Stop signal (the spec's unless given), grace, SIGKILL; returns when exited; None when unknown."""

    async def remove(self, container_id: str) -> None:
        """Kill if needed and delete everything of it but the log."""

    async def update(self, container_id: str, resources: Resources) -> None:
        """Give a living container other limits, in place; zero takes a limit away.

        Raises ContainerNotFound, and RuntimeFailure when the kernel refuses (less memory than is in use)."""

    async def status(self, container_id: str) -> ContainerStatus:
        """Raises ContainerNotFound."""

    async def list(self, pod_uid: str = "") -> list[ContainerStatus]:
        """All containers, or those of one pod, in order of creation."""

    async def exec_sync(
        self, container_id: str, argv: Sequence[str], *, timeout_seconds: float = 0, output_limit_bytes: int = 16 << 20
    ) -> ExecResult:
        """Run a program in a running container to its end.  timeout 0 = none."""

    async def exec(self, container_id: str, request: ExecRequest) -> Streams:
        """Start a program in a running container, its streams in the caller's hands; it ends with them."""

    async def attach(self, container_id: str) -> Streams:
        """The streams of a running container's own program; closing them leaves it running."""

    async def wait(self, container_id: str) -> ContainerStatus:
        """Returns once the container has exited (at once if it has)."""

    def on_exit(self, listener: ExitListener) -> Callable[[], None]:
        """Call listener(status) after every exit, in the event loop; returns the function that unsubscribes."""
