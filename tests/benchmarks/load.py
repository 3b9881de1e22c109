"""A lean HTTP client that puts load on the API server: raw HTTP/1.1 over kept TLS connections, nothing decoded.

What must stay true: the client is not what is measured; `Load.client_share` says how busy it was.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.benchmarks.meter import cpu_seconds

Request = tuple[str, str, bytes]  # method, path, body


@dataclass(frozen=True)
class Load:
    """What `drive` saw: requests per second, latencies in milliseconds, CPU per request, the client's CPU share."""

    rate: float
    p50_ms: float
    p99_ms: float
    server_cpu_ms: float
    client_share: float


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class Endpoint:
    """Where the API server is, and who we are to it."""

    def __init__(self, pki: Path, port: int = 6443) -> None:
        self.port = port
        self.context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self.context.load_cert_chain(pki / "admin.crt", pki / "admin.key")

    async def connect(self) -> Connection:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.context, limit=1 << 20)
        return Connection(reader, writer)


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def send(self, method: str, path: str, body: bytes = b"") -> bytes:
        """The answer's body.  Raises ValueError with it when the status is 300 or more."""
        status, length = await self._ask(method, path, body)
        answer = await self._reader.readexactly(length) if length >= 0 else b"".join([c async for c in self._chunks()])
        if status >= 300:
            raise ValueError(f"{method} {path}: {status} {answer[:500]!r}")
        return answer

    async def lines(self, path: str) -> AsyncIterator[bytes]:
        """The lines of a watch, until it ends."""
        status, _ = await self._ask("GET", path, b"")
        if status != 200:
            raise ValueError(f"GET {path}: {status}")
        rest = b""
        async for chunk in self._chunks():
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield line

    async def _ask(self, method: str, path: str, body: bytes) -> tuple[int, int]:
        kind = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
        if body:
            head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        self._writer.write(head.encode() + b"\r\n" + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        where = answer.find(b"content-length:")
        return int(answer[9:12]), int(answer[where + 15 : answer.find(b"\r", where)]) if where >= 0 else -1

    async def _chunks(self) -> AsyncIterator[bytes]:
        while size := int((await self._reader.readline()).strip(), 16):
            yield await self._reader.readexactly(size)
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)


async def drive(endpoint: Endpoint, server: int, clients: int, total: int, make: Callable[[int], Request]) -> Load:
    """Send `make(0)` to `make(total - 1)` through `clients` connections; `server` is the API server's process."""
    connections = [await endpoint.connect() for _ in range(clients)]
    numbers = iter(range(total))
    times: list[float] = []

    async def client(connection: Connection) -> None:
        for number in numbers:
            request = make(number)
            begin = time.perf_counter()
            await connection.send(*request)
            times.append((time.perf_counter() - begin) * 1e3)

    before, own, begin = cpu_seconds([server]), time.process_time(), time.perf_counter()
    await asyncio.gather(*(client(connection) for connection in connections))
    elapsed = time.perf_counter() - begin
    used = cpu_seconds([server]) - before
    share = (time.process_time() - own) / elapsed
    for connection in connections:
        await connection.__aexit__()
    return Load(total / elapsed, percentile(times, 0.5), percentile(times, 0.99), used / total * 1e3, share)
