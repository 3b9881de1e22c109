"""The process that holds a shared PID namespace: process 1 of a pod with `shareProcessNamespace`.

A PID namespace dies with its first process, so a bind mount alone cannot pin it.  Ours is a static program of some
200 bytes that ignores SIGCHLD (the kernel then reaps whatever is re-parented to it) and sleeps; it costs the node a few
pages.  It runs as the OCI runtime runs any container: own empty read-only root, no capabilities, the pod's cgroup.

What must stay true: nothing of the node is reachable through /proc/1 of the pod; the process is only believed to be
there while its namespace is the pinned one.
"""

from __future__ import annotations

import os
import platform
import signal
import struct
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from nodeagent.runtime import doors, syscalls
from nodeagent.runtime.interface import PodNamespaces, RuntimeFailure
from nodeagent.runtime.process import run, wait_exit

_ID = "pause"
_BASE = 0x400000
_SIGACTION_IGNORE = struct.pack("<QQQQ", 1, 0, 0, 0)  # handler SIG_IGN, no flags, no restorer, empty mask

# rt_sigaction(SIGCHLD, &ignore, NULL, 8); for (;;) pause();
_X86_64 = bytes.fromhex(
    "b80d000000 bf11000000 488d3513000000 31d2 41ba08000000 0f05"  # the structure is 0x13 bytes further on
    "b822000000 0f05 ebf7"
)
# The same with ppoll(NULL, 0, NULL, NULL): arm64 has no pause.
_AARCH64 = struct.pack(
    "<14I",
    *(0xD2800220, 0x100001A1, 0xD2800002, 0xD2800103, 0xD28010C8, 0xD4000001),
    *(0xD2800000, 0xD2800001, 0xD2800002, 0xD2800003, 0xD2800928, 0xD4000001, 0x17FFFFFA, 0xD503201F),
)
_MACHINES = {"x86_64": (62, _X86_64), "aarch64": (183, _AARCH64)}


def program(machine: str = "") -> bytes:
    """The static ELF executable for this kind of machine (or for `machine`, as of uname).  Raises RuntimeFailure."""
    name = machine or platform.machine()
    if name not in _MACHINES:
        raise RuntimeFailure(f"shareProcessNamespace is not supported on {name}")
    number, code = _MACHINES[name]
    body = code + _SIGACTION_IGNORE
    size = 64 + 56 + len(body)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, number, 1, _BASE + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x10000)  # one, to read and to execute
    return header + segment + body


async def start(oci: str, directory: Path, namespaces: PodNamespaces, cgroups_path: str) -> None:
    """Run the process below `directory`, in the pod's other namespaces, and pin its PID namespace at directory/pid.

    Raises RuntimeFailure; the caller then calls `stop`.
    """
    bundle = directory / "pause"
    root = bundle / "rootfs"
    for name in ("proc", "dev"):
        (root / name).mkdir(parents=True)
    file = root / "pause"
    file.write_bytes(program())
    file.chmod(0o555)
    if namespaces.user:
        doors.bind(str(root), doors.open_door(directory.name, namespaces.id_base) / "rootfs")
        root = doors.DOORS / directory.name / "rootfs"
    (bundle / "config.json").write_bytes(orjson.dumps(_config(root, namespaces, cgroups_path)))
    complaints = bundle / "log"
    words = [oci, f"--log={complaints}", f"--root={directory / 'oci'}", "run", "--detach", "--bundle", str(bundle)]
    child = subprocess.Popen(  # noqa: ASYNC220 - a vfork; waiting is asynchronous.  The process keeps these streams.
        [*words, "--pid-file", str(bundle / "pid"), _ID],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
    )
    await wait_exit(child.pid)
    code, pid = child.wait(), _pid(directory)
    if code != 0 or not pid:
        cause = complaints.read_text(errors="replace").strip()[:500] if complaints.exists() else f"exit code {code}"
        raise RuntimeFailure(f"starting the process that holds the PID namespace: {cause}")
    pin = directory / "pid"
    pin.touch(mode=0o600)
    syscalls.mount(f"/proc/{pid}/ns/pid", str(pin), "", syscalls.MS_BIND)


async def stop(oci: str, directory: Path) -> None:
    """End the process, and with it everything in its namespace.  Absent is fine."""
    if not (directory / "oci").is_dir():
        return
    if pid := holder(directory):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        await wait_exit(pid)
    await run([oci, f"--root={directory / 'oci'}", "delete", "--force", _ID], timeout_seconds=60)
    doors.close(directory.name)


def holder(directory: Path) -> int:
    """The pid of the process that holds the pinned namespace; 0 when it has ended."""
    pid = _pid(directory)
    try:
        same = pid and Path(f"/proc/{pid}/ns/pid").stat().st_ino == (directory / "pid").stat().st_ino
    except OSError:
        return 0
    return pid if same else 0


def _pid(directory: Path) -> int:
    try:
        return int((directory / "pause/pid").read_text())
    except (OSError, ValueError):
        return 0


def _config(root: Path, namespaces: PodNamespaces, cgroups_path: str) -> dict[str, Any]:
    pinned = [("network", namespaces.net), ("ipc", namespaces.ipc), ("uts", namespaces.uts), ("user", namespaces.user)]
    kinds: list[dict[str, str]] = [{"type": "pid"}, {"type": "mount"}]
    return {
        "ociVersion": "1.0.2",
        "root": {"path": str(root), "readonly": True},
        "process": {
            "args": ["/pause"],
            "cwd": "/",
            "user": {"uid": 0, "gid": 0},
            "capabilities": {},
            "noNewPrivileges": True,
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev", "ro"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "noexec", "size=64k"]},
        ],
        "linux": {
            "cgroupsPath": cgroups_path,
            "namespaces": [*kinds, *({"type": kind, "path": path} for kind, path in pinned if path)],
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        },
    }
