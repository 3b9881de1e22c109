"""A real API server for tests: in this process, on a free port of loopback, with its own store and certificates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from apiserver.assembly import ApiServer, Options
from tiphys import pki
from tiphys.client.config import ClientConfig
from tiphys.clock import SystemClock

DEADLINE_SECONDS = 20.0


def make_pki(directory: Path) -> Path:
    pki.ensure(directory, pki.cluster_identities(["localhost", "127.0.0.1"]), SystemClock())
    return directory


def config_of(pki_dir: Path, port: int, identity: str = "admin") -> ClientConfig:
    return ClientConfig(
        server=f"https://127.0.0.1:{port}",
        ca_data=(pki_dir / "ca.crt").read_bytes(),
        client_cert_data=(pki_dir / f"{identity}.crt").read_bytes(),
        client_key_data=(pki_dir / f"{identity}.key").read_bytes(),
    )


@asynccontextmanager
async def running_server(pki_dir: Path, data_dir: Path, port: int = 0) -> AsyncIterator[int]:
    """Yields the port; a second server on the same data directory goes on where the first ended."""
    server = ApiServer(Options(data_dir=data_dir, pki_dir=pki_dir, port=port), SystemClock())
    await server.start()
    try:
        yield server.port
    finally:
        await server.close()


async def eventually(condition: Callable[[], Awaitable[bool]], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    """Wait until `condition` holds; AssertionError naming `what` after the deadline."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not await condition():
        if loop.time() > end:
            raise AssertionError(f"not within {seconds} seconds: {what}")
        await asyncio.sleep(0.02)
