"""The client's connection without a network: requests go straight into the API server's filter chain.

`Faults` is what may happen on the way.  Nothing happens here that a real network and server could not do: an event is
not lost silently, its stream breaks before it; a watch that goes on may be told that its revision has expired.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote

from multidict import CIMultiDict

from apiserver.encoding import status_response
from apiserver.request import Handler, Request, StreamingResponse, UpgradeResponse
from apiserver.request import Response as Answer
from apiserver.requestinfo import parse_request_info
from apiserver.server import parse_query
from tiphys.api.status import StatusError
from tiphys.client.config import ClientConfig
from tiphys.client.connection import Connection, Response
from tiphys.client.errors import ApiError, ConnectionFailed, error_of_response

LATENCY_SECONDS = 0.001
INITIAL_END = b"k8s.io/initial-events-end"


@dataclass
class Faults:
    """What goes wrong between one client and the server.  `heal` ends it; a killed client stays dead."""

    random: Random = field(default_factory=Random)
    delay_seconds: float = 0.0  # most an event is late; each stream draws its own lateness
    drop: float = 0.0  # share of events before which the stream breaks
    expire: float = 0.0  # share of streams that are refused with 410
    conflict_every: int = 0  # each so many-th write is answered with a conflict
    lose: float = 0.0  # share of writes that are carried out, and whose answer is lost
    kill_after: int = 0  # the write after whose execution the client dies; 0: it lives
    on_kill: Callable[[], None] = lambda: None
    writes: int = 0
    dead: bool = False

    def heal(self) -> None:
        self.delay_seconds = self.drop = self.expire = self.lose = 0.0
        self.conflict_every = self.kill_after = 0

    def lateness_seconds(self) -> float:
        """Of a new stream: none, a little, or all that is possible."""
        if not self.delay_seconds:
            return 0.0
        return self.random.choice((0.0, self.random.random(), self.delay_seconds))

    def hits(self, share: float) -> bool:
        return bool(share) and self.random.random() < share


class DirectConnection(Connection):
    """A connection to `handler` as `user`, a member of `groups`."""

    def __init__(self, handler: Handler, user: str, groups: tuple[str, ...], faults: Faults | None = None) -> None:
        super().__init__(ClientConfig("https://memory"))
        self._handler = handler
        names = (("commonName", user), *(("organizationName", group) for group in groups))
        self._peer = {"subject": tuple((name,) for name in names)}
        self.faults = faults or Faults()

    async def _send_once(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        timeout_seconds: float,
    ) -> Response:
        faults = self.faults
        if faults.dead:
            raise ConnectionFailed("the process is dead")
        await asyncio.sleep(LATENCY_SECONDS)
        fatal = False
        writes = method not in ("GET", "HEAD") and "/events" not in path  # events are told, not relied on
        if writes:
            faults.writes += 1
            fatal = faults.writes == faults.kill_after
            if faults.conflict_every and faults.writes % faults.conflict_every == 0:
                refusal = ApiError(409, "Conflict", "the object has been modified; please apply your changes")
                return Response(409, {}, status_response(refusal).body)
        answer = await self._answer(self._request(method, path, query, body, headers))
        assert isinstance(answer, Answer), "a stream where an answer was expected"
        if fatal:
            faults.dead = True
            faults.on_kill()
            await asyncio.Event().wait()  # whoever asked dies waiting
        if writes and faults.hits(faults.lose):
            raise ConnectionFailed("the answer was lost")
        await asyncio.sleep(LATENCY_SECONDS)
        return Response(answer.status, CIMultiDict(answer.headers), answer.body)

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        idle_timeout_seconds: float | None = None,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        faults = self.faults
        if faults.dead:
            raise ConnectionFailed("the process is dead")
        await asyncio.sleep(LATENCY_SECONDS)
        if faults.hits(faults.expire):
            raise ApiError(410, "Expired", "The resourceVersion for the provided watch is too old.")
        answer = await self._answer(self._request("GET", path, query, None, headers))
        if answer.status >= 400:
            assert isinstance(answer, Answer)
            raise error_of_response(answer.status, answer.headers, answer.body)
        assert isinstance(answer, StreamingResponse)
        pipe = _Pipe()
        pump = asyncio.create_task(pipe.fill(answer), name=f"stream {path}")
        try:
            async with aclosing(self._late(pipe, faults.lateness_seconds())) as lines:
                yield lines
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)

    async def _late(self, pipe: _Pipe, lateness_seconds: float) -> AsyncGenerator[bytes, None]:
        """The lines in order, each so many seconds after it was sent; breaks as the faults have it."""
        faults, loop = self.faults, asyncio.get_running_loop()
        initial = True
        async with aclosing(pipe.lines()) as lines:
            async for sent_at, line in lines:
                if INITIAL_END in line or b'"type":"ADDED"' not in line[:20]:
                    initial = False  # a start that is always cut somewhere would never end
                wait = sent_at + min(lateness_seconds, faults.delay_seconds) - loop.time()
                if wait > 0:
                    await asyncio.sleep(wait)
                if not initial and faults.hits(faults.drop):
                    raise ConnectionFailed("the stream broke")
                yield line

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: bytes | None,
        headers: Mapping[str, str] | None,
    ) -> Request:
        raw_path, _, raw_query = path.partition("?")
        if query:
            raw_query = "&".join(f"{quote(key)}={quote(value)}" for key, value in query.items())
        parsed = parse_query(raw_query) if raw_query else {}

        async def read_body() -> bytes:
            return body or b""

        info = parse_request_info(method, raw_path, parsed)
        sent = CIMultiDict({"User-Agent": self.config.user_agent, **(headers or {})})
        return Request(method, info, parsed, sent, read_body, self._peer, raw_query=raw_query)

    async def _answer(self, request: Request) -> Answer | StreamingResponse:
        try:
            answer = await self._handler(request)
        except StatusError as error:
            return status_response(error)
        assert not isinstance(answer, UpgradeResponse)
        return answer


class _Pipe:
    """What the server writes, and when; None at the end."""

    def __init__(self) -> None:
        self._written: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue()

    async def fill(self, answer: StreamingResponse) -> None:
        chunks: Any = answer.chunks
        try:
            async with aclosing(chunks):
                async for chunk in chunks:
                    if not isinstance(chunk, bytes):
                        await chunk.run(self)
                    elif chunk:
                        self.write(chunk)
        finally:
            self._written.put_nowait(None)

    def write(self, data: bytes) -> bool:
        self._written.put_nowait((asyncio.get_running_loop().time(), data))
        return True

    async def drain(self) -> None:
        """There is always room."""

    async def lines(self) -> AsyncGenerator[tuple[float, bytes], None]:
        while (written := await self._written.get()) is not None:
            at, data = written
            for line in data.splitlines(keepends=True):
                yield at, line
