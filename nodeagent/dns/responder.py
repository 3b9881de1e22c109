"""From the bytes of a question to the bytes of its answer: reads, answers from the zone, or asks elsewhere.

What must stay true: no bytes make this raise; the same question, asked again while the zone has not changed, costs one
look-up; several addresses take turns at the first place.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from nodeagent.dns import wire
from nodeagent.dns.answer import Elsewhere, answer
from nodeagent.dns.forward import Forwarder, NoAnswer
from nodeagent.dns.metrics import DNSMetrics
from nodeagent.dns.wire import BadMessage, Query, Record, Reply
from nodeagent.dns.zone import Zone
from tiphys.clock import Clock

_log = logging.getLogger(__name__)

Waiting = Coroutine[Any, Any, bytes | None]

MOST_KEPT = 8192
MOST_TURNS = 16
LARGEST_KEPT_QUESTION_BYTES = 512


class Responder:
    """`respond` gives the answer, None for what gets none, or something to wait for."""

    def __init__(self, zone: Zone, forwarder: Forwarder, metrics: DNSMetrics, clock: Clock) -> None:
        self.zone = zone
        self._forwarder, self._metrics, self._clock = forwarder, metrics, clock
        self._label = wire.text_of(zone.domain)
        self._generation = -1
        self._kept: dict[tuple[bytes, bool], _Kept] = {}

    def respond(self, message: bytes, *, tcp: bool) -> bytes | Waiting | None:
        started = self._clock.monotonic()
        if self._generation != self.zone.generation:
            self._kept.clear()
            self._generation = self.zone.generation
        kept = self._kept.get((message[2:], tcp))
        if kept is not None:
            said = message[:2] + kept.next()
            self._metrics.answered(kept.key, self._clock.monotonic() - started, len(message), len(said))
            return said
        try:
            return self._respond(message, tcp, started)
        except Exception:
            self._metrics.panics.inc()
            _log.exception("a DNS question cannot be answered")
            return wire.write_error(int.from_bytes(message[:2], "big"), wire.SERVFAIL) if len(message) > 2 else None

    def _respond(self, message: bytes, tcp: bool, started: float) -> bytes | Waiting | None:
        try:
            query = wire.read_query(message)
        except BadMessage as error:
            if error.ident is None:
                return None
            said = wire.write_error(error.ident, wire.FORMERR, int.from_bytes(message[2:4], "big"))
            self._count(".", 0, wire.FORMERR, "", tcp, started, len(message), len(said))
            return said
        if query is None:
            return None
        refusal = _refusal(query)
        if refusal is not None:
            return self._finish(query, Reply(refusal, authoritative=False), "", tcp, started, len(message))
        found = answer(query.name, query.kind, self.zone)
        if isinstance(found, Elsewhere):
            return self._elsewhere(query, found, tcp, started, len(message))
        said = self._finish(query, found, "kubernetes", tcp, started, len(message))
        self._keep(message, query, found, tcp, said)
        return said

    def _finish(self, query: Query, reply: Reply, plugin: str, tcp: bool, started: float, asked: int) -> bytes:
        said = wire.write_reply(query, reply, _most_bytes(query, tcp))
        zone = self._label if plugin == "kubernetes" else "."
        self._count(zone, query.kind, reply.rcode, plugin, tcp, started, asked, len(said))
        return said

    def _count(
        self, zone: str, kind: int, rcode: int, plugin: str, tcp: bool, started: float, asked: int, said: int
    ) -> None:
        key = (zone, "tcp" if tcp else "udp", kind if kind in wire.TYPE_NAMES else 0, rcode, plugin)
        self._metrics.answered(key, self._clock.monotonic() - started, asked, said)

    def _keep(self, message: bytes, query: Query, reply: Reply, tcp: bool, said: bytes) -> None:
        if len(self._kept) >= MOST_KEPT or len(message) > LARGEST_KEPT_QUESTION_BYTES:
            return
        turns = [said[2:]]
        fixed = [one for one in reply.answers if one.kind == wire.CNAME]
        moving = [one for one in reply.answers if one.kind != wire.CNAME]
        for first in range(1, min(len(moving), MOST_TURNS)):
            turned = replace(reply, answers=(*fixed, *moving[first:], *moving[:first]))
            turns.append(wire.write_reply(query, turned, _most_bytes(query, tcp))[2:])
        kind = query.kind if query.kind in wire.TYPE_NAMES else 0
        key = (self._label, "tcp" if tcp else "udp", kind, reply.rcode, "kubernetes")
        self._kept[message[2:], tcp] = _Kept(turns, key)

    async def _elsewhere(self, query: Query, found: Elsewhere, tcp: bool, started: float, asked: int) -> bytes | None:
        try:
            if found.chain:
                more = await self._forwarder.addresses(found.name, query.kind)
                reply = Reply(answers=(*found.chain, *_renamed(more, found)))
                return self._finish(query, reply, "kubernetes", tcp, started, asked)
            said = await self._forwarder.ask(query, tcp=tcp)
            if len(said) > _most_bytes(query, tcp):
                said = wire.write_reply(query, Reply(authoritative=False), wire.PLAIN_UDP_BYTES)
                said = said[:2] + (int.from_bytes(said[2:4], "big") | wire.TC).to_bytes(2, "big") + said[4:]
            self._count(".", query.kind, said[3] & 15, "forward", tcp, started, asked, len(said))
            return said
        except NoAnswer:
            return self._finish(query, Reply(wire.SERVFAIL, authoritative=False), "forward", tcp, started, asked)
        except Exception:
            self._metrics.panics.inc()
            _log.exception("a DNS question cannot be forwarded")
            return self._finish(query, Reply(wire.SERVFAIL, authoritative=False), "forward", tcp, started, asked)


class _Kept:
    __slots__ = ("_turn", "_turns", "key")

    def __init__(self, turns: list[bytes], key: tuple[str, str, int, int, str]) -> None:
        self._turns, self._turn, self.key = turns, 0, key

    def next(self) -> bytes:
        self._turn = (self._turn + 1) % len(self._turns)
        return self._turns[self._turn]


def _refusal(query: Query) -> int | None:
    """The rcode of questions that are not answered at all."""
    if query.opcode != 0:
        return wire.NOTIMP
    if query.edns_version != 0:
        return wire.BADVERS
    if query.klass not in (wire.IN, wire.ANY_CLASS) or query.kind in (251, 252):  # zones are not handed out
        return wire.REFUSED
    return None


def _most_bytes(query: Query, tcp: bool) -> int:
    if tcp:
        return wire.MESSAGE_BYTES
    return min(query.udp_bytes, wire.OUR_UDP_BYTES) if query.udp_bytes else wire.PLAIN_UDP_BYTES


def _renamed(records: tuple[Record, ...], found: Elsewhere) -> tuple[Record, ...]:
    """Answers of others with a TTL no longer than ours, so that a changed externalName is soon believed."""
    most = found.chain[0].ttl_seconds
    return tuple(replace(record, ttl_seconds=min(record.ttl_seconds, most)) for record in records)
