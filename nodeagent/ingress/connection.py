"""One client's connection: request after request, each routed on its own.

What must stay true: the table is looked up per request, so a new one is in force with the next request of every
connection; a request that was refused as malformed is the last of its connection.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from nodeagent.ingress.backends import KEPT_SECONDS, Backends, Unreachable
from nodeagent.ingress.certificates import Certificates
from nodeagent.ingress.exchange import Exchange, Outcome, Stale
from nodeagent.ingress.limits import Limits
from nodeagent.ingress.messages import Refused, Request, parse_request, request_head
from nodeagent.ingress.metrics import IngressMetrics
from nodeagent.ingress.pages import page
from nodeagent.ingress.paths import AmbiguousPath, canonical
from nodeagent.ingress.routing import Route, Table
from tiphys.logs import fields

_log = logging.getLogger(__name__)

_REPEATABLE = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))
_REFUSED_METHODS = frozenset(("CONNECT", "TRACE", "PRI"))
_LINGER_SECONDS, _LINGER_BYTES = 1.0, 1 << 20
_YOUNG_SECONDS = 1.0  # a request that cannot be repeated takes no older connection


@dataclass
class Serving:
    """What all connections share; `table` is replaced as a whole."""

    metrics: IngressMetrics
    backends: Backends
    certificates: Certificates
    limits: Limits = field(default_factory=Limits)
    table: Table = field(default_factory=Table)
    https_port: int = 443
    stopping: bool = False


class ClientConnection:
    """`run` once."""

    def __init__(self, serving: Serving, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving, self._reader, self._writer = serving, reader, writer
        self._clock: Callable[[], float] = asyncio.get_running_loop().time
        self.busy = False
        self._unread = False  # the client may still be sending what nobody will read
        peer, own = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
        self.client: str = peer[0].removeprefix("::ffff:") if peer else ""
        self._tls: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
        client, port = self.client.encode(), b"%d" % (own[1] if own else 0)
        self._forwarded = (
            (b"X-Forwarded-For", client),
            (b"X-Real-IP", client),
            (b"X-Forwarded-Proto", b"https" if self._tls is not None else b"http"),
            (b"X-Forwarded-Port", port),
        )

    def abort(self) -> None:
        self._writer.transport.abort()

    async def run(self) -> None:
        """Until the client leaves, errs or idles."""
        try:
            while not self._serving.stopping:
                head = await self._head()
                if not head:
                    break
                self.busy = True
                if not await self._request(head):
                    break
                self.busy = False
            await self._leave()
        except (OSError, EOFError):
            self.abort()  # TimeoutError is an OSError: who takes too long is not told either

    async def _leave(self) -> None:
        if self._unread:
            await self._linger()
        if not self._writer.is_closing():
            self._writer.close()
        async with asyncio.timeout(self._serving.limits.handshake_seconds):
            await self._writer.wait_closed()

    async def _head(self) -> bytes:
        """The next head with its empty line; b"" when the client is done or was told why not."""
        limits, begun = self._serving.limits, False
        try:
            async with asyncio.timeout(limits.keep_alive_seconds) as limit:
                first = await self._reader.readexactly(1)
                begun = True
                limit.reschedule(self._clock() + limits.head_seconds)
                return first + await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return b""
        except TimeoutError:
            if begun:
                await self._refuse(Refused(408, "the head of the request took too long"))
            return b""
        except asyncio.LimitOverrunError:
            await self._refuse(Refused(431, "the head of the request is too large"))
            return b""

    async def _refuse(self, refused: Refused, method: str = "GET") -> bool:
        """Answer and end the connection."""
        self._serving.metrics.refused.labels(str(refused.code)).inc()
        self._writer.write(page(refused.code, refused.reason, method=method))
        self._unread = True
        return False

    async def _linger(self) -> None:
        """Take what the client still sends for a moment: closing over unread bytes would destroy our answer."""
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                await self._writer.drain()
                if self._writer.can_write_eof():
                    self._writer.write_eof()
                    left = _LINGER_BYTES
                    while left > 0 and (piece := await self._reader.read(65536)):
                        left -= len(piece)
        except OSError:
            pass  # it has gone, or its time is over

    async def _request(self, head: bytes) -> bool:
        """True when the connection goes on."""
        serving, begin = self._serving, self._clock()
        try:
            request = parse_request(head)
            if request.method in _REFUSED_METHODS:
                raise Refused(405, "the method is not served")
            path = canonical(request.path)
        except AmbiguousPath as error:
            return await self._refuse(Refused(400, str(error)))
        except Refused as refused:
            return await self._refuse(refused)
        if self._tls is not None and not serving.certificates.covers(self._tls.context, request.host, serving.table):
            return await self._refuse(Refused(421, "the connection was made for another host"), request.method)
        route = serving.table.route(request.host, path)
        if route is None:
            serving.metrics.refused.labels("404").inc()
            return await self._answer(request, 404, "no Ingress has a rule for it")
        outcome = await self._routed(request, path + request.query, route)
        serving.metrics.routed(route, request.method, outcome.code, self._clock() - begin)
        return outcome.keep_client

    async def _answer(self, request: Request, code: int, why: str, *extra: bytes) -> bool:
        keep = request.keep_alive and request.length == 0 and not self._serving.stopping
        self._writer.write(page(code, why, method=request.method, keep_alive=keep, extra=extra))
        async with asyncio.timeout(self._serving.limits.body_idle_seconds):
            await self._writer.drain()
        self._unread = not keep
        return keep

    async def _routed(self, request: Request, target: str, route: Route) -> Outcome:
        """Whatever happens has a code."""
        backend = route.backend
        if route.https_redirect and self._tls is None and request.host:
            port = "" if self._serving.https_port == 443 else f":{self._serving.https_port}"
            location = f"Location: https://{request.host}{port}{target}".encode()
            keep = await self._answer(request, 308, "use https", location)
            return Outcome(308, keep, False)
        if 0 < route.max_body_bytes < request.length:
            keep = await self._answer(request, 413, "the body is too large")
            return Outcome(413, keep, False)
        if not backend.endpoints:
            keep = await self._answer(request, 503, "no endpoint is available")
            return Outcome(503, keep, False)
        limits = self._serving.limits
        seconds = route.timeout_seconds or limits.response_seconds
        exchange = Exchange(request, (self._reader, self._writer), limits, route.max_body_bytes, seconds)
        code, why = 502, "the endpoint gave no valid answer"
        try:
            return await self._exchanged(exchange, request, target, route)
        except Unreachable as error:
            code, why = 504 if error.timed_out else 502, "no endpoint could be reached"
        except TimeoutError:
            code, why = 504, "the endpoint took too long"
        except Refused as refused:
            code, why = refused.code, refused.reason
        except (EOFError, OSError, Stale) as error:
            _log.debug("no answer", extra=fields(service=backend.service, cause=error))
        if exchange.answered or self._writer.is_closing():
            self.abort()
            return Outcome(code, False, False)
        await self._answer(request, code, why)
        return Outcome(code, False, False)

    async def _exchanged(self, exchange: Exchange, request: Request, target: str, route: Route) -> Outcome:
        """With one endpoint; with a new connection when a kept one turns out to be closed."""
        backends = self._serving.backends
        head = request_head(request, target, (*self._forwarded, (b"X-Forwarded-Host", request.authority.encode())))
        order = backends.order(route.backend, self.client)
        repeatable = request.length == 0 and request.method in _REPEATABLE
        for kept in (True, False):
            youngest = KEPT_SECONDS if repeatable else _YOUNG_SECONDS
            backend = await backends.connect(order, kept=kept, youngest_seconds=youngest)
            done = False
            try:
                outcome = await exchange.run(backend, head)
                done = outcome.keep_backend
                return outcome
            except Stale:
                if not repeatable or not kept:
                    raise
            finally:
                if done:
                    backends.keep(backend)
                else:
                    backend.close()
        raise Stale
