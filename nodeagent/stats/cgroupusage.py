"""What the kernel counted for one cgroup, v1 or v2, as one value.

The parsers are pure and take the files' texts.  What must stay true: a cgroup that is gone is None, never zeros; a
counter the kernel does not offer is None, so that nobody shows an invented zero.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from nodeagent.runtime.cgroups import Cgroups

_UNLIMITED = 1 << 62  # v1 says "no limit" with a number near 2**63


@dataclass(frozen=True, slots=True)
class DeviceIo:
    """Of one block device, "MAJOR:MINOR"."""

    read_bytes: int = 0
    write_bytes: int = 0
    reads: int = 0
    writes: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """Counters since the cgroup was made, and amounts now; bytes, nanoseconds.  None: the kernel does not say."""

    cpu_ns: int | None = None
    cpu_user_ns: int | None = None
    cpu_system_ns: int | None = None
    periods: int = 0
    throttled_periods: int = 0
    throttled_ns: int = 0
    memory_bytes: int = 0
    working_set_bytes: int = 0
    rss_bytes: int = 0
    cache_bytes: int = 0
    mapped_bytes: int = 0
    swap_bytes: int = 0
    memory_limit_bytes: int = 0  # 0: none
    page_faults: int = 0
    major_page_faults: int = 0
    memory_failures: int = 0  # how often the limit was hit
    oom_kills: int = 0
    processes: int | None = None
    process_limit: int = 0  # 0: none
    io: Mapping[str, DeviceIo] | None = None


def numbers(text: str) -> dict[str, int]:
    """Lines of "name number"."""
    found = {}
    for line in text.splitlines():
        name, _, number = line.partition(" ")
        if number.isdigit():
            found[name] = int(number)
    return found


def io_v2(text: str) -> dict[str, DeviceIo]:
    """io.stat: "8:0 rbytes=1 wbytes=2 rios=3 wios=4 ..."."""
    found = {}
    for line in text.splitlines():
        device, *words = line.split()
        count = {name: int(number) for name, _, number in (word.partition("=") for word in words) if number.isdigit()}
        found[device] = DeviceIo(
            count.get("rbytes", 0), count.get("wbytes", 0), count.get("rios", 0), count.get("wios", 0)
        )
    return found


def io_v1(bytes_text: str, times_text: str) -> dict[str, DeviceIo]:
    """blkio.throttle.io_service_bytes and io_serviced: "8:0 Read 4096"."""
    sizes, times = _by_device(bytes_text), _by_device(times_text)
    return {
        device: DeviceIo(
            sizes.get(device, {}).get("Read", 0),
            sizes.get(device, {}).get("Write", 0),
            times.get(device, {}).get("Read", 0),
            times.get(device, {}).get("Write", 0),
        )
        for device in {*sizes, *times}
    }


def _by_device(text: str) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[2].isdigit():
            found.setdefault(words[0], {})[words[1]] = int(words[2])
    return found


def usage_v2(files: Mapping[str, str]) -> Usage:
    """From the texts of cpu.stat, memory.current, memory.stat, ... by name; absent files count nothing."""
    cpu, stat, events = (numbers(files.get(name, "")) for name in ("cpu.stat", "memory.stat", "memory.events"))
    used = _number(files.get("memory.current", ""))
    return Usage(
        cpu_ns=_micro(cpu, "usage_usec"),
        cpu_user_ns=_micro(cpu, "user_usec"),
        cpu_system_ns=_micro(cpu, "system_usec"),
        periods=cpu.get("nr_periods", 0),
        throttled_periods=cpu.get("nr_throttled", 0),
        throttled_ns=cpu.get("throttled_usec", 0) * 1000,
        memory_bytes=used,
        working_set_bytes=max(0, used - stat.get("inactive_file", 0)),
        rss_bytes=stat.get("anon", 0),
        cache_bytes=stat.get("file", 0),
        mapped_bytes=stat.get("file_mapped", 0),
        swap_bytes=_number(files.get("memory.swap.current", "")),
        memory_limit_bytes=_number(files.get("memory.max", "")),
        page_faults=stat.get("pgfault", 0),
        major_page_faults=stat.get("pgmajfault", 0),
        memory_failures=events.get("max", 0),
        oom_kills=events.get("oom_kill", 0),
        processes=_number(files["pids.current"]) if files.get("pids.current") else None,
        process_limit=_number(files.get("pids.max", "")),
        io=io_v2(files["io.stat"]) if "io.stat" in files else None,
    )


def usage_v1(files: Mapping[str, str]) -> Usage:
    """From the texts of the v1 controllers' files by name; absent files count nothing."""
    stat, cpu = numbers(files.get("memory.stat", "")), numbers(files.get("cpu.stat", ""))
    used = _number(files.get("memory.usage_in_bytes", ""))
    limit = _number(files.get("memory.limit_in_bytes", ""))
    return Usage(
        cpu_ns=_optional(files.get("cpuacct.usage", "")),
        cpu_user_ns=_optional(files.get("cpuacct.usage_user", "")),
        cpu_system_ns=_optional(files.get("cpuacct.usage_sys", "")),
        periods=cpu.get("nr_periods", 0),
        throttled_periods=cpu.get("nr_throttled", 0),
        throttled_ns=cpu.get("throttled_time", 0),
        memory_bytes=used,
        working_set_bytes=max(0, used - stat.get("total_inactive_file", 0)),
        rss_bytes=stat.get("total_rss", 0),
        cache_bytes=stat.get("total_cache", 0),
        mapped_bytes=stat.get("total_mapped_file", 0),
        swap_bytes=stat.get("total_swap", 0),
        memory_limit_bytes=limit if limit < _UNLIMITED else 0,
        page_faults=stat.get("total_pgfault", 0),
        major_page_faults=stat.get("total_pgmajfault", 0),
        memory_failures=_number(files.get("memory.failcnt", "")),
        oom_kills=numbers(files.get("memory.oom_control", "")).get("oom_kill", 0),
        processes=_optional(files.get("pids.current", "")),
        process_limit=_number(files.get("pids.max", "")),
        io=io_v1(files["blkio.throttle.io_service_bytes"], files.get("blkio.throttle.io_serviced", ""))
        if "blkio.throttle.io_service_bytes" in files
        else None,
    )


