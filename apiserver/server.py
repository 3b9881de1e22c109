"""The HTTPS server: TLS, the ordered list of filters, and the bridge between aiohttp and our requests.

What must stay true: `filters` is the whole request chain in its order; only this module knows aiohttp.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

from apiserver.encoding import compress, status_response
from apiserver.request import Handler, Request, StreamingResponse
from apiserver.requestinfo import Query, parse_request_info
from tiphys.api.json_body import BODY_LIMIT_BYTES
from tiphys.api.status import StatusError
from tiphys.logs import fields

_log = logging.getLogger(__name__)
_NO_QUERY: Query = {}
_STANDARD_HEADERS = {"Cache-Control": "no-cache, private"}
SHUTDOWN_SECONDS = 2.0


def tls_context(certificate: Path, key: Path, client_ca: Path) -> ssl.SSLContext:
    """Server TLS; a client certificate is optional, one that is shown must be the cluster CA's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(client_ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context


class HttpServer:
    """Serves `handler` until `close`."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._runner: web.ServerRunner | None = None

    async def start(self, host: str, port: int, context: ssl.SSLContext | None) -> int:
        """Listen; returns the port (port 0 asks for a free one).  Raises OSError."""
        server = web.Server(
            self._serve,
            request_factory=_make_request,
            handler_cancellation=True,
            keepalive_timeout=600,
            tcp_keepalive=True,
            access_log=None,
        )
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=SHUTDOWN_SECONDS)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, ssl_context=context, backlog=1024, reuse_address=True)
        await site.start()
        listener: Any = site._server
        return int(listener.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self._runner is not None:
            self._runner._shutdown_timeout = SHUTDOWN_SECONDS
            await self._runner.cleanup()

    async def _serve(self, http: web.BaseRequest) -> web.StreamResponse:
        request = None
        try:
            request = _translate(http)
            response = await self._handler(request)
        except StatusError as error:
            response = status_response(error)
        if isinstance(response, StreamingResponse):
            return await _stream(http, response)
        if request is not None:
            await compress(request, response)
        headers = {**_STANDARD_HEADERS, **response.headers, "Content-Type": response.content_type}
        if http.method == "HEAD":
            headers["Content-Length"] = str(len(response.body))
            return web.Response(status=response.status, headers=headers)
        return web.Response(status=response.status, body=response.body, headers=headers)


def _make_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    return web.BaseRequest(
        message, payload, protocol, writer, task, asyncio.get_running_loop(), client_max_size=BODY_LIMIT_BYTES
    )


def _translate(http: web.BaseRequest) -> Request:
    """Raises StatusError for a path or method we do not serve."""
    raw_path, _, raw_query = http.raw_path.partition("?")
    query = parse_query(raw_query) if raw_query else _NO_QUERY
    info = parse_request_info(http.method, raw_path, query)
    transport = http.transport
    peer: Mapping[str, Any] | None = transport.get_extra_info("peercert") if transport is not None else None

    async def read_body() -> bytes:
        try:
            if http.headers.get("Expect", "").lower() == "100-continue":
                await http.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return await http.read()
        except web.HTTPRequestEntityTooLarge:
            text = f"Request entity too large: limit is {BODY_LIMIT_BYTES}"
            raise StatusError(413, "RequestEntityTooLarge", text, details={}) from None

    return Request(http.method, info, query, http.headers, read_body, peer)


def parse_query(text: str) -> Query:
    try:
        return parse_qs(text, keep_blank_values=True, max_num_fields=200, errors="strict")
    except (ValueError, UnicodeDecodeError) as error:
        raise StatusError(400, "BadRequest", f"invalid query: {error}") from None


async def _stream(http: web.BaseRequest, response: StreamingResponse) -> web.StreamResponse:
    headers = {**_STANDARD_HEADERS, **response.headers, "Content-Type": response.content_type}
    out = web.StreamResponse(status=response.status, headers=headers)
    out.enable_chunked_encoding()
    chunks: Any = response.chunks
    async with aclosing(chunks):
        await out.prepare(http)
        try:
            async for chunk in chunks:
                if chunk:
                    await out.write(chunk)
        except (ConnectionResetError, BrokenPipeError):
            return out
        except StatusError as error:  # too late for a status line: the stream just ends
            _log.info("stream ended early", extra=fields(path=http.path, reason=error.message))
    await out.write_eof()
    return out
