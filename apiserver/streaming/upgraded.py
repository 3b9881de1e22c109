"""The client's side of an upgraded connection: aiohttp's protocol taken over as a plain stream of bytes.

What must stay true: at most some 128 KiB of what the client sends are held while nobody reads them, and a write waits
for the client.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from apiserver.request import UpgradeResponse

_BUFFER_BYTES = 64 << 10
_FLUSH_SECONDS = 30.0  # for a client that has not read the end


class ClientStream:
    """See request.Duplex."""

    def __init__(self, http: web.BaseRequest) -> None:
        transport = http.transport
        if transport is None:
            raise ConnectionResetError("the client has gone")
        self._transport, self._protocol = transport, http.protocol
        self._reader = asyncio.StreamReader(limit=_BUFFER_BYTES)
        self._reader.set_transport(transport)

    def take(self) -> None:
        """From here on the connection's bytes come to `read`."""
        parser: Any = _Feed(self._reader)
        self._protocol.keep_alive(False)
        self._protocol.set_parser(parser)

    async def read(self) -> bytes:
        return await self._reader.read(_BUFFER_BYTES)

    async def write(self, data: bytes) -> None:
        if self._transport.is_closing():
            raise ConnectionResetError("the client has gone")
        self._transport.write(data)
        await self._protocol._drain_helper()

    def finish(self) -> None:
        """What is written is sent; a client that does not take it is cut off."""
        if not self._transport.is_closing():
            self._transport.close()
            asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self._transport.abort)


class _Feed:
    """What aiohttp calls a parser."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._reader.feed_data(data)
        return False, b""

    def feed_eof(self) -> None:
        self._reader.feed_eof()


async def serve_upgrade(http: web.BaseRequest, response: UpgradeResponse) -> web.StreamResponse:
    """Answer 101 and stay until the tunnel ends."""
    out = web.StreamResponse(status=response.status, headers=response.headers)
    out.force_close()
    try:
        client = ClientStream(http)
        await out.prepare(http)
        client.take()
        await response.run(client)
        client.finish()
    except ConnectionError:
        pass  # the client went before it was answered
    finally:
        response.close()
    return out
