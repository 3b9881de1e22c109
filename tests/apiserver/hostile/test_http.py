"""HTTP that two readers could understand differently, bodies that lie about themselves, clients that take time."""

from __future__ import annotations

import asyncio
import contextlib
import gzip

import pytest

from tests.apiserver.hostile.conftest import BODY_SECONDS, IDLE_SECONDS
from tests.apiserver.hostile.target import CONFIGMAPS, MIB, Target, statuses

pytestmark = pytest.mark.asyncio(loop_scope="module")

GET = b"GET /version HTTP/1.1\r\nHost: x\r\n"
OBJECT = b'{"metadata":{"generateName":"raw-"}}'
LENGTH = str(len(OBJECT)).encode()


def post(headers: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    start = b"POST " + CONFIGMAPS.encode() + b" HTTP/" + version + b"\r\nHost: x\r\nContent-Type: application/json\r\n"
    return start + headers + b"\r\n" + body


CHUNKED = b"Transfer-Encoding: chunked\r\n"
SMUGGLED = b"0\r\n\r\n" + GET + b"\r\n"
AMBIGUOUS = {
    "length and chunked": post(b"Content-Length: 4\r\n" + CHUNKED, SMUGGLED),
    "chunked and length": post(CHUNKED + b"Content-Length: 4\r\n", SMUGGLED),
    "two lengths": post(b"Content-Length: 0\r\nContent-Length: " + LENGTH + b"\r\n", OBJECT),
    "the same length twice": post(b"Content-Length: " + LENGTH + b"\r\nContent-Length: " + LENGTH + b"\r\n", OBJECT),
    "a list of lengths": post(b"Content-Length: 0, " + LENGTH + b"\r\n", OBJECT),
    "a signed length": post(b"Content-Length: +" + LENGTH + b"\r\n", OBJECT),
    "a negative length": post(b"Content-Length: -1\r\n", OBJECT),
    "a length in hexadecimal": post(b"Content-Length: 0x24\r\n", OBJECT),
    "a length beyond 64 bits": post(b"Content-Length: 99999999999999999999999999\r\n", OBJECT),
    "space before the colon": post(b"Content-Length : " + LENGTH + b"\r\n", OBJECT),
    "a length shorter than the body": post(b"Content-Length: 10\r\n", OBJECT),
    "bare line feeds": b"GET /version HTTP/1.1\nHost: x\n\n",
    "a bare line feed between headers": b"GET /version HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
    "a bare carriage return": b"GET /version HTTP/1.1\r\nHost: x\rA: b\r\n\r\n",
    "a folded header": GET + b"A: b\r\n c\r\n\r\n",
    "a null in a header": GET + b"A: b\0c\r\n\r\n",
    "a chunk extension with a bare line feed": post(CHUNKED, b"24;a\n" + OBJECT + b"\r\n0\r\n\r\n"),
    "a chunk size that is no number": post(CHUNKED, b"zz\r\n" + OBJECT + b"\r\n0\r\n\r\n"),
    "a chunk size beyond 64 bits": post(CHUNKED, b"ffffffffffffffffff\r\n" + OBJECT + b"\r\n0\r\n\r\n"),
    "a chunk longer than its size": post(CHUNKED, b"5\r\n" + OBJECT + b"\r\n0\r\n\r\n"),
    "another transfer encoding": post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"),
    "chunked, then identity": post(b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n"),
    "gzip, then chunked": post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
    "chunked twice": post(CHUNKED + CHUNKED, b"0\r\n\r\n"),
    "chunked in HTTP/1.0": post(CHUNKED, b"24\r\n" + OBJECT + b"\r\n0\r\n\r\n", b"1.0"),
    "no host": b"GET /version HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /version HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "two content types": post(b"Content-Type: application/yaml\r\nContent-Length: " + LENGTH + b"\r\n", OBJECT),
    "a version from the future": b"GET /version HTTP/9.9\r\nHost: x\r\n\r\n",
    "HTTP/2 without negotiation": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a space in the path": b"GET /ver sion HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes in the path": b"GET /v\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes in a header": GET + b"Authorization: Bearer \xff\xfe\xfd\r\n\r\n",
    "another host's URL": b"GET http://evil/version HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tunnel": b"CONNECT evil:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    "no HTTP at all": b"\x16\x03\x01" * 20 + b"\r\n\r\n",
    "100 kB in one header": GET + b"A: " + b"a" * 100_000 + b"\r\n\r\n",
    "5,000 headers": GET + b"".join(b"A%d: b\r\n" % number for number in range(5000)) + b"\r\n",
    "a URL of 1 MB": b"GET /api/v1/pods?labelSelector=" + b"a," * 500_000 + b"a HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", AMBIGUOUS)
async def test_what_two_readers_could_split_differently_is_refused_and_the_connection_closed(
    target: Target, name: str
) -> None:
    codes, received, closed = await target.raw(AMBIGUOUS[name] + GET + b"\r\n", seconds=3)
    assert closed, "nothing after the doubtful request is read"
    assert codes in ([400], [400, 400]), received[-300:]
    assert b"\r\nServer:" not in received and b"evil" not in received
    if b'"kind":"Status"' not in received:  # broken HTTP, as against a request that we do not like
        head, _, body = received.partition(b"\r\n\r\n")
        assert body == b"400 Bad Request" and b"text/plain; charset=utf-8" in head and b"Connection: close" in head


async def test_control_of_the_raw_requests(target: Target) -> None:
    """The same bytes without the trick are served: a length, chunks, a chunk extension, three requests at once."""
    one = post(b"Content-Length: " + LENGTH + b"\r\n", OBJECT)
    chunks = post(CHUNKED, b"24\r\n" + OBJECT + b"\r\n0\r\n\r\n")
    extended = post(CHUNKED, b"24;a=b\r\n" + OBJECT + b"\r\n0\r\n\r\n")
    codes, _, closed = await target.raw(one + chunks + extended + (GET + b"\r\n") * 3, seconds=1)
    assert codes == [201, 201, 201, 200, 200, 200] and not closed


async def test_a_path_that_can_be_read_in_two_ways_is_never_served(target: Target) -> None:
    secret = {"metadata": {"name": "hidden"}}
    await target.must("POST", "/api/v1/namespaces/kube-system/secrets", secret)
    assert (await target.request("GET", "/api/v1/namespaces/kube-system/secrets/hidden")).status == 200, "control"
    for path in (
        "/api/v1/namespaces/default/../kube-system/secrets/hidden",
        "/api/v1/namespaces/default/%2e%2e/kube-system/secrets/hidden",
        "/api/v1/namespaces/kube-system%2fsecrets%2fhidden",
        "/api/v1/namespaces/kube-system/secrets%2Fhidden",
        "/api/v1/namespaces//kube-system/secrets/hidden",
        "//api/v1/namespaces/kube-system/secrets/hidden",
        "/version/../api/v1/namespaces/kube-system/secrets/hidden",
        "/api/v1/namespaces/kube-system/secrets/hidden;a=b",
        "/api/v1/namespaces/kube-system;/secrets/hidden",
        "/api/v1/namespaces/kube-system/secrets/hidden%00",
        "/api/v1/namespaces/kube-system/secrets/hidden%5c",
        "/api/v1/namespaces/kube-system/secrets/%252e%252e",
        "/api/v1/namespaces/kube-system/secrets/hidden%",
        "/api/v1/namespaces/kube-system/secrets/hidden%zz",
        "/api/v1/namespaces/kube-system/secrets/hidden%c0%af",
        "/API/v1/namespaces/kube-system/secrets/hidden",
    ):
        answer = await target.request("GET", path)
        assert answer.status in (400, 404), (path, answer.status)


async def test_identity_headers_without_a_front_proxy_are_ignored(target: Target) -> None:
    path = "/api/v1/namespaces/kube-system/secrets"
    claims = {
        "X-Remote-User": "kubernetes-admin",
        "X-Remote-Group": "system:masters",
        "X-Remote-Extra-Scopes": "all",
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-User": "kubernetes-admin",
        "X-Ssl-Client-S-Dn": "CN=kubernetes-admin,O=system:masters",
    }
    assert (await target.request("GET", path)).status == 200, "control: an administrator may"
    assert (await target.request("GET", path, identity="", headers=claims)).status in (401, 403)
    assert (await target.request("GET", path, identity="node-n1", headers=claims)).status == 403


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, identity", "x"])
async def test_a_compressed_body_is_refused_before_it_is_unpacked(target: Target, encoding: str) -> None:
    bomb = gzip.compress(b"[" * 50_000_000)
    before = target.memory_bytes()
    answer, seconds = await target.timed("POST", CONFIGMAPS, bomb, headers={"Content-Encoding": encoding})
    assert answer.status == 415 and answer.json["kind"] == "Status"
    assert seconds <= 0.1 and target.memory_bytes() - before < 16 * MIB
    headers = {"Content-Encoding": "identity"}
    assert (await target.request("POST", CONFIGMAPS, OBJECT, headers=headers)).status == 201, "control"


async def test_three_mebibytes_are_read_and_one_more_byte_is_not(target: Target) -> None:
    def body(size: int) -> bytes:
        start, end = b'{"metadata":{"generateName":"big-"},"data":{"a":"', b'"}}'
        return start + b"x" * (size - len(start) - len(end)) + end

    within, seconds = await target.timed("POST", CONFIGMAPS, body(3 * MIB))
    assert within.status == 422 and "Too long" in within.json["message"], "control: it was read, and judged"
    beyond = await target.request("POST", CONFIGMAPS, body(3 * MIB + 1))
    assert beyond.status == 413 and beyond.json["reason"] == "RequestEntityTooLarge"
    assert seconds < 0.3


async def test_an_endless_body_is_cut_at_the_limit(target: Target) -> None:
    before = target.memory_bytes()
    async with target.connection() as (reader, writer):
        writer.write(post(CHUNKED))
        answer = asyncio.create_task(target.received(reader, 10))
        for _ in range(2000):
            if answer.done():
                break
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            try:
                await writer.drain()
            except OSError:
                break
        received, closed = await answer
    assert statuses(received)[:1] == [413] or not received, received[:300]
    assert closed and target.memory_bytes() - before < 32 * MIB


async def test_a_body_that_trickles_in_is_given_up_after_a_while(target: Target) -> None:
    async with target.connection() as (reader, writer):
        answer = asyncio.create_task(target.received(reader, BODY_SECONDS * 4))
        started = asyncio.get_running_loop().time()
        writer.write(post(b"Content-Length: 1000\r\n"))
        while not answer.done():
            writer.write(b" ")
            await asyncio.wait([answer], timeout=0.2)
        received, closed = answer.result()
        took = asyncio.get_running_loop().time() - started
    assert statuses(received) == [408] and closed
    assert BODY_SECONDS * 0.9 <= took < BODY_SECONDS * 2 + 1.5


async def test_a_body_that_never_comes_whole_is_given_up(target: Target) -> None:
    codes, _, closed = await target.raw(post(b"Content-Length: 4000\r\n", OBJECT), seconds=BODY_SECONDS * 3)
    assert codes == [408] and closed
    slow_but_whole = post(b"Content-Length: " + LENGTH + b"\r\n")
    async with target.connection() as (reader, writer):
        writer.write(slow_but_whole + OBJECT[:10])
        await asyncio.sleep(BODY_SECONDS / 4)
        writer.write(OBJECT[10:])
        received, _ = await target.received(reader, 1)
    assert statuses(received) == [201], "control: slow is allowed"


async def test_headers_that_trickle_in_are_given_up_as_well(target: Target) -> None:
    async with target.connection() as (reader, writer):
        answer = asyncio.create_task(target.received(reader, IDLE_SECONDS * 3))
        writer.write(GET)
        while not answer.done():
            writer.write(b"A: b\r\n")
            await asyncio.wait([answer], timeout=0.3)
        _, closed = answer.result()
    assert closed


async def test_a_hundred_clients_that_say_nothing_do_not_keep_others_out(target: Target) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(100):
            _, writer = await stack.enter_async_context(target.connection())
            writer.write(GET)
        answer = await asyncio.wait_for(target.request("GET", "/readyz"), 5)
        assert answer.status == 200


@pytest.mark.parametrize("path", ["/version", "/api/v1/pods", "/api/v1/pods?watch=true&timeoutSeconds=1", "/nothing"])
async def test_head_has_no_body_that_could_pass_for_the_next_answer(target: Target, path: str) -> None:
    await target.request("POST", CONFIGMAPS, OBJECT)
    head = b"HEAD " + path.encode() + b" HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n"
    codes, received, _ = await target.raw(head + GET + b"\r\n", seconds=1)
    assert len(codes) == 2 and codes[1] == 200
    first, second = received.index(b"\r\n\r\n") + 4, received.rindex(b"HTTP/1.1 ")
    assert first == second, received[first:second]
