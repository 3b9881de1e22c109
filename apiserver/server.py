"""The HTTPS server: TLS, the ordered list of filters, and the bridge between aiohttp and our requests.

What must stay true: `filters` is the whole request chain in its order; only this module knows aiohttp.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError
from multidict import CIMultiDict

from apiserver.connection import HttpRequest, Server
from apiserver.encoding import compress, compress_stream, status_response
from apiserver.request import Handler, Request, StreamBroken, StreamingResponse, UpgradeResponse
from apiserver.requestinfo import Query, RequestInfo, parse_request_info
from apiserver.streaming.upgraded import serve_upgrade
from tiphys.api.json_body import BODY_LIMIT_BYTES
from tiphys.api.status import StatusError, bad_request
from tiphys.logs import fields

_log = logging.getLogger(__name__)
_NO_QUERY: Query = {}
_STANDARD_HEADERS = {"Cache-Control": "no-cache, private"}
SHUTDOWN_SECONDS = 2.0
IDLE_SECONDS = 90.0  # upstream's; also the time a client has for the headers of its first request
BODY_SECONDS = 30.0  # for a whole body: 3 MiB over a line of 1 Mbit/s
LINGER_SECONDS = 1.0  # to hear the rest of a body that was refused
LARGE_BYTES = 1024 * 1024  # an answer this long is sent in steps
LARGE_STEP_BYTES = 256 * 1024
TLS_BUFFER_BYTES = 32 * 1024  # two records; asyncio's 256 KiB would be most of what an open connection costs
LINE_LIMIT_BYTES = 128 * 1024  # of the URL: a selector of 64 KiB, escaped
FIELD_LIMIT_BYTES = 32 * 1024  # of one header: tokens


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

    def __init__(
        self, handler: Handler, *, idle_seconds: float = IDLE_SECONDS, body_seconds: float = BODY_SECONDS
    ) -> None:
        self._handler = handler
        self._idle_seconds = idle_seconds
        self._body_seconds = body_seconds
        self._runner: web.ServerRunner | None = None

    async def start(self, host: str, port: int, context: ssl.SSLContext | None) -> int:
        """Listen; returns the port (port 0 asks for a free one).  Raises OSError."""
        SSLProtocol.max_size = TLS_BUFFER_BYTES
        server = Server(
            self._serve,
            request_factory=_make_request,
            handler_cancellation=True,
            keepalive_timeout=self._idle_seconds,
            tcp_keepalive=True,
            access_log=None,
            logger=_http_log(),
            auto_decompress=False,
            lingering_time=LINGER_SECONDS,
            max_line_size=LINE_LIMIT_BYTES,
            max_field_size=FIELD_LIMIT_BYTES,
        )
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=SHUTDOWN_SECONDS)
        await self._runner.setup()
        hosts: Any = host.split(",") if "," in host else host
        site = web.TCPSite(self._runner, hosts, port, ssl_context=context, backlog=1024, reuse_address=True)
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
            request = _translate(http, self._body_seconds)
            response = await self._handler(request)
        except StatusError as error:
            response = status_response(error)
        if isinstance(response, StreamingResponse):
            return await _stream(http, compress_stream(request, response) if request is not None else response)
        if isinstance(response, UpgradeResponse):
            return await serve_upgrade(http, response)
        if request is not None:
            await compress(request, response)
        headers = {**_STANDARD_HEADERS, **response.headers, "Content-Type": response.content_type}
        body: bytes | None = response.body
        if http.method == "HEAD":
            headers["Content-Length"], body = str(len(response.body)), None
        elif len(response.body) >= LARGE_BYTES:
            return await _send_large(http, response.status, headers, response.body)
        answer = web.Response(status=response.status, body=body, headers=headers)
        if request is None or "Upgrade" in http.headers:
            # What we could not read leaves doubt about what follows it; after a refused upgrade nothing may follow.
            answer.force_close()
        return answer


def _make_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    return HttpRequest(
        message, payload, protocol, writer, task, asyncio.get_running_loop(), client_max_size=BODY_LIMIT_BYTES
    )


def _http_log() -> logging.Logger:
    """aiohttp's own log without the clients' broken HTTP, each of which would be a stack trace."""
    log = logging.getLogger("apiserver.http")
    if not log.filters:
        log.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], _CLIENT_FAULTS)))
    return log


_CLIENT_FAULTS = (HttpProcessingError, RequestPayloadError)


def _check_headers(headers: Mapping[str, str]) -> None:
    """Refuse what a proxy in front of us may read in another way, and bytes that are no text."""
    if not all(map(str.isascii, headers.values())):
        try:
            "".join(headers.values()).encode()
        except UnicodeEncodeError:
            raise bad_request("a header is not valid UTF-8") from None
    if headers.get("Transfer-Encoding", "chunked").lower() != "chunked":
        raise bad_request("unsupported transfer encoding")


def _check_encoding(info: RequestInfo, headers: Mapping[str, str]) -> None:
    """Only what a proxy passes on may be compressed."""
    if headers.get("Content-Encoding", "identity").lower() != "identity" and info.subresource != "proxy":
        raise StatusError(415, "UnsupportedMediaType", "compressed request bodies are not accepted", details={})


def _translate(http: web.BaseRequest, body_seconds: float) -> Request:
    """Raises StatusError for a path or method we do not serve."""
    _check_headers(http.headers)
    raw_path, _, raw_query = http.raw_path.partition("?")
    query = parse_query(raw_query) if raw_query else _NO_QUERY
    info = parse_request_info(http.method, raw_path, query)
    _check_encoding(info, http.headers)
    transport = http.transport
    peer: Mapping[str, Any] | None = transport.get_extra_info("peercert") if transport is not None else None

    async def read_body() -> bytes:
        try:
            if http.headers.get("Expect", "").lower() == "100-continue":
                await http.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if http.content.is_eof():  # all of it has come: nothing to wait for
                return await http.read()
            async with asyncio.timeout(body_seconds):
                return await http.read()
        except web.HTTPRequestEntityTooLarge:
            text = f"Request entity too large: limit is {BODY_LIMIT_BYTES}"
            raise StatusError(413, "RequestEntityTooLarge", text, details={}) from None
        except RequestPayloadError:
            raise bad_request("the request body is not well-formed HTTP") from None
        except TimeoutError:
            text = f"the request body did not arrive within {body_seconds:g} seconds"
            raise StatusError(408, "Timeout", text, details={}) from None

    def stream_body() -> AsyncIterator[bytes] | None:
        return _body(http) if http.body_exists else None

    return Request(
        http.method, info, query, http.headers, read_body, peer, raw_query=raw_query, stream_body=stream_body
    )


async def _body(http: web.BaseRequest) -> AsyncIterator[bytes]:
    if http.headers.get("Expect", "").lower() == "100-continue":
        await http.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    async for chunk in http.content.iter_any():
        yield chunk


def parse_query(text: str) -> Query:
    try:
        return parse_qs(text, keep_blank_values=True, max_num_fields=200, errors="strict")
    except (ValueError, UnicodeDecodeError) as error:
        raise StatusError(400, "BadRequest", f"invalid query: {error}") from None


async def _send_large(http: web.BaseRequest, status: int, headers: dict[str, str], body: bytes) -> web.StreamResponse:
    """A long answer, no faster than the client takes it: one copy in memory, and others have their turn meanwhile."""
    out = web.StreamResponse(status=status, headers=headers)
    out.content_length = len(body)
    view = memoryview(body)
    try:
        await out.prepare(http)
        for start in range(0, len(body), LARGE_STEP_BYTES):
            await out.write(view[start : start + LARGE_STEP_BYTES])
        await out.write_eof()
    except (ConnectionResetError, BrokenPipeError):
        pass  # it has gone
    return out


class _ChunkedWire:
    """A chunked answer's connection, without the layers that a write of `StreamResponse` goes through."""

    def __init__(self, http: web.BaseRequest) -> None:
        assert http.transport is not None
        self._transport: Any = http.transport
        self._protocol = http.protocol
        self._writer = http.writer

    def write(self, data: bytes) -> bool:
        if self._transport.is_closing():
            return False
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        return not self._protocol.writing_paused

    async def drain(self) -> None:
        if self._transport.is_closing():
            raise ConnectionResetError("the client has gone")
        await self._writer.drain()


