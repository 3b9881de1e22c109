"""The gRPC probe against a real gRPC server (grpcio), and against servers that are none."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc  # type: ignore[import-untyped]
import grpc.aio  # type: ignore[import-untyped]
import pytest
import pytest_asyncio

from nodeagent.pods.grpchealth import check

ASKED: list[bytes] = []


async def health(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
    """HealthCheckRequest.service is field 1; the answer's status is field 1, a number."""
    ASKED.append(request)
    service = request[2:].decode()
    if service == "unknown":
        await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
    if service == "slow":
        await asyncio.sleep(30)
    return {"ill": b"\x08\x02", "default": b""}.get(service, b"\x08\x01")


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(health)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler}),)
    )
    number = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield number
    await server.stop(0)


@pytest.mark.parametrize(
    ("service", "healthy", "text"),
    [
        ("", True, "SERVING"),
        ("my.Service", True, "SERVING"),
        ("x" * 100, True, "SERVING"),
        ("ill", False, 'service unhealthy (responded with "NOT_SERVING")'),
        ("default", False, 'service unhealthy (responded with "UNKNOWN")'),
        ("unknown", False, "health rpc failed: no health status"),
        ("slow", False, "health rpc did not complete"),
    ],
)
async def test_the_answer_of_a_real_server_decides(port: int, service: str, healthy: bool, text: str) -> None:
    ASKED.clear()
    success, output = await check("127.0.0.1", port, service, 0.6 if service == "slow" else 20)
    assert (success, text in output) == (healthy, True), output
    assert [b"\x0a" + bytes([len(service)]) + service.encode() if service else b""] == ASKED


async def test_a_server_without_the_service_is_not_healthy() -> None:
    server = grpc.aio.server()
    number = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    success, output = await check("127.0.0.1", number, "", 20)
    await server.stop(0)
    assert not success and output.startswith("health rpc failed: no health status (the service is unknown, or ")


async def test_nobody_there_is_said_with_the_systems_words() -> None:
    assert await check("127.0.0.1", 1, "", 20) == (
        False,
        'failed to connect service "127.0.0.1:1": connect: connection refused',
    )


async def answered(answer: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> tuple[bool, str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        try:
            await answer(writer)
        except ConnectionError:
            pass  # the probe had enough
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        return await check("127.0.0.1", server.sockets[0].getsockname()[1], "", 5)


@pytest.mark.parametrize("seed", range(20))
async def test_noise_is_never_health_and_never_hangs(seed: int) -> None:
    async def noise(writer: asyncio.StreamWriter) -> None:
        writer.write(random.Random(seed).randbytes(2000))
        await writer.drain()

    success, output = await answered(noise)
    assert not success and output.startswith("health rpc failed"), output


async def test_an_endless_answer_is_cut_off() -> None:
    async def flood(writer: asyncio.StreamWriter) -> None:
        frame = (1000).to_bytes(3) + bytes([0, 0]) + (3).to_bytes(4) + os.urandom(1000)
        while True:
            writer.write(frame)
            await writer.drain()

    assert await answered(flood) == (False, "health rpc failed: the answer is not gRPC, or too large")
