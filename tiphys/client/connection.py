"""One HTTP connection pool to the API server: bytes in, bytes out, retries where they are safe.

A 429 was refused before it was carried out, so every method is sent again after the time the server asked for.  A 503
or a lost connection may have been carried out, so only reads are sent again.  There is no client-side rate limit; at
most MAX_IN_FLIGHT requests are under way at once, which bounds TLS handshakes in a burst.  Streams (watches, logs)
do not count.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType

import aiohttp

from tiphys.client.config import ClientConfig
from tiphys.client.errors import ConnectionFailed, error_of_response

MAX_IN_FLIGHT = 64
MAX_TRIES = 8
REQUEST_TIMEOUT_SECONDS = 60.0
CONNECT_TIMEOUT_SECONDS = 10.0
_READS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: Mapping[str, str]  # case-insensitive
    body: bytes


class Connection:
    """An aiohttp session made on first use and shared by everything that talks to this server."""

    def __init__(self, config: ClientConfig) -> None:
        self.config = config
        self._session: aiohttp.ClientSession | None = None
        self._in_flight = asyncio.Semaphore(MAX_IN_FLIGHT)
        self.on_answer: Callable[[str, int, float], None] | None = None  # method, status (0: no answer), seconds

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            context = self.config.ssl_context()
            connector = aiohttp.TCPConnector(
                ssl=context if context is not None else False,
                limit=0,
                keepalive_timeout=60,
                ttl_dns_cache=60,
                socket_factory=_keepalive_socket,
            )
            self._session = aiohttp.ClientSession(
                connector=connector, headers=self._identity(), auto_decompress=True, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    def _identity(self) -> dict[str, str]:
        headers = {"User-Agent": self.config.user_agent, "Accept-Encoding": "identity"}
        if self.config.token:
            headers["Authorization"] = f"Bearer {self.config.token}"
        elif self.config.username:
            headers["Authorization"] = aiohttp.BasicAuth(self.config.username, self.config.password).encode()
        if self.config.impersonate_user:
            headers["Impersonate-User"] = self.config.impersonate_user
        return headers

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
    ) -> Response:
        """One request with its retries; any status is an answer.  Raises ConnectionFailed."""
        tries = 1
        while True:
            try:
                async with self._in_flight:
                    response = await self._send_once(method, path, query, body, headers, timeout_seconds)
            except ConnectionFailed:
                if method not in _READS or tries >= 2:
                    raise
                tries += 1
                continue
            wait_seconds = retry_after_seconds(method, response)
            if wait_seconds is None or tries >= MAX_TRIES:
                return response
            tries += 1
            await asyncio.sleep(wait_seconds)

    async def _send_once(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        timeout_seconds: float,
    ) -> Response:
        timeout = aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=CONNECT_TIMEOUT_SECONDS)
        began, status = asyncio.get_running_loop().time(), 0
        try:
            async with self.session().request(
                method,
                self.config.server + path,
                params=query,
                data=body,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                server_hostname=self.config.tls_server_name or None,
            ) as answer:
                body_read, status = await answer.read(), answer.status
                return Response(status, answer.headers, body_read)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ConnectionFailed(f"{method} {self.config.server}{path}: {describe(error)}") from error
        finally:
            if self.on_answer is not None:
                self.on_answer(method, status, asyncio.get_running_loop().time() - began)

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        idle_timeout_seconds: float | None = None,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """A GET whose body is read as it comes: `async with connection.stream(...) as chunks`.

        Raises ApiError for an answer >= 400, ConnectionFailed when the connection fails or says nothing for
        `idle_timeout_seconds`; the end of the body ends the iterator."""
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT_SECONDS, sock_read=idle_timeout_seconds
        )
        try:
            async with self.session().get(
                self.config.server + path,
                params=query,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                read_bufsize=1 << 20,
                server_hostname=self.config.tls_server_name or None,
            ) as answer:
                if answer.status >= 400:
                    raise error_of_response(answer.status, answer.headers, await answer.read())
                yield answer.content.iter_any()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ConnectionFailed(f"GET {self.config.server}{path}: {describe(error)}") from error


def retry_after_seconds(method: str, response: Response) -> float | None:
    """How long to wait before sending the same request again; None: do not."""
    if response.status != 429 and not (response.status == 503 and method in _READS):
        return None
    after = response.headers.get("Retry-After", "")
    return float(after) if after.isdigit() else None


def describe(error: BaseException) -> str:
    """The part of a connection error a person can act on."""
    if isinstance(error, TimeoutError):
        return "timed out"
    return str(error) or type(error).__name__


def _keepalive_socket(address: tuple[object, ...]) -> socket.socket:
    """A socket that notices a peer that vanished without a word, after about a minute."""
    family, kind, protocol = address[0], address[1], address[2]
    made = socket.socket(int(family), int(kind), int(protocol))  # type: ignore[call-overload]
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    return made
