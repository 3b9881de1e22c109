"""The DNS over real sockets: UDP and TCP, other servers as upstreams, faults of theirs, clients that misbehave."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from nodeagent.dns import wire
from nodeagent.dns.forward import Forwarder
from nodeagent.dns.metrics import DNSMetrics
from nodeagent.dns.responder import Responder
from nodeagent.dns.server import MOST_OF_ONE_CLIENT, DNSServer, is_among
from nodeagent.dns.upstreams import Server, Upstreams, parse_server, parse_stub_domains
from nodeagent.dns.zone import Zone
from tests.nodeagent.dns.cluster_objects import endpoint, endpoint_slice, example_zone, question, service, shown
from tiphys.clock import SystemClock

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
SECONDS = 10.0


@dataclass
class Running:
    server: DNSServer
    responder: Responder
    forwarder: Forwarder
    metrics: DNSMetrics
    registry: CollectorRegistry

    @property
    def place(self) -> Server:
        return Server("127.0.0.1", self.server.port)

    async def udp(self, message: bytes) -> bytes:
        """The answer to one datagram."""
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.connect(("127.0.0.1", self.server.port))
            await loop.sock_sendall(client, message)
            async with asyncio.timeout(SECONDS):
                return await loop.sock_recv(client, 65535)

    async def tcp(self, *messages: bytes) -> list[bytes]:
        """The answers on one connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        answers = []
        async with asyncio.timeout(SECONDS):
            for message in messages:
                writer.write(struct.pack("!H", len(message)) + message)
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                answers.append(await reader.readexactly(length))
        writer.close()
        return answers

    def scraped(self) -> str:
        return generate_latest(self.registry).decode()


@asynccontextmanager
async def running(
    zone: Zone, *upstreams: Server, stubs: str = "", stale_seconds: float = 3600
) -> AsyncIterator[Running]:
    clock, registry = SystemClock(), CollectorRegistry()
    metrics = DNSMetrics(registry)
    stub_domains = parse_stub_domains([stubs] if stubs else [])
    servers = Upstreams([], fixed=upstreams, stub_domains=stub_domains, resolv_conf=Path("/nonexistent"))
    forwarder = Forwarder(servers, clock, metrics)
    responder = Responder(zone, forwarder, metrics, clock)
    server = DNSServer(responder, "127.0.0.1", 0, is_among(LOOPBACK))
    await server.open()
    try:
        yield Running(server, responder, forwarder, metrics, registry)
    finally:
        await server.close()
        await forwarder.close()


def world(address: str = "192.0.2.80") -> Zone:
    """The zone of another server, which knows www.shop.svc.example.com."""
    zone = Zone(wire.name_of("example.com"))
    zone.namespace_changed("shop", there=True)
    zone.service_changed(None, service("www", "shop", clusterIP=address, ports=[{"port": 80}]))
    return zone


def silent() -> socket.socket:
    """A server that never answers."""
    hole = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    hole.bind(("127.0.0.1", 0))
    return hole


def dead() -> Server:
    """A server whose port is closed."""
    with silent() as hole:
        return Server("127.0.0.1", hole.getsockname()[1])


WORLD = "www.shop.svc.example.com"


def records(message: bytes) -> list[str]:
    return [shown(one) for one in wire.walk(message).addresses]


