"""The two ports: taking connections, counting them, and letting go of them.

What must stay true: a client or all of them together can hold only so many connections; stopping closes what is idle at
once and gives what is under way its time.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

from nodeagent.ingress.connection import ClientConnection, Serving

_log = logging.getLogger(__name__)
BACKLOG = 1024


class Listener:
    """`start`, `stop`; the ports are known after `start` (0: any)."""

    def __init__(self, serving: Serving, address: str, http_port: int, https_port: int) -> None:
        self._serving, self._address = serving, address
        self.http_port, self.https_port = http_port, https_port
        self._servers: list[asyncio.Server] = []
        self._open: dict[asyncio.Task[None], ClientConnection] = {}
        self._clients: Counter[str] = Counter()

    async def start(self) -> None:
        """Raises OSError when a port is taken; then nothing listens."""
        limits = self._serving.limits
        options = {"limit": limits.head_bytes, "backlog": BACKLOG, "reuse_address": True}
        host = self._address or None
        try:
            plain = await asyncio.start_server(self._connected, host, self.http_port, **options)
            self._servers.append(plain)
            secure = await asyncio.start_server(
                self._connected,
                host,
                self.https_port,
                ssl=self._serving.certificates.base,
                ssl_handshake_timeout=limits.handshake_seconds,
                ssl_shutdown_timeout=limits.handshake_seconds,
                **options,
            )
            self._servers.append(secure)
        except OSError:
            await self.stop()
            raise
        self.http_port, self.https_port = (one.sockets[0].getsockname()[1] for one in self._servers)
        self._serving.https_port = self.https_port

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = ClientConnection(self._serving, reader, writer)
        task, client, limits = asyncio.current_task(), connection.client, self._serving.limits
        assert task is not None
        if len(self._open) >= limits.connections or self._clients[client] >= limits.connections_per_client:
            connection.abort()
            return
        self._open[task] = connection
        self._clients[client] += 1
        self._serving.metrics.connections.inc()
        try:
            await connection.run()
        except asyncio.CancelledError:
            connection.abort()
        except Exception:
            _log.exception("a connection failed")
            connection.abort()
        finally:
            del self._open[task]
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]
            self._serving.metrics.connections.dec()

    async def stop(self) -> None:
        """No new connections; what is under way may end within `drain_seconds`."""
        self._serving.stopping = True
        for server in self._servers:
            server.close()
        self._servers = []
        for connection in self._open.values():
            if not connection.busy:
                connection.abort()
        if self._open:
            await asyncio.wait(set(self._open), timeout=self._serving.limits.drain_seconds)
        for task in self._open:
            task.cancel()
        if self._open:
            await asyncio.wait(set(self._open))
        self._serving.stopping = False
