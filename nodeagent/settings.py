"""The agent's settings: what its flags say, where things are below its data directory, and what `teardown` must know
later.

DIR/images  DIR/runtime  DIR/run/{sandboxes,network}  DIR/pods  DIR/local-path  DIR/logs  DIR/seccomp  DIR/agent.json
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson

from nodeagent.eviction.thresholds import EvictionConfig, parse_config
from nodeagent.garbagecollection.policy import ImagePolicy


@dataclass(frozen=True)
class Settings:
    """`data_dir` belongs to this agent alone."""

    data_dir: Path
    kubeconfig: str
    node_name: str
    node_ips: tuple[str, ...]
    pki_dir: Path
    tls_cert_file: Path
    tls_private_key_file: Path
    client_ca_file: Path
    bind_address: str = "0.0.0.0"
    port: int = 10250
    pod_cidr: str = "10.244.0.0/24"  # when the Node has none; "": wait until it has one
    cluster_cidr: str = "10.244.0.0/16"
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    dns_port: int = 53
    dns_upstreams: tuple[str, ...] = ()  # () = the name servers of this machine
    dns_stub_domains: tuple[str, ...] = ()  # "DOMAIN=SERVER,SERVER" each
    dns_stale_seconds: float = 3600.0  # how long old answers stand in for servers that are gone; 0: never
    bridge_name: str = "tiphys0"
    table_name: str = "tiphys"
    cgroup_root: str = "tiphys"
    request_certificate: bool = False  # the cluster signs the one that the server shows
    ingress: bool = True  # serve the Ingresses of class tiphys while there are any
    ingress_address: str = ""  # "": all addresses of the node
    ingress_http_port: int = 80
    ingress_https_port: int = 443
    ingress_metrics_port: int = 10254
    registry_config: Path | None = None
    image_network: Path | None = None  # namespace that registries are reached from, when it is not this one
    container_log_max_bytes: int = 10 << 20
    container_log_max_files: int = 5
    allowed_unsafe_sysctls: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    pod_manifest_path: Path | None = None  # directory of static pods
    max_pods: int = 110
    reserved: Mapping[str, int] = field(default_factory=dict)  # cpu in thousandths; memory, ephemeral-storage in bytes
    eviction: EvictionConfig = field(default_factory=parse_config)
    image_policy: ImagePolicy = field(default_factory=ImagePolicy)
    shutdown_periods: tuple[tuple[int, float], ...] = ()  # (priority, seconds) of a graceful shutdown; () = default

    @property
    def services_table_name(self) -> str:
        return services_table_name(self.table_name)

    @property
    def images_dir(self) -> Path:
        return self.data_dir / "images"

    @property
    def runtime_dir(self) -> Path:
        return self.data_dir / "runtime"

    @property
    def sandboxes_dir(self) -> Path:
        return self.data_dir / "run" / "sandboxes"

    @property
    def network_dir(self) -> Path:
        return self.data_dir / "run" / "network"

    @property
    def pods_dir(self) -> Path:
        return self.data_dir / "pods"

    @property
    def local_path_dir(self) -> Path:
        """The volumes of the built-in storage class: kept when everything else of the node is taken down."""
        return self.data_dir / "local-path"

    @property
    def logs_dir(self) -> Path:
        return self.data_dir / "logs"


def policies_table_name(table_name: str) -> str:
    """The nftables table of network policies."""
    return f"{table_name}-policies"


def services_table_name(table_name: str) -> str:
    """The nftables table of Services, beside the one of the pod network."""
    return f"{table_name}-services"


@dataclass(frozen=True)
class Footprint:
    """What this agent has made outside of its data directory; written before anything is made."""

    bridge_name: str
    table_name: str
    cgroup_root: str
    pod_cidr: str
    cluster_cidr: str

    @classmethod
    def of(cls, settings: Settings, pod_cidr: str) -> Footprint:
        return cls(settings.bridge_name, settings.table_name, settings.cgroup_root, pod_cidr, settings.cluster_cidr)

    @property
    def network(self) -> ipaddress.IPv4Network:
        return ipaddress.IPv4Network(self.pod_cidr)

    def write(self, data_dir: Path) -> None:
        """Replace DIR/agent.json."""
        temporary = data_dir / ".agent.json"
        temporary.write_bytes(orjson.dumps(asdict(self)))
        temporary.replace(data_dir / "agent.json")

    @classmethod
    def read(cls, data_dir: Path) -> Footprint | None:
        """None when there was never an agent here."""
        try:
            return cls(**orjson.loads((data_dir / "agent.json").read_bytes()))
        except FileNotFoundError:
            return None
