"""Asks other servers: one question at a time per name, the next server where one fails, and what is known meanwhile.

What must stay true: an answer is believed only from the server that was asked, with our id and our question; the
number of open questions is bounded; a question that comes back to us ends there.
"""

from __future__ import annotations

import asyncio
import logging
import os
import struct
from collections.abc import Hashable
from dataclasses import dataclass

from nodeagent.dns import wire
from nodeagent.dns.cache import Cache
from nodeagent.dns.metrics import DNSMetrics
from nodeagent.dns.upstreams import Server, Upstreams
from nodeagent.dns.wire import Name, Query, Record
from tiphys.clock import Clock
from tiphys.logs import fields

_log = logging.getLogger(__name__)

ONE_SERVER_SECONDS = 1.0  # while there is another one to ask
LAST_SERVER_SECONDS = 3.0
MOST_CONCURRENT = 1000
LOOP_SUFFIX: Name = (b"tiphys-loop",)


class NoAnswer(Exception):
    """No server has answered; the client hears SERVFAIL."""


@dataclass(frozen=True, slots=True)
class _Answer:
    message: bytes
    walked: wire.Walked


class Forwarder:
    """`stale_seconds`: how long an answer that is over may stand in while no server answers; 0: never."""

    def __init__(self, upstreams: Upstreams, clock: Clock, metrics: DNSMetrics, *, stale_seconds: float = 3600) -> None:
        self.upstreams = upstreams
        self.cache = Cache()
        self._clock, self._metrics, self._stale_seconds = clock, metrics, stale_seconds
        self._open: dict[Hashable, asyncio.Task[_Answer]] = {}
        self._probes: dict[Name, Server] = {}

    async def ask(self, query: Query, *, tcp: bool = False) -> bytes:
        """The whole answer, with the client's id and question.  Raises NoAnswer."""
        if query.name in self._probes:
            self.upstreams.looped(self._probes[query.name])
            raise NoAnswer("our own question came back")
        flags = query.flags & (wire.RD | wire.CD)
        key = (query.name, query.kind, query.klass, flags, bool(query.udp_bytes), query.dnssec, tcp)
        kept = self.cache.get(key, self._clock.monotonic())
        if kept is not None:
            self._metrics.cache_hit(denial=kept[1])
            return _addressed(kept[0], query)
        self._metrics.cache_misses.inc()
        task = self._open.get(key)
        if task is None:
            if len(self._open) >= MOST_CONCURRENT:
                self._metrics.rejected.inc()
                raise NoAnswer("too many open questions")
            task = asyncio.create_task(self._resolve(key, query, flags, tcp), name="DNS question")
            self._open[key] = task
            task.add_done_callback(lambda done: self._done(key, done))
        try:
            answer = await asyncio.shield(task)
        except NoAnswer:
            stale = self.cache.get(key, self._clock.monotonic(), stale_seconds=self._stale_seconds)
            if stale is None:
                raise
            self._metrics.cache_stale.inc()
            return _addressed(stale[0], query)
        return _addressed(answer.message, query)

    async def addresses(self, name: Name, kind: int) -> tuple[Record, ...]:
        """The records behind a CNAME that leads out of the cluster; () when nobody knows them."""
        question = wire.question_of(name, kind)
        query = Query(0, wire.RD, name, kind, wire.IN, question, wire.OUR_UDP_BYTES)
        try:
            return wire.walk(await self.ask(query)).addresses
        except (NoAnswer, wire.BadMessage):
            return ()

    async def close(self) -> None:
        for task in self._open.values():
            task.cancel()
        await asyncio.gather(*self._open.values(), return_exceptions=True)

    async def probe_loops(self) -> None:
        """Ask every upstream for a name that nobody has: whoever brings it back to us asks us."""
        servers = self.upstreams.all(self._clock.monotonic())
        for server in servers:
            name = (os.urandom(8).hex().encode(), *LOOP_SUFFIX)
            self._probes[name] = server
            message = wire.write_query(_ident(), wire.RD, wire.question_of(name, wire.HINFO))
            try:
                async with asyncio.timeout(LAST_SERVER_SECONDS):
                    await _over_udp(server, message)
            except (OSError, TimeoutError, wire.BadMessage):
                pass
            del self._probes[name]

    def _done(self, key: Hashable, task: asyncio.Task[_Answer]) -> None:
        self._open.pop(key, None)
        if not task.cancelled():
            task.exception()  # every client that waited has had it

    async def _resolve(self, key: Hashable, query: Query, flags: int, tcp: bool) -> _Answer:
        servers = self.upstreams.choose(query.name, self._clock.monotonic())
        refusal: _Answer | None = None
        for number, server in enumerate(servers):
            last = number == len(servers) - 1
            started = self._clock.monotonic()
            try:
                patient = last and not self.upstreams.rests(server, started)
                async with asyncio.timeout(LAST_SERVER_SECONDS if patient else ONE_SERVER_SECONDS):
                    found = await self._exchange(server, query, flags, tcp)
            except (OSError, TimeoutError, wire.BadMessage, asyncio.IncompleteReadError) as error:
                _log.debug("an upstream DNS server failed", extra=fields(server=server, cause=repr(error)))
                self.upstreams.failed(server, self._clock.monotonic())
                self._metrics.upstream_failed(str(server))
                continue
            self._metrics.forwarded(str(server), found.walked.rcode, self._clock.monotonic() - started)
            if found.walked.rcode in (wire.SERVFAIL, wire.REFUSED, wire.NOTIMP) and not last:
                refusal = found
                continue
            self.upstreams.answered(server)
            self.cache.put(key, found.message, found.walked, self._clock.monotonic())
            return found
        if refusal is not None:
            return refusal
        raise NoAnswer("no upstream server has answered")

    async def _exchange(self, server: Server, query: Query, flags: int, tcp: bool) -> _Answer:
        size = wire.OUR_UDP_BYTES if query.udp_bytes else 0
        message = wire.write_query(_ident(), flags, query.question, udp_bytes=size, dnssec=query.dnssec)
        answer = await (_over_tcp if tcp else _over_udp)(server, message)
        return _Answer(answer, wire.walk(answer))


def _ident() -> int:
    return int.from_bytes(os.urandom(2), "big")


def _addressed(message: bytes, query: Query) -> bytes:
    """The answer to this client: its id, and its question with the case it has chosen."""
    return struct.pack("!H", query.ident) + message[2:12] + query.question + message[12 + len(query.question) :]


def _belongs(answer: bytes, question: bytes) -> bool:
    """Whether an answer has the id and the question of what was sent."""
    end = 12
    while end < len(question) and question[end]:
        end += question[end] + 1
    end += 5
    return len(answer) >= end and answer[:2] == question[:2] and answer[12:end].lower() == question[12:end].lower()


class _Waiting(asyncio.DatagramProtocol):
    def __init__(self, question: bytes) -> None:
        self._question = question
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self.answer.done() and _belongs(data, self._question):
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answer.done():
            self.answer.cancel()


async def _over_udp(server: Server, message: bytes) -> bytes:
    """From a port of its own for each question; what others send to it is not heard."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: _Waiting(message), remote_addr=(server.address, server.port)
    )
    try:
        transport.sendto(message)
        return await protocol.answer
    finally:
        transport.close()


async def _over_tcp(server: Server, message: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(server.address, server.port)
    try:
        writer.write(struct.pack("!H", len(message)) + message)
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        answer = await reader.readexactly(length)
        if not _belongs(answer, message):
            raise wire.BadMessage("an answer to another question")
        return answer
    finally:
        writer.close()
