"""A server in its own process, so that what an attack costs it can be measured: time, memory, connections.

`Target` is a `Cluster` whose server is elsewhere; `raw` speaks bytes that no client library would send.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from apiserver.assembly import ApiServer
from tests.apiserver.cluster import Answer, Cluster, tls_of
from tiphys import pki
from tiphys.clock import SystemClock

START_SECONDS = 30.0
ROOT = Path(__file__).resolve().parents[3]
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
MIB = 1024 * 1024


class Target(Cluster):
    """A running server process, its memory and its log."""

    def __init__(self, data_dir: Path, port: int, process: asyncio.subprocess.Process, log: Path) -> None:
        super().__init__(data_dir, cast(ApiServer, SimpleNamespace(port=port)))
        self.process = process
        self.log = log

    def memory_bytes(self) -> int:
        """Resident memory now."""
        return self._status("VmRSS")

    def peak_bytes(self) -> int:
        """The most resident memory since `forget_peak`."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def _status(self, name: str) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {name} in /proc/{self.process.pid}/status")

    def cpu_seconds(self) -> float:
        """Processor time of the server so far: what an attack cost, whatever else the machine does."""
        text = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(text[11]) + int(text[12])) / os.sysconf("SC_CLK_TCK")

    async def timed(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[Answer, float]:
        """The answer and the processor seconds the server spent on it."""
        before = self.cpu_seconds()
        answer = await self.request(method, path, body, **more)
        return answer, self.cpu_seconds() - before

    @contextlib.asynccontextmanager
    async def connection(
        self, identity: str = "admin"
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        context = tls_of(self.data_dir / "pki", identity)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port, ssl=context, limit=16 * MIB)
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def raw(self, *parts: bytes, identity: str = "admin", seconds: float = 5.0) -> tuple[list[int], bytes, bool]:
        """Send bytes; (status codes of the answers, all bytes, whether the server closed within `seconds`)."""
        async with self.connection(identity) as (reader, writer):
            for part in parts:
                writer.write(part)
            received, closed = await self.received(reader, seconds)
        return statuses(received), received, closed

    async def received(self, reader: asyncio.StreamReader, seconds: float) -> tuple[bytes, bool]:
        received = b""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            left = deadline - asyncio.get_running_loop().time()
            try:
                chunk = await asyncio.wait_for(reader.read(65536), max(left, 0.01))
            except TimeoutError:
                return received, False
            except OSError:
                return received, True
            if not chunk:
                return received, True
            received += chunk

    async def healthy(self) -> None:
        """It still answers, and has answered nothing it should be ashamed of."""
        assert (await self.request("GET", "/readyz")).status == 200
        faults = [line for line in self.log.read_text().splitlines() if "Traceback" in line or "request failed" in line]
        assert not faults, faults


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def statuses(received: bytes) -> list[int]:
    """The codes of the HTTP answers in a stream of bytes."""
    return [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d\d\d) ", received)]


@contextlib.asynccontextmanager
async def running_target(data_dir: Path, flags: Sequence[str] = ()) -> AsyncIterator[Target]:
    """`python -m apiserver` on a data directory, stopped at the end."""
    identities = [*pki.cluster_identities(["127.0.0.1", "localhost"]), pki.node_identity("n1", ["127.0.0.1"])]
    pki.ensure(data_dir / "pki", identities, SystemClock())
    port, log = free_port(), data_dir / "apiserver.log"
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "apiserver",
            "--data-dir",
            str(data_dir),
            "--port",
            str(port),
            *flags,
            stderr=sink,
            cwd=ROOT,
        )
    target = Target(data_dir, port, process, log)
    try:
        deadline = time.monotonic() + START_SECONDS
        while " serving " not in log.read_text():
            assert process.returncode is None and time.monotonic() < deadline, log.read_text()
            await asyncio.sleep(0.05)
        yield target
    finally:
        for session in target.sessions.values():
            await session.close()
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()
