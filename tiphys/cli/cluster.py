"""Where a cluster of this machine lives: the files below its data directory, and the options it was started with."""

from __future__ import annotations

import fcntl
import hashlib
import ipaddress
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

DEFAULT_DATA_DIR = "/var/lib/tiphys"
CONTROLLERS_PORT, SCHEDULER_PORT = 10257, 10259  # where upstream's answer /metrics and /healthz
SERVICE_CIDR = "10.96.0.0/16"
CLUSTER_CIDR = "10.244.0.0/16"  # every node gets a part of it for its pods
CLUSTER_DOMAIN_HOSTS = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
FIRST_SERVICE_ADDRESS = "10.96.0.1"
DNS_ADDRESS = "10.96.0.10"
CLUSTER_DOMAIN = "cluster.local"


@dataclass(frozen=True, slots=True)
class Options:
    """What `tiphys up` was asked for; kept in DIR/options.json so that `status` and `down` need no flags."""

    data_dir: str
    store: str
    bind_address: str
    port: int
    node: bool
    fake_nodes: int
    node_name: str
    controllers_port: int = CONTROLLERS_PORT
    scheduler_port: int = SCHEDULER_PORT
    nodes: int = 1  # of this machine; all but the first are network namespaces
    segment: str = ""  # the network between them, when there are several
    registry_config: str = ""
    node_flags: str = ""  # for the node agents, as on a command line
    ingress: bool = True  # the built-in controller serves Ingresses
    node_ip: str = ""  # with `join`
    join: str = ""  # the API server's URL, on a machine that has joined a cluster elsewhere

    @property
    def node_names(self) -> list[str]:
        """The nodes of this machine: NAME, NAME-2, NAME-3 and so on."""
        if not self.node:
            return []
        return [self.node_name, *(f"{self.node_name}-{number}" for number in range(2, self.nodes + 1))]

    @property
    def server_url(self) -> str:
        """Where this machine reaches the API server."""
        if self.join:
            return self.join
        host = self.bind_address
        if ipaddress.ip_address(host).is_unspecified:
            host = "127.0.0.1"
        return f"https://[{host}]:{self.port}" if ":" in host else f"https://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one cluster."""

    root: Path

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def node(self) -> Path:
        return self.root / "node"

    def node_dir(self, number: int) -> Path:
        """The data of a node of this machine, counted from 1."""
        return self.node if number == 1 else self.root / f"node-{number}"

    def namespace(self, number: int) -> Path:
        """Where the network namespace of a node is pinned; the first is the machine's own."""
        return self.root / f"node-{number}.netns"

    def node_cgroup_root(self, number: int) -> str:
        return self.cgroup_root if number == 1 else f"{self.cgroup_root}-{number}"

    @property
    def lock(self) -> Path:
        return self.root / "supervisor.lock"

    @property
    def components(self) -> Path:
        """What the supervisor runs, as JSON: name -> {pid, restarts, started}."""
        return self.root / "components.json"

    @property
    def options(self) -> Path:
        return self.root / "options.json"

    @property
    def cgroup_root(self) -> str:
        """Clusters of one machine keep their containers apart: the default one in tiphys, others in tiphys-HASH."""
        if str(self.root) == DEFAULT_DATA_DIR:
            return "tiphys"
        return "tiphys-" + hashlib.sha256(str(self.root).encode()).hexdigest()[:8]

    def kubeconfig(self, identity: str) -> Path:
        return self.root / f"{identity}.kubeconfig"

    def make(self) -> None:
        for directory in (self.root, self.pki, self.logs, self.node):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def supervisor_pid(self) -> int | None:
        """The process that holds the lock, or None when no cluster runs here."""
        try:
            descriptor = os.open(self.lock, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.pread(descriptor, 32, 0).decode().strip()
            return int(text) if text else None
        finally:
            os.close(descriptor)
        return None

    def save_options(self, options: Options) -> None:
        self.options.write_text(json.dumps(asdict(options), indent=2) + "\n")

    def load_options(self) -> Options | None:
        try:
            return Options(**json.loads(self.options.read_text()))
        except (FileNotFoundError, TypeError, ValueError):
            return None

    def component_states(self) -> dict[str, dict[str, object]]:
        """What the supervisor last wrote: name -> {pid, restarts, lastExit}; empty when nothing runs."""
        try:
            states: dict[str, dict[str, object]] = json.loads(self.components.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return states

    def log_tail(self, name: str, lines: int = 8) -> list[str]:
        """The last lines of a component's log."""
        try:
            return (self.logs / f"{name}.log").read_text(errors="replace").splitlines()[-lines:]
        except FileNotFoundError:
            return []
