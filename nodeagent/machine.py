"""What this machine is: the facts of Node.status that do not change while the agent runs, and the pressure it is under.

Reads /proc, /sys, /etc and the data directory's file system; nothing is written.
"""

from __future__ import annotations

import os
import platform
import socket
from dataclasses import dataclass
from pathlib import Path

KUBELET_VERSION = "v1.36.2"
RUNTIME_VERSION = "tiphys://0.1.0"
MAX_PODS = 110
EVICTION_MEMORY_BYTES = 100 << 20
EVICTION_DISK_PERCENT = 10

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

    def capacity(self) -> dict[str, str]:
        """Node.status.capacity."""
        return {
            "cpu": str(self.cpus),
            "ephemeral-storage": f"{self.disk_bytes >> 10}Ki",
            **{f"hugepages-{size}": "0" for size in self.huge_page_sizes},
            "memory": f"{self.memory_bytes >> 10}Ki",
            "pods": str(MAX_PODS),
        }

    def allocatable(self) -> dict[str, str]:
        """What is left after the eviction thresholds."""
        return {
            **self.capacity(),
            "ephemeral-storage": str(self.disk_bytes * (100 - EVICTION_DISK_PERCENT) // 100),
            "memory": f"{(self.memory_bytes - EVICTION_MEMORY_BYTES) >> 10}Ki",
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


def pressures(data_dir: Path) -> dict[str, bool]:
    """MemoryPressure, DiskPressure, PIDPressure by the kubelet's default thresholds."""
    disk = os.statvfs(data_dir)
    free_inodes = disk.f_files == 0 or disk.f_favail * 100 >= disk.f_files * 5
    pids = int(_text("/proc/sys/kernel/pid_max") or 0)
    running = int((_text("/proc/loadavg").split() or ["", "", "", "0/0"])[3].partition("/")[2] or 0)
    return {
        "MemoryPressure": meminfo().get("MemAvailable", EVICTION_MEMORY_BYTES) < EVICTION_MEMORY_BYTES,
        "DiskPressure": disk.f_bavail * 100 < disk.f_blocks * EVICTION_DISK_PERCENT or not free_inodes,
        "PIDPressure": bool(pids) and running >= pids,
    }


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
