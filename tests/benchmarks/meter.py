"""What processes cost: CPU seconds and proportional memory from /proc; and the pressure that other work puts on us."""

from __future__ import annotations

import os
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


def cpu_pressure() -> float:
    """Percent of the last ten seconds in which something had to wait for a CPU; above 30 wall times mean little."""
    try:
        words = Path("/proc/pressure/cpu").read_text().split()
    except OSError:
        return float("nan")
    return float(words[1].partition("=")[2])


def drop_caches() -> bool:
    """Forget cached file contents, so that the next start reads from disk; False where that is not allowed."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError:
        return False
    return True
