"""What the whole node uses: CPU, memory, network, processes, file systems, swap.  Reads /proc and asks statvfs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from nodeagent.machine import meminfo

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class FileSystem:
    """Bytes and inodes of one file system; inodes are 0 where it does not count them.  What is neither used nor
    available is kept for root."""

    capacity_bytes: int
    available_bytes: int
    inodes: int
    inodes_free: int
    used_bytes: int = 0

    @property
    def inodes_used(self) -> int:
        return self.inodes - self.inodes_free


@dataclass(frozen=True, slots=True)
class Interface:
    """Counters of one network interface since it was made."""

    name: str
    received_bytes: int = 0
    received_packets: int = 0
    received_errors: int = 0
    received_dropped: int = 0
    sent_bytes: int = 0
    sent_packets: int = 0
    sent_errors: int = 0
    sent_dropped: int = 0


@dataclass(frozen=True, slots=True)
class MachineMemory:
    """As the kubelet reckons it for the root of the cgroups."""

    total_bytes: int
    available_bytes: int
    usage_bytes: int
    working_set_bytes: int
    rss_bytes: int
    cache_bytes: int
    page_faults: int
    major_page_faults: int
    swap_total_bytes: int
    swap_free_bytes: int


@dataclass(frozen=True, slots=True)
class Processes:
    """How many processes (threads, as the kernel counts them) run, and how many may."""

    running: int
    most: int


def file_system(path: Path) -> FileSystem:
    """Raises OSError."""
    found = os.statvfs(path)
    block = found.f_frsize
    used = (found.f_blocks - found.f_bfree) * block
    return FileSystem(found.f_blocks * block, found.f_bavail * block, found.f_files, found.f_favail, used)


def interfaces(text: str) -> list[Interface]:
    """The text of /proc/net/dev, without the loopback."""
    found = []
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        words = rest.split()
        if name.strip() != "lo" and len(words) >= 12:
            count = [int(word) for word in words]
            found.append(Interface(name.strip(), *count[0:4], *count[8:12]))
    return found


def interfaces_of(pid: int | str) -> list[Interface]:
    """Of the network namespace that the process is in; nothing when it is gone."""
    try:
        return interfaces(Path(f"/proc/{pid}/net/dev").read_text())
    except OSError:
        return []


def cpu_ns() -> int:
    """CPU time spent by the whole machine since it started, without idling and without waiting."""
    with Path("/proc/stat").open() as file:
        words = [int(word) for word in file.readline().split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = words
    return (user + nice + system + irq + softirq + steal) * 10**9 // _TICKS


def memory() -> MachineMemory:
    """Usage is what is not free; the working set leaves out pages that can be dropped at once."""
    found = meminfo()
    total, free = found["MemTotal"], found["MemFree"]
    # Upstream counts all of the active page cache as taken; where the kernel knows better we believe the kernel.
    available = min(total, max(free + found.get("Inactive(file)", 0), found.get("MemAvailable", 0)))
    faults = _vmstat()
    return MachineMemory(
        total_bytes=total,
        available_bytes=available,
        usage_bytes=total - free,
        working_set_bytes=total - available,
        rss_bytes=found.get("AnonPages", 0),
        cache_bytes=found.get("Cached", 0),
        page_faults=faults.get("pgfault", 0),
        major_page_faults=faults.get("pgmajfault", 0),
        swap_total_bytes=found.get("SwapTotal", 0),
        swap_free_bytes=found.get("SwapFree", 0),
    )


def processes() -> Processes:
    """As /proc/loadavg and the kernel's limits say."""
    running = Path("/proc/loadavg").read_text().split()[3].partition("/")[2]
    most = min(int(Path(f"/proc/sys/kernel/{name}").read_text()) for name in ("pid_max", "threads-max"))
    return Processes(int(running), most)


def boot_seconds() -> float:
    """When the machine started, in seconds since the epoch."""
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0


def _vmstat() -> dict[str, int]:
    found = {}
    for line in Path("/proc/vmstat").read_text().splitlines():
        name, _, number = line.partition(" ")
        if name in ("pgfault", "pgmajfault"):
            found[name] = int(number)
    return found
