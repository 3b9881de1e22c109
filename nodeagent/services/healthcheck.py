"""Health-check node ports: tells a load balancer outside whether this node has an endpoint of a Service.

One small HTTP server per port, on all addresses; any path; 200 with local endpoints, 503 without, and in either case
upstream's JSON and the weight header.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from tiphys.logs import fields

_log = logging.getLogger(__name__)

REQUEST_SECONDS = 10.0
_HEAD_BYTES = 16 << 10


@dataclass(frozen=True, slots=True)
class Health:
    namespace: str
    name: str
    local_endpoints: int


def answer(health: Health, *, healthy: bool = True) -> tuple[int, bytes]:
    """(status, body)."""
    document = {
        "service": {"namespace": health.namespace, "name": health.name},
        "localEndpoints": health.local_endpoints,
        "serviceProxyHealthy": healthy,
    }
    status = 200 if health.local_endpoints and healthy else 503
    return status, json.dumps(document, indent="\t").encode()


class HealthChecks:
    """`sync` says which ports there are and what they answer."""

    def __init__(self) -> None:
        self._wanted: dict[int, Health] = {}
        self._servers: dict[int, asyncio.Server] = {}

    async def sync(self, wanted: Mapping[int, Health]) -> None:
        """A port that cannot be had is logged and tried again with the next sync."""
        self._wanted = dict(wanted)
        for port in set(self._servers) - set(wanted):
            await self._close(port)
        for port in set(wanted) - set(self._servers):
            try:
                serve = partial(self._serve, port)
                self._servers[port] = await asyncio.start_server(serve, port=port, limit=_HEAD_BYTES)
            except OSError as error:
                _log.warning("no health-check node port", extra=fields(port=port, cause=error))

    async def stop(self) -> None:
        for port in list(self._servers):
            await self._close(port)

    async def _close(self, port: int) -> None:
        self._servers.pop(port).close()

    async def _serve(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                health = self._wanted.get(port)
                if health is not None:
                    status, body = answer(health)
                    reason = "OK" if status == 200 else "Service Unavailable"
                    lines = (
                        f"HTTP/1.1 {status} {reason}",
                        "Content-Type: application/json",
                        "X-Content-Type-Options: nosniff",
                        f"X-Load-Balancing-Endpoint-Weight: {health.local_endpoints}",
                        f"Content-Length: {len(body)}",
                        "Connection: close",
                    )
                    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if head[:5] == b"HEAD " else body))
                    await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
