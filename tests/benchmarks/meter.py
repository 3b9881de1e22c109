"""What processes cost: CPU seconds and proportional memory from /proc; and how busy the machine is with other work."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time so far of these processes and the children they have waited for."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += sum(int(text) for text in fields[11:15])
    return total / _TICKS


def pss_mib(pid: int) -> float:
    """Proportional set size: shared pages are divided among those that share them."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no Pss of process {pid}")


def rss_mib(pid: int) -> float:
    """Resident memory now."""
    return _status_mib(pid, "VmRSS:")


def reset_peak_rss(pid: int) -> None:
    """`peak_rss_mib` begins anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_rss_mib(pid: int) -> float:
    """The most resident memory since `reset_peak_rss`."""
    return _status_mib(pid, "VmHWM:")


def _status_mib(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no {name} of process {pid}")


def busy_share(seconds: float = 1.0) -> float:
    """The share of all CPUs that is in use while we wait: what others do, when ours is idle."""
    before = _cpu_ticks()
    time.sleep(seconds)
    idle, total = (now - then for now, then in zip(_cpu_ticks(), before, strict=True))
    return 1 - idle / total if total else 0.0


def _cpu_ticks() -> tuple[int, int]:
    """(idle, all) ticks of all CPUs so far."""
    numbers = [int(text) for text in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return numbers[3] + numbers[4], sum(numbers)


def drop_caches() -> bool:
    """Forget cached file contents, so that the next start reads from disk; False where that is not allowed."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError:
        return False
    return True