_V2 = (
    *("cpu.stat", "memory.current", "memory.stat", "memory.swap.current", "memory.max"),
    *("memory.events", "pids.current", "pids.max", "io.stat"),
)
_V1 = {
    "memory": (
        *("memory.usage_in_bytes", "memory.stat", "memory.limit_in_bytes"),
        *("memory.failcnt", "memory.oom_control"),
    ),
    "cpuacct": ("cpuacct.usage", "cpuacct.usage_user", "cpuacct.usage_sys"),
    "cpu": ("cpu.stat",),
    "pids": ("pids.current", "pids.max"),
    "blkio": ("blkio.throttle.io_service_bytes", "blkio.throttle.io_serviced"),
}
_LEAN_V2 = (*_V2[:5], "pids.current")
_LEAN_V1 = {"memory": _V1["memory"][:3], "cpuacct": _V1["cpuacct"][:1], "pids": _V1["pids"][:1]}
_LONGEST_BYTES = 65536


def read_usage(cgroups: Cgroups, path: str, *, lean: bool = False) -> Usage | None:
    """What the cgroup `path` (as of Cgroups.pod_path) uses; None when it is gone.  `lean`: only CPU time, memory
    and processes."""
    files: dict[str, str] = {}
    if cgroups.v2:
        directory = str(cgroups.directory(path))
        for name in _LEAN_V2 if lean else _V2:
            _read(directory, name, files)
        return usage_v2(files) if "memory.current" in files or "cpu.stat" in files else None
    for controller, names in (_LEAN_V1 if lean else _V1).items():
        try:
            directory = str(cgroups.directory(path, controller))
        except KeyError:
            continue  # this machine does not have it
        for name in names:
            if not _read(directory, name, files):
                break
    return usage_v1(files) if "memory.stat" in files or "cpuacct.usage" in files else None


def _read(directory: str, name: str, into: dict[str, str]) -> bool:
    """By bare system calls: thousands of these files are read for one page."""
    try:
        fd = os.open(f"{directory}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        into[name] = os.read(fd, _LONGEST_BYTES).decode("ascii", "replace")
        return True
    except OSError:
        return False
    finally:
        os.close(fd)


def _number(text: str) -> int:
    text = text.strip()
    return int(text) if text.isdigit() else 0


def _optional(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isdigit() else None


def _micro(counts: Mapping[str, int], name: str) -> int | None:
    return counts[name] * 1000 if name in counts else None
