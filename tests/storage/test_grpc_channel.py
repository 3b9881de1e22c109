"""Our side of gRPC against grpcio's server, and against servers that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest

from apiserver.storage import http2
from apiserver.storage.grpc_channel import Channel
from apiserver.storage.http2 import RpcError

ECHO, FAIL, HANG, COUNT = ("/test.Service/" + name for name in ("Echo", "Fail", "Hang", "Count"))
MIB = 1 << 20


class Service:
    """Echo answers the question, Fail fails, Hang does not answer, Count streams as many messages as asked."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()

    async def __aenter__(self) -> str:
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._server = grpc.aio.server(options=options)
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
        handlers = {
            "Echo": unary(self._echo),
            "Fail": unary(self._fail),
            "Hang": unary(self._hang),
            "Count": stream(self._count),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", handlers),))
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return f"127.0.0.1:{port}"

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(None)

    async def _echo(self, request: bytes, _context: object) -> bytes:
        return request

    async def _fail(self, request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.OUT_OF_RANGE, "100 % ü " + request.decode())
        return b""

    async def _hang(self, _request: bytes, _context: object) -> bytes:
        try:
            await asyncio.sleep(3600)
        finally:
            self.cancelled.set()
        return b""

    async def _count(self, requests: AsyncIterator[bytes], _context: object) -> AsyncIterator[bytes]:
        count, size = (await anext(requests)).split()
        for number in range(int(count)):
            yield b"%d " % number + b"x" * int(size)


@pytest.fixture
async def service() -> Service:
    return Service()


async def test_many_calls_at_once_get_their_own_answers(service: Service) -> None:
    async with service as endpoint:
        channel = Channel([endpoint], None)
        questions = [os.urandom(number * 37 % 3000) for number in range(300)]
        answers = await asyncio.gather(*(channel.call(ECHO, question, 10) for question in questions))
        assert answers == questions
        await channel.close()


async def test_messages_longer_than_any_window_pass_both_ways(service: Service) -> None:
    async with service as endpoint:
        channel = Channel([endpoint], None)
        questions = [os.urandom(http2.STREAM_WINDOW + 3 * MIB), os.urandom(3 * MIB), b"", os.urandom(70_000)]
        assert await asyncio.gather(*(channel.call(ECHO, question, 30) for question in questions)) == questions
        await channel.close()


async def test_a_stream_of_more_than_all_windows_is_complete_and_in_order(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http2, "STREAM_WINDOW", 200_000)
    monkeypatch.setattr(http2, "CONNECTION_WINDOW", 400_000)
    monkeypatch.setattr("apiserver.storage.grpc_channel.STREAM_WINDOW", 200_000)
    async with service as endpoint:
        channel = Channel([endpoint], None)
        for count, size in ((3000, 700), (20, 300_000)):
            seen = [one.split(b" ")[0] async for one in channel.stream(COUNT, b"%d %d" % (count, size))]
            assert seen == [b"%d" % number for number in range(count)]
        await channel.close()


async def test_a_stream_that_nobody_reads_stops_the_server(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2, "STREAM_WINDOW", 200_000)
    async with service as endpoint:
        channel = Channel([endpoint], None)
        async with contextlib.aclosing(channel.stream(COUNT, b"100000 1000")) as answers:
            await anext(answers)
            assert await channel.call(ECHO, b"others go on", 10) == b"others go on"
            await asyncio.sleep(0.2)
            connection = channel._connection
            assert connection is not None
            (stream,) = connection._streams.values()
            assert len(stream.receiver.messages) <= 250  # type: ignore[attr-defined]
        await channel.close()


async def test_a_failure_carries_its_status_and_text(service: Service) -> None:
    async with service as endpoint:
        channel = Channel([endpoint], None)
        for _ in range(3):  # the same headers again
            with pytest.raises(RpcError) as caught:
                await channel.call(FAIL, b"text", 10)
            assert (caught.value.code, caught.value.details) == (http2.OUT_OF_RANGE, "100 % ü text")
        with pytest.raises(RpcError) as caught:
            await channel.call("/test.Service/None", b"", 10)
        assert caught.value.code == 12
        await channel.close()


async def test_a_call_that_takes_too_long_or_is_cancelled_ends_on_the_server_too(service: Service) -> None:
    async with service as endpoint:
        channel = Channel([endpoint], None)
        with pytest.raises(RpcError) as caught:
            await channel.call(HANG, b"", 0.1)
        assert caught.value.code == http2.DEADLINE_EXCEEDED
        async with asyncio.timeout(10):
            await service.cancelled.wait()
        assert await channel.call(ECHO, b"more", 10) == b"more"
        await channel.close()


async def test_when_the_server_goes_every_call_ends_and_the_next_server_is_found(service: Service) -> None:
    other = Service()
    async with other as second:
        async with service as first:
            channel = Channel([first, second], None)
            assert await channel.call(ECHO, b"a", 10) == b"a"
            hanging = [asyncio.create_task(channel.call(HANG, b"", 60)) for _ in range(5)]
            await asyncio.sleep(0.05)
        for failure in await asyncio.gather(*hanging, return_exceptions=True):
            assert isinstance(failure, RpcError) and failure.code in (http2.UNAVAILABLE, http2.CANCELLED)
        assert await channel.call(ECHO, b"b", 10) == b"b"
        await channel.close()
    with pytest.raises(RpcError) as caught:
        await channel.call(ECHO, b"c", 10)
    assert caught.value.code == http2.UNAVAILABLE


Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
FRAMES = {
    "HTTP/1.1": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a broken header block": b"\0\0\x02\x01\x05\0\0\0\x01\xff\xff",
    "a goodbye": b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0b",
    "nothing": b"",
    "half a frame": b"\0\0",
}


@pytest.mark.parametrize("answer", FRAMES)
async def test_a_server_that_speaks_something_else_is_unavailable(answer: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(FRAMES[answer])
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    channel = Channel([f"127.0.0.1:{port}"], None)
    with pytest.raises(RpcError) as caught:
        await channel.call(ECHO, b"x", 10)
    assert caught.value.code == http2.UNAVAILABLE
    await channel.close()
    server.close()


async def test_a_server_that_falls_silent_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2, "KEEPALIVE_SECONDS", 0.1)
    monkeypatch.setattr(http2, "KEEPALIVE_TIMEOUT_SECONDS", 0.1)
    asked = bytearray()

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            asked.extend(data)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    channel = Channel([f"127.0.0.1:{server.sockets[0].getsockname()[1]}"], None)
    with pytest.raises(RpcError, match="does not answer"):
        await channel.call(ECHO, b"x", 30)
    assert b"\x06\0\0\0\0\0" + b"\0" * 8 in asked, "it was asked before it was given up"
    await channel.close()
    server.close()