async def _stream(http: web.BaseRequest, response: StreamingResponse) -> web.StreamResponse:
    headers = CIMultiDict({**_STANDARD_HEADERS, **response.headers})
    if response.content_type:
        headers["Content-Type"] = response.content_type
    for name in {name for name, _ in response.repeated}:
        headers.popall(name, None)
    headers.extend(response.repeated)
    out = web.StreamResponse(status=response.status, headers=headers)
    if "Content-Length" not in headers and http.method != "HEAD" and response.status not in (204, 304):
        out.enable_chunked_encoding()
    chunks: Any = response.chunks
    async with aclosing(chunks):
        try:
            await out.prepare(http)
            if http.method == "HEAD":  # a body here would be read as the start of the next answer
                await out.write_eof()
                return out
            async for chunk in chunks:
                if not isinstance(chunk, bytes):
                    await chunk.run(_ChunkedWire(http))
                elif chunk:
                    await out.write(chunk)
        except (ConnectionResetError, BrokenPipeError):
            return out
        except StreamBroken as error:
            _log.info("stream broke", extra=fields(path=http.path, reason=error))
            if http.transport is not None:
                http.transport.abort()
            return out
        except StatusError as error:  # too late for a status line: the stream just ends
            _log.info("stream ended early", extra=fields(path=http.path, reason=error.message))
    await out.write_eof()
    return out