def run(body: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(body())  # type: ignore[arg-type]


def test_both_protocols_answer_alike() -> None:
    async def body() -> None:
        async with running(example_zone()) as dns:
            asked = question("Web.shop.svc.cluster.local", wire.A)
            said = await dns.udp(asked)
            assert records(said) == ["A 10.96.0.7"]
            assert said[12 : len(asked)] == asked[12:]
            assert await dns.tcp(asked, asked) == [said, said]

    run(body)


def test_a_long_answer_is_cut_over_udp_and_whole_over_tcp() -> None:
    zone = example_zone()
    many = [endpoint(f"10.244.1.{number}") for number in range(100)]
    zone.slice_changed(None, endpoint_slice("idle", many, name="idle-2", namespace="shop"))

    async def body() -> None:
        async with running(zone) as dns:
            asked = question("idle.shop.svc.cluster.local", wire.A)
            said = wire.walk(await dns.udp(asked))
            assert said.flags & wire.TC and len(said.addresses) < 100
            bigger = wire.walk(await dns.udp(question("idle.shop.svc.cluster.local", wire.A, udp_bytes=4096)))
            assert len(said.addresses) < len(bigger.addresses) < 100
            [whole] = await dns.tcp(asked)
            assert len(wire.walk(whole).addresses) == 100

    run(body)


def test_addresses_take_turns_and_a_change_is_seen_at_once() -> None:
    zone = example_zone()

    async def body() -> None:
        async with running(zone) as dns:
            asked = question("db.shop.svc.cluster.local", wire.A)
            firsts = {records(await dns.udp(asked))[0] for _ in range(8)}
            assert firsts == {"A 10.244.0.5", "A 10.244.0.6"}
            more = endpoint_slice("db", [endpoint("10.244.0.60")], name="db-3", namespace="shop")
            zone.slice_changed(None, more)
            assert "A 10.244.0.60" in records(await dns.udp(asked))

    run(body)


@pytest.mark.parametrize(
    ("message", "rcode"),
    [
        (struct.pack("!6H", 9, 0, 0, 0, 0, 0), wire.FORMERR),
        (struct.pack("!6H", 9, 0, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1", wire.FORMERR),
        (struct.pack("!6H", 9, 2 << 11, 1, 0, 0, 0) + b"\1a\0\0\1\0\1", wire.NOTIMP),
        (struct.pack("!6H", 9, 0, 1, 0, 0, 0) + b"\1a\0\0\1\0\3", wire.REFUSED),  # class CH
        (question("cluster.local", 252), wire.REFUSED),  # a transfer of the zone
    ],
)
def test_what_is_not_answered_says_why(message: bytes, rcode: int) -> None:
    async def body() -> None:
        async with running(example_zone()) as dns:
            said = await dns.udp(message)
            assert said[:2] == message[:2] and said[3] & 15 == rcode

    run(body)


def test_a_client_from_elsewhere_gets_no_answer_and_one_from_here_does() -> None:
    async def body() -> None:
        async with running(example_zone()) as dns:
            asked = question("web.shop.svc.cluster.local", wire.A)
            dns.server._is_client = is_among((ipaddress.ip_network("10.244.0.0/16"),))
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await dns.tcp(asked)
            client = asyncio.create_task(dns.udp(asked))
            await asyncio.wait([client], timeout=0.2)
            assert not client.done()
            client.cancel()
            dns.server._is_client = is_among(LOOPBACK)
            assert await dns.udp(asked)

    run(body)


def test_connections_that_say_nothing_do_not_keep_others_out() -> None:
    async def body() -> None:
        async with running(example_zone()) as dns:
            idle = [await asyncio.open_connection("127.0.0.1", dns.server.port) for _ in range(MOST_OF_ONE_CLIENT + 8)]
            reader, _ = idle[-1]
            async with asyncio.timeout(SECONDS):
                assert await reader.read() == b""  # over the limit of one client: closed
            assert records(await dns.udp(question("kubernetes.default.svc.cluster.local", wire.A)))
            for _, writer in idle:
                writer.close()

    run(body)


def test_names_of_the_world_come_from_the_upstream_and_then_from_the_cache() -> None:
    async def body() -> None:
        async with running(world()) as upstream, running(example_zone(), upstream.place) as dns:
            said = await dns.udp(question(WORLD, wire.A, ident=1))
            assert records(said) == ["A 192.0.2.80"]
            again = await dns.udp(question(WORLD.upper(), wire.A, ident=2))
            assert again[:2] == b"\0\2" and WORLD.upper().split(".")[0].encode() in again
            assert records(again) == records(said)
            [whole] = await dns.tcp(question(WORLD, wire.A))
            assert records(whole) == records(said)
            missing = await dns.udp(question("nothing.shop.svc.example.com", wire.A))
            assert missing[3] & 15 == wire.NXDOMAIN
            text = dns.scraped()
            assert 'coredns_cache_hits_total{server="dns://:53",type="success",view="",zones="."} 1.0' in text
            assert 'rcode="NXDOMAIN"' in text and "coredns_proxy_request_duration_seconds_count" in text
            assert 'coredns_dns_requests_total{family="1",proto="udp",server="dns://:53",type="A"' in text

    run(body)


def test_an_external_name_brings_the_addresses_of_its_target() -> None:
    zone = example_zone()
    zone.service_changed(None, service("shop", type="ExternalName", externalName=WORLD))

    async def body() -> None:
        async with running(world()) as upstream, running(zone, upstream.place) as dns:
            said = await dns.udp(question("shop.default.svc.cluster.local", wire.A))
            assert records(said) == [f"CNAME {WORLD}.", "A 192.0.2.80"]

    run(body)


@pytest.mark.parametrize("fault", ["closed", "silent"])
def test_a_dead_upstream_is_passed_over_and_asked_last_from_then_on(fault: str) -> None:
    async def body() -> None:
        with silent() as hole:
            bad = dead() if fault == "closed" else Server("127.0.0.1", hole.getsockname()[1])
            async with running(world()) as upstream, running(example_zone(), bad, upstream.place) as dns:
                assert records(await dns.udp(question(WORLD, wire.A))) == ["A 192.0.2.80"]
                order = dns.forwarder.upstreams.choose((b"example", b"com"), SystemClock().monotonic())
                assert order == [upstream.place, bad]

    run(body)


def test_without_any_upstream_the_old_answer_stands_in() -> None:
    async def body() -> None:
        async with running(world()) as upstream, running(example_zone(), upstream.place) as dns:
            asked = question(WORLD, wire.A)
            assert records(await dns.udp(asked))
            await upstream.server.close()
            cache = dns.forwarder.cache
            key, kept = next(iter(cache._kept.items()))
            cache._kept[key] = type(kept)(kept.message, kept.ttl_places, kept.stored_seconds - 60, 5, kept.denial)
            stale = await dns.udp(asked)
            assert records(stale) == ["A 192.0.2.80"] and stale[3] & 15 == 0
            other = await dns.udp(question("other.example.com", wire.A))
            assert other[3] & 15 == wire.SERVFAIL

    run(body)


def test_a_stub_domain_has_servers_of_its_own() -> None:
    async def body() -> None:
        async with running(world("192.0.2.1")) as usual, running(world("192.0.2.2")) as special:
            stub = f"shop.svc.example.com={special.place}"
            async with running(example_zone(), usual.place, stubs=stub) as dns:
                assert records(await dns.udp(question(WORLD, wire.A))) == ["A 192.0.2.2"]

    run(body)


def test_an_upstream_that_asks_us_is_found_and_left_out() -> None:
    async def body() -> None:
        async with running(example_zone()) as dns:
            dns.forwarder.upstreams._fixed = (dns.place,)
            await dns.forwarder.probe_loops()
            assert dns.forwarder.upstreams.choose((b"example",), 0.0) == []
            said = await dns.udp(question("example.com", wire.A))
            assert said[3] & 15 == wire.SERVFAIL

    run(body)


def test_an_answer_to_another_question_is_not_believed() -> None:
    async def body() -> None:
        with silent() as liar:
            liar.setblocking(False)
            place = Server("127.0.0.1", liar.getsockname()[1])
            async with running(example_zone(), place) as dns:
                client = asyncio.create_task(dns.udp(question("example.com", wire.A)))
                loop = asyncio.get_running_loop()
                asked, sender = await loop.sock_recvfrom(liar, 512)
                query = wire.read_query(asked)
                assert query is not None
                forged = wire.Record(query.name, wire.A, 60, b"\6\6\6\6")
                honest = wire.Record(query.name, wire.A, 60, b"\1\1\1\1")
                said = wire.write_reply(query, wire.Reply(answers=(forged,)))
                other = bytes([said[0] ^ 1]) + said[1:]
                await loop.sock_sendto(liar, other, sender)  # another id
                await loop.sock_sendto(liar, said.replace(b"example", b"exomple"), sender)
                await loop.sock_sendto(liar, wire.write_reply(query, wire.Reply(answers=(honest,))), sender)
                assert records(await client) == ["A 1.1.1.1"]

    run(body)


def test_the_resolv_conf_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("nameserver 10.96.0.10\nnameserver 192.0.2.1\nnameserver nonsense\n")
    upstreams = Upstreams(["10.96.0.10"], resolv_conf=file)
    assert upstreams.choose((), 0.0) == [Server("192.0.2.1")]
    file.write_text("nameserver 192.0.2.2\nnameserver fd00::1\n")
    assert upstreams.choose((), 100.0) == [Server("192.0.2.2"), Server("fd00::1")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("192.0.2.1", Server("192.0.2.1")), ("192.0.2.1:5353", Server("192.0.2.1", 5353)), ("[::1]:1", Server("::1", 1))],
)
def test_a_server_is_an_address_with_a_port(text: str, expected: Server) -> None:
    assert parse_server(text) == expected


@pytest.mark.parametrize("text", ["", "example.com", "192.0.2.1:0", "192.0.2.1:x"])
def test_what_is_no_server_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_server(text)
