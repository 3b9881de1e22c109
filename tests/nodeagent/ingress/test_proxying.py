"""Requests through a real listener to real endpoints: bodies, upgrades, retries, draining, reconfiguration."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from nodeagent.ingress.limits import Limits
from nodeagent.ingress.routing import Table
from tests.nodeagent.ingress.serving import HOST, LOOPBACK, World, world

GET = b"GET /echo HTTP/1.1\r\nHost: a.example\r\n\r\n"
LAST = b"GET /echo HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as made:
        yield made


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers={"Host": HOST}) as session:
        yield session


def url(here: World, path: str) -> str:
    return f"http://{LOOPBACK}:{here.port}{path}"


async def test_what_is_routed_is_what_is_sent(here: World) -> None:
    here.routed(await here.app())
    answer = await here.ask(b"GET /x/../%65cho//a%2fb?q=/../ HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["path"] == "/echo/a%2Fb?q=/../"


async def test_the_endpoint_learns_who_asked(here: World, client: aiohttp.ClientSession) -> None:
    here.routed(await here.app())
    lies = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https", "X-Real-Ip": "1.2.3.4", "Forwarded": "for=1"}
    async with client.get(url(here, "/echo"), headers=lies) as answer:
        headers = (await answer.json())["headers"]
    assert headers["host"] == [HOST] and headers["x-forwarded-host"] == [HOST]
    assert headers["x-forwarded-for"] == headers["x-real-ip"] == [LOOPBACK]
    assert (headers["x-forwarded-proto"], headers["x-forwarded-port"]) == (["http"], [str(here.port)])
    assert "forwarded" not in headers


async def test_bodies_stream_both_ways(here: World, client: aiohttp.ClientSession) -> None:
    here.routed(await here.app())

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"x" * 40_000

    async with client.post(url(here, "/upload"), data=pieces()) as answer:
        assert await answer.text() == "2000000"
    async with client.post(url(here, "/upload"), data=b"y" * 3_000_000, expect100=True) as answer:
        assert await answer.text() == "3000000"
    async with client.get(url(here, "/stream?pieces=200&size=5000")) as answer:
        assert len(await answer.read()) == 200 * 5 * 5000


async def test_an_answer_starts_before_it_ends(here: World, client: aiohttp.ClientSession) -> None:
    go_on = asyncio.Event()

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await go_on.wait()
        writer.write(b"6;ext=1\r\nsecond\r\n0\r\nTrailer: 1\r\n\r\n")
        await writer.drain()

    here.routed(await here.raw(slowly))
    async with client.get(url(here, "/")) as answer:
        assert await answer.content.readexactly(5) == b"first"
        go_on.set()
        assert await answer.content.read() == b"second"


async def test_a_websocket_passes(here: World, client: aiohttp.ClientSession) -> None:
    here.routed(await here.app())
    async with client.ws_connect(url(here, "/ws")) as socket:
        for word in ("one", "two"):
            await socket.send_str(word)
            assert await socket.receive_str() == f"echo {word}"


async def test_one_connection_serves_request_after_request(here: World) -> None:
    here.routed(await here.app())
    head = b"HEAD /echo HTTP/1.1\r\nHost: a.example\r\n\r\n"
    answer = await here.ask(GET + head + GET + LAST)
    assert answer.count(b"HTTP/1.1 200 OK") == 4 and answer.count(b'"method": "GET"') == 3


async def test_an_old_client_gets_an_answer_it_can_read(here: World) -> None:
    here.routed(await here.app())
    answer = await here.ask(b"GET /stream?pieces=3 HTTP/1.0\r\nHost: a.example\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == b"000000000100002" and b"chunked" not in head.lower()


async def test_an_answer_that_ends_with_the_connection_has_an_end_for_the_client(here: World) -> None:
    here.routed(await here.says(b"HTTP/1.1 200 OK\r\n\r\nuntil close"))
    answer = await here.ask(LAST)
    assert answer.endswith(b"b\r\nuntil close\r\n0\r\n\r\n")


async def test_codes_for_what_has_no_answer(here: World) -> None:
    assert await here.code(LAST) == 404
    here.routed()
    assert await here.code(LAST) == 503
    free = (LOOPBACK, 1)
    here.routed(free)
    assert await here.code(LAST) == 502
    for wrong in (b"", b"nonsense\r\n\r\n", b"HTTP/1.1 101 No\r\nUpgrade: x\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: b"):
        here.routed(await here.says(wrong))
        assert await here.code(LAST) == 502, wrong
    assert here.sample("tiphys_ingress_connect_failures_total") >= 1
    labels = {"namespace": "default", "ingress": "one", "service": "service-a.example", "method": "GET"}
    assert here.sample("tiphys_ingress_requests_total", **labels, code="502") == 5
    assert here.sample("tiphys_ingress_refused_total", code="404") == 1


async def test_an_answer_that_ends_early_never_looks_whole(here: World, client: aiohttp.ClientSession) -> None:
    for start in (b"Content-Length: 10\r\n\r\n12345", b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n"):
        here.routed(await here.says(b"HTTP/1.1 200 OK\r\n" + start))
        with pytest.raises(aiohttp.ClientError):
            async with client.get(url(here, "/")) as answer:
                await answer.read()


async def test_an_endpoint_that_does_not_answer_is_504(here: World) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    here.routed(await here.raw(silent), timeout_seconds=0.2)
    assert await here.code(LAST) == 504


async def test_a_request_goes_on_to_an_endpoint_that_can_be_reached(here: World, client: aiohttp.ClientSession) -> None:
    good = await here.app()
    here.routed((LOOPBACK, 1), good, (LOOPBACK, 2))
    for number in range(9):
        async with client.post(url(here, "/upload"), data=b"body") as answer:
            assert (answer.status, await answer.text()) == (200, "4"), number


async def test_a_kept_connection_that_the_endpoint_closed_costs_no_request(here: World) -> None:
    served = 0

    async def closes_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        await reader.readuntil(b"\r\n\r\n")
        served += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await reader.readuntil(b"\r\n\r\n")  # takes the next request, and is gone

    here.routed(await here.raw(closes_late))
    answer = await here.ask(GET + GET + LAST)
    assert answer.count(b"HTTP/1.1 200 OK") == 3 and served == 3
    post = b"POST /echo HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n"
    answer = await here.ask(GET + post)
    assert b"502" in answer, "what is not safe to repeat is not repeated"


async def test_unasked_bytes_of_an_endpoint_are_never_somebody_elses_answer(here: World) -> None:
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL"

    async def talks_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(evil)

    here.routed(await here.raw(talks_on))
    answer = await here.ask(GET + GET + LAST)
    assert answer.count(b"ok") == 3 and b"EVIL" not in answer


async def test_endpoints_take_turns_and_sticky_clients_stay(here: World) -> None:
    ports = [await here.says(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number) for number in range(3)]
    here.routed(*ports)
    seen = [(await here.ask(LAST))[-1:] for _ in range(6)]
    assert sorted(seen) == [b"0", b"0", b"1", b"1", b"2", b"2"]


async def test_a_new_table_is_in_force_at_once_and_breaks_nothing(here: World, client: aiohttp.ClientSession) -> None:
    old, new = await here.app(), await here.says(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew")
    here.routed(old)
    async with client.ws_connect(url(here, "/ws")) as socket:
        reader, writer = await asyncio.open_connection(LOOPBACK, here.port)
        writer.write(GET)
        assert b"200" in await reader.readuntil(b"}}")
        here.serving.table = Table()
        here.routed(new)
        writer.write(LAST)
        assert (await reader.read()).endswith(b"new"), "the same connection follows the new table"
        await socket.send_str("still")
        assert await socket.receive_str() == "echo still", "what is under way goes on"
        writer.close()


async def test_stopping_lets_what_is_under_way_end(here: World) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def waits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        begun.set()
        await go_on.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    here.routed(await here.raw(waits))
    asking = asyncio.create_task(here.ask(GET))
    await begun.wait()
    stopping = asyncio.create_task(here.listener.stop())
    await asyncio.sleep(0)
    go_on.set()
    assert (await asking).endswith(b"ok")
    await stopping


async def test_a_body_over_its_limit_is_413(here: World) -> None:
    here.routed(await here.app(), max_body_bytes=10)
    post = b"POST /upload HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n"
    assert await here.code(post + b"Content-Length: 10\r\n\r\n0123456789") == 200
    assert await here.code(post + b"Content-Length: 11\r\n\r\n0123456789x") == 413
    assert await here.code(post + b"Transfer-Encoding: chunked\r\n\r\nb\r\n0123456789x\r\n0\r\n\r\n") == 413


async def test_an_endpoint_may_answer_before_it_has_the_whole_body(here: World) -> None:
    here.routed(await here.says(b"HTTP/1.1 401 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"))
    reader, writer = await asyncio.open_connection(LOOPBACK, here.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000000\r\n\r\nbegin")
    assert b"401 No" in await reader.readuntil(b"no")
    writer.close()


async def test_https_is_asked_for_where_an_ingress_says_so(here: World) -> None:
    here.routed(await here.app(), https_redirect=True)
    answer = await here.ask(b"GET /a/../b?c HTTP/1.1\r\nHost: a.example:81\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 308 ")
    assert f"Location: https://a.example:{here.listener.https_port}/b?c\r\n".encode() in answer


async def test_one_client_can_hold_only_so_many_connections() -> None:
    async with world(Limits(connections_per_client=2, drain_seconds=1.0)) as here:
        here.routed(await here.app())
        held = [await asyncio.open_connection(LOOPBACK, here.port) for _ in range(2)]
        for reader, writer in held:
            writer.write(GET)
            assert b"200" in await reader.readuntil(b"}}")
        with pytest.raises((AssertionError, IndexError, ConnectionError)):
            assert await here.code(LAST) == 200
        for _, writer in held:
            writer.transport.abort()
        async with asyncio.timeout(5):
            while here.sample("tiphys_ingress_connections"):
                await asyncio.sleep(0.01)
        assert await here.code(LAST) == 200
