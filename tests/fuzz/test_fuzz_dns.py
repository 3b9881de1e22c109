"""DNS messages: whatever the bytes are, the readers say BadMessage, and a whole question gets an answer or none."""

from __future__ import annotations

import random

from nodeagent.dns import wire
from nodeagent.dns.forward import Forwarder
from nodeagent.dns.metrics import DNSMetrics
from nodeagent.dns.responder import Responder
from nodeagent.dns.upstreams import Upstreams
from nodeagent.dns.wire import BadMessage, Record, Reply
from tests.fuzz.fuzzing import fuzz
from tests.nodeagent.dns.cluster_objects import example_zone, question
from tiphys.clock import SystemClock

NAMES = ("a", "web.shop.svc.cluster.local", ".", "_sql._tcp.db.shop.svc.cluster.local", "6.0.244.10.in-addr.arpa")


def bent(rng: random.Random) -> bytes:
    """A question or an answer, with some bytes replaced and perhaps cut."""
    whole = question(rng.choice(NAMES), rng.choice([1, 6, 12, 28, 33, 255]), udp_bytes=rng.choice([0, 512, 1232]))
    if rng.random() < 0.5:
        query = wire.read_query(whole)
        assert query is not None
        name = wire.name_of("web.shop.svc.cluster.local")
        records = tuple(Record(name, rng.choice([1, 5, 33]), 5, b"\0\1\0\2", name) for _ in range(rng.randrange(4)))
        whole = wire.write_reply(query, Reply(answers=records))
    message = bytearray(whole)
    for _ in range(rng.randrange(6)):
        message[rng.randrange(len(message))] = rng.choice([0, 0xC0, 0xFF, rng.randrange(256)])
    return bytes(message[: rng.randrange(len(message) + 1)] if rng.random() < 0.3 else message)


def test_questions() -> None:
    fuzz(wire.read_query, bent, allowed=BadMessage)


def test_answers_of_other_servers() -> None:
    fuzz(wire.walk, bent, allowed=BadMessage)


def test_the_responder_never_fails() -> None:
    clock, metrics = SystemClock(), DNSMetrics()
    responder = Responder(example_zone(), Forwarder(Upstreams([]), clock, metrics), metrics, clock)

    def respond(message: bytes) -> None:
        said = responder.respond(message, tcp=False)
        if said is not None and not isinstance(said, bytes):
            said.close()
        assert metrics.panics._value.get() == 0

    fuzz(respond, bent)
