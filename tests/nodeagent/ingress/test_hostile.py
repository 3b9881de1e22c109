"""Clients that mean harm: smuggling, endless heads, trickling bytes.  Each refusal beside a request that is served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from nodeagent.ingress.limits import Limits
from tests.nodeagent.ingress.serving import LOOPBACK, World, world

QUICK = Limits(head_seconds=0.3, keep_alive_seconds=0.6, body_idle_seconds=0.3, drain_seconds=1.0)
POST = b"POST /echo HTTP/1.1\r\nHost: a.example\r\n"
SECRET = b"GET /secret HTTP/1.1\r\nHost: a.example\r\n\r\n"


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world(QUICK) as made:
        made.routed(await made.app())
        made.routed(host=("a.example"), path="/secret")  # answers 503: whoever gets there has smuggled
        yield made


SMUGGLING = [
    b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
    b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nX",
    b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n\r\n0\r\n\r\n",
    b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n",
    b"Content-Length: 0\n\r\n",
    b"Content-Length : 44\r\n\r\n",
    b"X: y\r\n Content-Length: 44\r\n\r\n",
    b"Host: b.example\r\n\r\n",
]


@pytest.mark.parametrize("rest", SMUGGLING)
async def test_a_second_request_cannot_hide_in_a_first(here: World, rest: bytes) -> None:
    answer = await here.ask(POST + rest + SECRET)
    assert answer.count(b"HTTP/1.1 ") == 1 and answer[9:12] in (b"400", b"501")
    answer = await here.ask(POST + b"Content-Length: %d\r\n\r\n" % len(SECRET) + SECRET)
    assert answer.count(b"HTTP/1.1 ") == 1 and b"200 OK" in answer, "as a body it is a body"


CHUNKS = [b"-1\r\n", b"0x5\r\nhello\r\n0\r\n\r\n", b"5\nhello\r\n0\r\n\r\n", b"5 5\r\nhello\r\n0\r\n\r\n", b"\r\n"]
CHUNKS += [b"5\r\nhelloXX0\r\n\r\n", b"f" * 17 + b"\r\n", b"5;" + b"e" * 2000 + b"\r\nhello\r\n0\r\n\r\n"]


@pytest.mark.parametrize("chunks", CHUNKS)
async def test_malformed_chunks_end_the_connection(here: World, chunks: bytes) -> None:
    answer = await here.ask(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + SECRET)
    assert answer.count(b"HTTP/1.1 ") == 1 and answer[9:12] == b"400"


async def test_the_same_chunks_well_formed_are_served(here: World) -> None:
    data = POST + b"Transfer-Encoding: chunked\r\n\r\n5;e=1\r\nhello\r\n0\r\nX: y\r\n\r\n" + SECRET
    answer = await here.ask(data)
    assert answer.count(b"HTTP/1.1 ") == 2 and b"hello" in answer and b"503" in answer


PATHS = [b"/x/../secret", b"/%73ecret", b"//secret", b"/./secret", b"/secret/", b"/x/%2e%2e/secret/y"]


@pytest.mark.parametrize("path", PATHS)
async def test_no_spelling_goes_around_a_rule(here: World, path: bytes) -> None:
    assert await here.code(b"GET %b HTTP/1.1\r\nHost: A.EXAMPLE.:80\r\nConnection: close\r\n\r\n" % path) == 503
    assert await here.code(b"GET /other HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n") == 200


@pytest.mark.parametrize("path", [b"/x/..%2fsecret", b"/x/..;/secret", b"/x\\..\\secret", b"/secret%00", b"/\xff"])
async def test_a_path_that_servers_read_differently_is_refused(here: World, path: bytes) -> None:
    assert await here.code(b"GET %b HTTP/1.1\r\nHost: a.example\r\n\r\n" % path) == 400


@pytest.mark.parametrize("method", [b"CONNECT", b"TRACE"])
async def test_methods_that_are_not_for_servers_are_refused(here: World, method: bytes) -> None:
    assert await here.code(method + b" /x HTTP/1.1\r\nHost: a.example\r\n\r\n") == 405


async def test_an_endless_head_is_431(here: World) -> None:
    assert await here.code(POST + b"X: " + b"y" * 40_000 + b"\r\n\r\n") == 431
    assert await here.code(POST + b"X: y\r\n" * 101 + b"\r\n") == 431


async def test_a_trickling_head_ends_at_its_time_whatever_comes() -> None:
    async with world(Limits(head_seconds=0.3, drain_seconds=1.0)) as here:
        reader, writer = await asyncio.open_connection(LOOPBACK, here.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a.example\r\n")

        async def trickle() -> None:
            while True:
                writer.write(b"X: y\r\n")
                await asyncio.sleep(0.05)

        trickling = asyncio.create_task(trickle())
        async with asyncio.timeout(10):
            assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        trickling.cancel()
        writer.transport.abort()


async def test_a_body_that_stops_is_408_and_an_idle_connection_just_ends(here: World) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, here.port)
    writer.write(POST + b"Content-Length: 10\r\n\r\n12345")
    async with asyncio.timeout(10):
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
    reader, idle = await asyncio.open_connection(LOOPBACK, here.port)
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.transport.abort()
    idle.transport.abort()


async def test_pages_never_repeat_what_a_client_said(here: World) -> None:
    answer = await here.ask(b"GET /<script>alert(1)</script> HTTP/1.1\r\nHost: unknown.example\r\n\r\n")
    assert b"404" in answer and b"script" not in answer and b"unknown.example" not in answer
