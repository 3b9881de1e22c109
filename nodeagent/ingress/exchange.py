"""One request to one endpoint and its answer back, both as streams.

What must stay true: nothing is sent to the client before the head of an answer is whole, so until then another endpoint
may be asked; after that a failure ends the client's connection, so that a part is never taken for the whole.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from nodeagent.ingress.backends import BackendConnection
from nodeagent.ingress.bodies import Body, pour
from nodeagent.ingress.limits import Limits
from nodeagent.ingress.messages import (
    CHUNKED,
    UNTIL_CLOSE,
    Refused,
    Request,
    Response,
    parse_response,
    response_head,
    upgrade_head,
)

MAX_INTERIM = 10
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Stale(Exception):
    """A kept connection was closed by the endpoint before it answered anything."""


@dataclass(slots=True)
class Outcome:
    """`keep_client`: the client may send its next request; `keep_backend`: so may we."""

    code: int
    keep_client: bool
    keep_backend: bool


class Exchange:
    """`client` is the reader and the writer of the client."""

    def __init__(
        self,
        request: Request,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        limits: Limits,
        max_body_bytes: int,
        response_seconds: float,
    ) -> None:
        self._request, self._limits = request, limits
        self._from_client, self._to_client = client
        self._upload = Body(self._from_client, request.length, limits.body_idle_seconds, 400, max_body_bytes)
        self._response_seconds = response_seconds
        self.answered = False  # the client has seen something

    async def run(self, backend: BackendConnection, head: bytes) -> Outcome:
        """Raises Stale, Refused, TimeoutError, EOFError, OSError."""
        backend.writer.write(head)
        if self._upload.done:
            response = await self._await_head(backend)
            return await self._relay(backend, response)
        if self._request.expects_continue:
            self._to_client.write(CONTINUE)
        chunked = self._request.length == CHUNKED
        sending = asyncio.create_task(pour(self._upload, backend.writer, chunked, self._limits.body_idle_seconds))
        waiting = asyncio.create_task(self._response(backend))
        try:
            await asyncio.wait({sending, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and not waiting.done():
                self._check_sent(sending)
                async with asyncio.timeout(self._response_seconds):
                    await asyncio.wait({waiting})
            outcome = await self._relay(backend, await waiting)
            if sending.done() and sending.exception() is None:
                return outcome
            return Outcome(outcome.code, False, False)  # the rest of the body is of no use to anybody
        finally:
            for task in (sending, waiting):
                task.cancel()
            await asyncio.gather(sending, waiting, return_exceptions=True)

    @staticmethod
    def _check_sent(sending: asyncio.Task[int]) -> None:
        """The client's faults end the exchange; an endpoint that stopped reading may still have an answer for us."""
        error = sending.exception()
        if error is not None and not isinstance(error, BrokenPipeError | ConnectionResetError):
            raise error

    async def _await_head(self, backend: BackendConnection) -> Response:
        async with asyncio.timeout(self._response_seconds):
            return await self._response(backend)

    async def _response(self, backend: BackendConnection) -> Response:
        for _ in range(MAX_INTERIM):
            try:
                head = await backend.reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError as error:
                if not error.partial and not backend.fresh:
                    raise Stale from error
                raise
            except ConnectionResetError as error:
                if not backend.fresh:
                    raise Stale from error
                raise
            except asyncio.LimitOverrunError as error:
                raise Refused(502, "the head of the answer is too large") from error
            response = parse_response(head)
            backend.fresh = True
            if response.code >= 200 or response.code == 101:
                return response
        raise Refused(502, "too many interim answers")

    async def _relay(self, backend: BackendConnection, response: Response) -> Outcome:
        request = self._request
        if response.code == 101:
            if not request.upgrade:
                raise Refused(502, "an upgrade that nobody asked for")
            self.answered = True
            await self._splice(backend, response)
            return Outcome(101, False, False)
        if request.method == "HEAD" or response.code in (204, 304):
            keep = request.keep_alive
            self.answered = True
            self._to_client.write(response_head(response, self._connection_line(keep)))
            await self._flush()
            return Outcome(response.code, keep, response.keep_alive)
        return await self._relay_body(backend, response)

    async def _relay_body(self, backend: BackendConnection, response: Response) -> Outcome:
        request, idle = self._request, self._limits.stream_idle_seconds
        unframed = response.length < 0
        chunked = unframed and request.minor == 1
        keep = request.keep_alive and (chunked or not unframed)
        extra = self._connection_line(keep)
        body = Body(backend.reader, response.length, idle, 502)
        first = b"" if unframed else await body.read()  # a known length is sent together with its head
        self.answered = True
        self._to_client.write(
            response_head(response, (*extra, b"Transfer-Encoding: chunked") if chunked else extra) + first
        )
        if unframed or not body.done:
            await pour(body, self._to_client, chunked, idle)
        else:
            await self._flush()
        return Outcome(response.code, keep, response.keep_alive and response.length != UNTIL_CLOSE)

    def _connection_line(self, keep: bool) -> tuple[bytes, ...]:
        if not keep:
            return (b"Connection: close",)
        return (b"Connection: keep-alive",) if self._request.minor == 0 else ()

    async def _flush(self) -> None:
        if not self._to_client.transport.get_write_buffer_size():
            return  # the usual case
        async with asyncio.timeout(self._limits.stream_idle_seconds):
            await self._to_client.drain()

    async def _splice(self, backend: BackendConnection, response: Response) -> None:
        """Bytes both ways until both sides have ended, or one has failed."""
        self._to_client.write(upgrade_head(response))
        ways = [
            asyncio.create_task(self._copy(self._from_client, backend.writer)),
            asyncio.create_task(self._copy(backend.reader, self._to_client)),
        ]
        try:
            await asyncio.gather(*ways)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(None) as limit:
            loop = asyncio.get_running_loop()
            while True:
                limit.reschedule(loop.time() + self._limits.upgrade_idle_seconds)
                piece = await reader.read(65536)
                if not piece:
                    break
                writer.write(piece)
                await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
        else:
            writer.close()  # TLS has no half-close
