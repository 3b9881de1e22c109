"""One HTTP request to a backend and its answer, both streamed.

What must stay true: no redirect is followed, no cookie is kept, nothing is retried, and every connection is made to an
address that was checked at the moment of connecting.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
from yarl import URL

from apiserver.request import Request, StreamBroken, StreamingResponse
from apiserver.streaming.addresses import AddressNotAllowed, Target, allowed, checked_socket, refused
from apiserver.streaming.headers import request_headers, response_headers
from apiserver.streaming.locations import unavailable
from apiserver.streaming.rewrite import Links

CONNECT_SECONDS = 10.0
PAGE_LIMIT_BYTES = 2 << 20
_SKIPPED = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")
_BODYLESS = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes: `path` is encoded and without query; `prefix` is the proxy's own path."""

    target: Target
    path: str
    query: str
    prefix: str

    @property
    def path_and_query(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path


class Forwarder:
    """The HTTP client of the proxy; `close` at the end."""

    def __init__(self) -> None:
        self._checked: aiohttp.ClientSession | None = None
        self._trusted: aiohttp.ClientSession | None = None

    async def forward(self, request: Request, route: Route) -> StreamingResponse:
        """Raises 403 (address), 503 (the backend cannot be reached or does not speak HTTP)."""
        target = route.target
        if not target.trusted and not allowed(target.host):
            raise refused()
        headers = [*request_headers(request.headers), ("X-Forwarded-Uri", request.path)]
        body = request.stream_body()
        url = URL(f"{target.scheme}://{target.authority}{route.path_and_query}", encoded=True)
        tls: ssl.SSLContext | bool = target.tls or True
        try:
            answer = await self._session(trusted=target.trusted).request(
                request.method, url, headers=headers, data=body, ssl=tls, allow_redirects=False
            )
        except AddressNotAllowed:
            raise refused() from None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            if _cause(error, AddressNotAllowed):
                raise refused() from None
            raise unavailable(f"error trying to reach service: {_words(error, target)}") from None
        return await _answer(request, route, answer)

    def _session(self, *, trusted: bool) -> aiohttp.ClientSession:
        found = self._trusted if trusted else self._checked
        if found is None:
            factory = None if trusted else checked_socket
            found = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, force_close=True, socket_factory=factory),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                skip_auto_headers=_SKIPPED,
                auto_decompress=False,
                max_line_size=64 << 10,
                max_field_size=64 << 10,
            )
            if trusted:
                self._trusted = found
            else:
                self._checked = found
        return found

    async def close(self) -> None:
        for session in (self._checked, self._trusted):
            if session is not None:
                await session.close()


def insecure_tls() -> ssl.SSLContext:
    """TLS to pods and services: their certificates are their own affair, as upstream."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _answer(request: Request, route: Route, answer: aiohttp.ClientResponse) -> StreamingResponse:
    links = Links(route.prefix, route.target.authority, request.headers.get("Host", ""))
    pairs = [
        (name, links.location(value) if name.lower() == "location" else value)
        for name, value in response_headers(answer.headers)
    ]
    chunks: AsyncIterator[bytes]
    if request.method == "HEAD" or answer.status in _BODYLESS:
        chunks = _nothing(answer)
    elif answer.content_type == "text/html" and (page := await _page(answer)) is not None:
        chunks = _one(links.page(page).encode("utf-8", "surrogateescape"))
        pairs = [pair for pair in pairs if pair[0].lower() not in ("content-length", "content-encoding")]
    else:
        chunks = _chunks(answer)
    return StreamingResponse(chunks, content_type="", status=answer.status, repeated=pairs)


async def _page(answer: aiohttp.ClientResponse) -> str | None:
    """An HTML page of reasonable size and known encoding, read whole; None leaves it to be passed on as it is."""
    encoding = answer.headers.get("Content-Encoding", "identity").lower()
    size = answer.content_length
    if encoding not in ("identity", "gzip", "deflate") or (size is not None and size > PAGE_LIMIT_BYTES):
        return None
    raw = b""
    async for chunk in answer.content.iter_any():
        raw += chunk
        if len(raw) > PAGE_LIMIT_BYTES:
            answer.content.unread_data(raw)
            return None
    if encoding != "identity":
        inflate = zlib.decompressobj(wbits=47)
        try:
            plain = inflate.decompress(raw, 4 * PAGE_LIMIT_BYTES)
        except zlib.error:
            plain = b""
        if not inflate.eof:
            answer.content.unread_data(raw)
            return None
        raw = plain
    answer.release()
    return raw.decode("utf-8", "surrogateescape")


async def _chunks(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The body as it comes.  Raises StreamBroken when the backend ends in the middle."""
    try:
        async for chunk in answer.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, asyncio.IncompleteReadError, OSError) as error:
        raise StreamBroken(str(error)) from None
    finally:
        answer.close()


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _nothing(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    answer.close()
    return
    yield b""


def _words(error: BaseException, target: Target) -> str:
    """Why the backend was not reached, without our library's internals."""
    if isinstance(error, aiohttp.ClientConnectorError) and not isinstance(error, aiohttp.ClientSSLError):
        return f"dial tcp {target.authority}: connect: {os.strerror(error.os_error.errno or 0).lower()}"
    if isinstance(error, aiohttp.ClientSSLError):
        return f"{target.authority} does not speak TLS as asked"
    if isinstance(error, TimeoutError):
        return f"dial tcp {target.authority}: i/o timeout"
    return f"{target.authority}: {error or type(error).__name__}"


def _cause(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Whether an error of that kind is what it came from."""
    while error is not None:
        if isinstance(error, kind) or isinstance(getattr(error, "os_error", None), kind):
            return True
        error = error.__cause__ or error.__context__
    return False
