"""Running a program inside a running container to its end: probes and lifecycle hooks.

The program gets the container's identity, capabilities, seccomp and environment.  The OCI runtime's own errors go to a
log file, so that they are never mistaken for the program's output.
"""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import orjson

from nodeagent.runtime.conmon import failure
from nodeagent.runtime.container import Container, in_cgroup
from nodeagent.runtime.facts import NodeFacts
from nodeagent.runtime.interface import ExecResult
from nodeagent.runtime.process import run
from nodeagent.runtime.spec import process

_LOG_LIMIT_BYTES = 64 << 10


async def exec_sync(
    oci: Sequence[str],
    container: Container,
    facts: NodeFacts,
    argv: Sequence[str],
    *,
    timeout_seconds: float,
    limit_bytes: int,
) -> ExecResult:
    """Raises NotExecutable or RuntimeFailure if the program did not run at all."""
    stem = container.record.directory / f"exec-{secrets.token_hex(6)}"
    spec_file, pid_file, log_file = (stem.with_suffix(suffix) for suffix in (".json", ".pid", ".log"))
    spec_file.write_bytes(orjson.dumps(process(container.spec, facts, argv)))
    words = [oci[0], f"--log={log_file}", *oci[1:], "exec", "--process", str(spec_file), "--pid-file", str(pid_file)]
    try:
        done = await run(
            [*words, container.spec.id],
            timeout_seconds=timeout_seconds,
            output_limit_bytes=limit_bytes,
            on_timeout=lambda: _kill(pid_file, container.cgroups_path),
        )
        complaint = _read(log_file)
        if complaint and done.exit_code != 0 and not done.timed_out:
            raise failure(complaint)
        return ExecResult(done.exit_code, done.stdout, done.stderr, done.timed_out)
    finally:
        for file in (spec_file, pid_file, log_file):
            file.unlink(missing_ok=True)


def _kill(pid_file: Path, cgroups_path: str) -> None:
    """Killing the OCI runtime would leave the program behind."""
    with suppress(OSError, ValueError):
        pid = int(pid_file.read_text())
        if in_cgroup(pid, cgroups_path):
            os.kill(pid, signal.SIGKILL)


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return stream.read(_LOG_LIMIT_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
