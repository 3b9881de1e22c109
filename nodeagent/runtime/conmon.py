"""Starting conmon, and the protocol on its sync pipe.

conmon forks into the background, runs the OCI runtime's `create`, and writes one JSON line to the descriptor named by
_OCI_SYNCPIPE: {"data": PID}, or {"data": -1, "message": TEXT} with the OCI runtime's error.  From then on it holds the
container's standard streams, writes the log in CRI format, and at the end puts the exit code into the exit directory.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import orjson

from nodeagent.runtime.interface import ContainerSpec, NotExecutable, RuntimeFailure
from nodeagent.runtime.process import wait_exit
from nodeagent.runtime.records import Layout, Record

_MESSAGE_LIMIT_BYTES = 64 << 10
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
_NOT_EXECUTABLE = re.compile(
    r"executable file .* not found|open executable|exec(ve)?[ :`'].*(Permission denied|Exec format error|No such file)"
    r"|exec format error|executable path",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Programs:
    """Absolute paths of the programs."""

    conmon: str
    oci: str  # crun, or runc


async def create(
    programs: Programs, layout: Layout, record: Record, spec: ContainerSpec, *, timeout_seconds: float = 60
) -> int:
    """Create the container of the bundle in `record.directory`; returns the pid of its first process.

    Raises RuntimeFailure with the OCI runtime's words.  conmon may still be alive then: the caller cleans.
    """
    read_end, write_end = os.pipe()
    errors = record.directory / "conmon.stderr"
    try:
        with errors.open("wb") as stderr:
            child = subprocess.Popen(  # noqa: ASYNC220 - a vfork; waiting is asynchronous
                _arguments(programs, layout, record, spec),
                env={**_ENVIRONMENT, "_OCI_SYNCPIPE": str(write_end)},
                pass_fds=[write_end],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                cwd="/",
                start_new_session=True,
            )
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    try:
        async with asyncio.timeout(timeout_seconds):
            answer = await _read_line(read_end)
    except TimeoutError:
        child.kill()
        raise RuntimeFailure(f"creating the container timed out after {timeout_seconds:g} s") from None
    finally:
        os.close(read_end)
        await wait_exit(child.pid)  # only the foreground half; it ends as soon as it has forked
        child.wait()
    return _pid(answer, errors)


def _arguments(programs: Programs, layout: Layout, record: Record, spec: ContainerSpec) -> list[str]:
    directory = str(record.directory)
    arguments = [
        *(programs.conmon, "--api-version", "1", "-c", spec.id, "-u", spec.id, "-n", spec.id),
        *("-r", programs.oci, "--runtime-arg", f"--root={layout.oci}", "-b", directory),
        *("-p", f"{directory}/pid", "-P", f"{directory}/conmon.pid", "--exit-dir", str(layout.exits)),
        *("-l", f"k8s-file:{spec.log_path}", "--no-sync-log", "--full-attach", "--log-level", "error"),
    ]
    if spec.terminal:
        arguments.append("-t")
    if spec.stdin:
        arguments.append("-i")
        if not spec.stdin_once:
            arguments.append("--leave-stdin-open")
    return arguments


async def _read_line(fd: int) -> bytes:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    os.set_blocking(fd, False)
    loop.add_reader(fd, readable.set)
    data = b""
    try:
        while b"\n" not in data and len(data) < _MESSAGE_LIMIT_BYTES:
            await readable.wait()
            readable.clear()
            try:
                chunk = os.read(fd, 8192)
            except BlockingIOError:
                continue
            if not chunk:
                break
            data += chunk
    finally:
        loop.remove_reader(fd)
    return data


def _pid(answer: bytes, errors: Path) -> int:
    try:
        decoded = orjson.loads(answer)
        pid = int(decoded["data"])
    except (ValueError, KeyError, TypeError):
        text = errors.read_bytes()[:_MESSAGE_LIMIT_BYTES].decode("utf-8", "replace")
        raise failure(text or "conmon ended without an answer") from None
    if pid <= 0:
        raise failure(str(decoded.get("message") or f"the OCI runtime failed with code {pid}"))
    return pid


def failure(text: str) -> RuntimeFailure:
    """The OCI runtime's words as one line, in the class that says whose fault it is."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    message = "; ".join(line.removeprefix("error: ") for line in lines)[:2048] or "unknown error"
    kind = NotExecutable if _NOT_EXECUTABLE.search(message) else RuntimeFailure
    return kind(message)
