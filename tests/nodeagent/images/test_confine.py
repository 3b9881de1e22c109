"""The unpacking child: what it could no longer do if it were taken over."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_PROBE = """
import os, socket, sys, ctypes, mmap
from nodeagent.images.confine import confine
fd = os.open(sys.argv[1], os.O_RDONLY)
if sys.argv[2] == "confined":
    confine(fd, memory_bytes=1 << 30, file_bytes=1 << 20, cpu_seconds=60)
os.chdir("/")
try:
    {attempt}
    print("did it")
except (OSError, MemoryError) as error:
    print(type(error).__name__)
os._exit(0)
"""

ATTEMPTS = {
    "open a host file": "os.open('/proc/self/status', os.O_RDONLY)",
    "open a socket": "socket.socket(socket.AF_INET, socket.SOCK_STREAM)",
    "open a unix socket": "socket.socket(socket.AF_UNIX)",
    "start a program": "os.execv('/proc/self/exe', ['x', '-c', 'print(\\'did it\\')'])",
    "leave by chroot": "os.chroot('/')",
    "take much memory": "mmap.mmap(-1, 3 << 30)",
    "write a large file": "f = os.open('/tmp-confine-probe', os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600); "
    "os.unlink('/tmp-confine-probe'); os.ftruncate(f, 1 << 21)",
    "enter a namespace": "ctypes.CDLL(None).unshare(0x20000000) == 0 or (_ for _ in ()).throw(OSError())",
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_the_child_cannot(name: str, tmp_path: Path) -> None:
    def run(how: str) -> str:
        script = _PROBE.replace("{attempt}", ATTEMPTS[name])
        command = [sys.executable, "-c", script, tmp_path, how]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.strip()

    assert run("free") == "did it", "positive control: an unconfined child can"
    assert run("confined") in ("PermissionError", "FileNotFoundError", "OSError", "MemoryError")
