"""What this machine is: the facts of Node.status that do not change while the agent runs.

Reads /proc, /sys, /etc and the data directory's file system; nothing is written.
"""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

KUBELET_VERSION = "v1.36.2"
RUNTIME_VERSION = "tiphys://0.1.0"
MAX_PODS = 110

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


@dataclass(frozen=True)
class Machine:
    """Capacities in bytes; empty texts are unknown."""

    cpus: int
    memory_bytes: int
    disk_bytes: int
    architecture: str
    machine_id: str
    system_uuid: str
    boot_id: str
    kernel: str
    os_image: str
    huge_page_sizes: tuple[str, ...]  # "2Mi"
    max_pods: int = MAX_PODS
    reserved: Mapping[str, int] = field(default_factory=dict)  # not for pods: cpu in thousandths, the rest in bytes

    def capacity(self) -> dict[str, str]:
        """Node.status.capacity."""
        return {
            "cpu": str(self.cpus),
            "ephemeral-storage": f"{self.disk_bytes >> 10}Ki",
            **{f"hugepages-{size}": "0" for size in self.huge_page_sizes},
            "memory": f"{self.memory_bytes >> 10}Ki",
            "pods": str(self.max_pods),
        }

    def allocatable(self) -> dict[str, str]:
        """What is left for pods."""
        cpu = max(0, self.cpus * 1000 - self.reserved.get("cpu", 0))
        memory = max(0, self.memory_bytes - self.reserved.get("memory", 0))
        return {
            **self.capacity(),
            "cpu": str(cpu // 1000) if cpu % 1000 == 0 else f"{cpu}m",
            "ephemeral-storage": str(max(0, self.disk_bytes - self.reserved.get("ephemeral-storage", 0))),
            "memory": f"{memory >> 10}Ki",
        }

    def node_info(self) -> dict[str, str]:
        """Node.status.nodeInfo."""
        return {
            "architecture": self.architecture,
            "bootID": self.boot_id,
            "containerRuntimeVersion": RUNTIME_VERSION,
            "kernelVersion": self.kernel,
            "kubeProxyVersion": "",
            "kubeletVersion": KUBELET_VERSION,
            "machineID": self.machine_id,
            "operatingSystem": "linux",
            "osImage": self.os_image,
            "systemUUID": self.system_uuid,
        }


def read_machine(data_dir: Path) -> Machine:
    """Look at this machine; `data_dir` is where ephemeral storage is."""
    disk = os.statvfs(data_dir)
    machine_id = _text("/etc/machine-id")
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=meminfo()["MemTotal"],
        disk_bytes=disk.f_blocks * disk.f_frsize,
        architecture=_ARCHITECTURES.get(platform.machine(), platform.machine()),
        machine_id=machine_id,
        system_uuid=_text("/sys/class/dmi/id/product_uuid") or machine_id,
        boot_id=_text("/proc/sys/kernel/random/boot_id"),
        kernel=platform.release(),
        os_image=_os_image(_text("/etc/os-release")),
        huge_page_sizes=_huge_page_sizes(),
    )


def meminfo() -> dict[str, int]:
    """/proc/meminfo in bytes."""
    result = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        result[name] = int(words[0]) * (1024 if len(words) > 1 else 1)
    return result


def default_address() -> str:
    """The address this machine uses towards others; 127.0.0.1 when it knows none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: asks the routing table
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _os_image(release: str) -> str:
    for line in release.splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "Linux"


def _huge_page_sizes() -> tuple[str, ...]:
    sizes = []
    for entry in sorted(Path("/sys/kernel/mm/hugepages").glob("hugepages-*kB")):
        kib = int(entry.name.removeprefix("hugepages-").removesuffix("kB"))
        sizes.append(f"{kib >> 20}Gi" if kib % (1 << 20) == 0 else f"{kib >> 10}Mi")
    return tuple(sizes)
