"""What the Ingress controller costs: requests per second and added latency against the endpoint asked directly.

`python -m tests.benchmarks.ingress`.  Endpoint, controller and client are three processes on loopback; the same client
asks the endpoint directly, through the controller, and through a proxy of a few lines on aiohttp for comparison.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry

from nodeagent.ingress.listener import Listener
from nodeagent.ingress.program import serving
from nodeagent.ingress.routing import Backend, Route
from tests.benchmarks.load import percentile
from tests.benchmarks.meter import busy_share, cpu_seconds
from tiphys.clock import SystemClock

LOOPBACK = "127.0.0.1"
CLIENTS, REQUESTS = 16, 12_000
BODY = b"x" * 1024
REQUEST = b"GET /shop/cart?item=1 HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\nUser-Agent: bench\r\n\r\n"


async def endpoint() -> int:
    """A server that is far faster than anything before it."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.transport.write(answer)  # type: ignore[attr-defined]

    server = await asyncio.get_running_loop().create_server(Protocol, LOOPBACK, 0)
    return int(server.sockets[0].getsockname()[1])


async def controller(port: int) -> int:
    serves = serving(CollectorRegistry(), SystemClock())
    route = Route("default", "bench", Backend("default", "bench", "80", ((LOOPBACK, port),)))
    serves.table.host("shop.example").add("/shop", False, route)
    for number in range(1000):
        serves.table.host(f"other-{number}.example").add("/", False, route)
    listener = Listener(serves, LOOPBACK, 0, 0)
    await listener.start()
    return listener.http_port


async def aiohttp_proxy(port: int) -> int:
    session = aiohttp.ClientSession(auto_decompress=False)

    async def handle(request: web.Request) -> web.StreamResponse:
        url = f"http://{LOOPBACK}:{port}{request.raw_path}"
        async with session.request(request.method, url, headers=request.headers, data=None) as answer:
            response = web.StreamResponse(status=answer.status)
            response.content_length = answer.content_length
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0).start()
    return int(runner.addresses[0][1])


def forked(start: Callable[[], Awaitable[int]]) -> tuple[int, int]:
    """A process that serves until it is ended: its id and port."""
    receive, send = os.pipe()
    pid = os.fork()
    if pid:
        os.close(send)
        with os.fdopen(receive) as file:
            return pid, int(file.readline())

    async def serve() -> None:
        os.write(send, f"{await start()}\n".encode())
        await asyncio.Event().wait()

    try:
        asyncio.run(serve())
    finally:
        os._exit(0)


async def drive(port: int, clients: int, total: int) -> tuple[float, list[float]]:
    """Requests per second, and milliseconds of each."""
    times: list[float] = []
    numbers = iter(range(total))

    async def client() -> None:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        for _ in numbers:
            begin = time.perf_counter()
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            await reader.readexactly(len(BODY))
            times.append((time.perf_counter() - begin) * 1e3)
        writer.close()

    begin = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return total / (time.perf_counter() - begin), times


def main() -> int:
    print(f"others use {busy_share():.0%} of the CPUs", flush=True)
    pid, port = forked(endpoint)
    ways = {"direct": (pid, port), "controller": forked(lambda: controller(port))}
    ways["aiohttp proxy"] = forked(lambda: aiohttp_proxy(port))
    try:
        for name, (server, where) in ways.items():
            asyncio.run(drive(where, CLIENTS, 1000))  # warm
            before = cpu_seconds([server])
            rate, _ = asyncio.run(drive(where, CLIENTS, REQUESTS))
            spent = (cpu_seconds([server]) - before) / REQUESTS * 1e6
            _, alone = asyncio.run(drive(where, 1, 2000))
            p50, p99 = percentile(alone, 0.5), percentile(alone, 0.99)
            latency = f"one client: p50 {p50:.3f} ms p99 {p99:.3f} ms"
            print(f"{name:14} {rate:8.0f} requests/s  {spent:5.0f} us CPU each  {latency}")
    finally:
        for server, _ in ways.values():
            os.kill(server, signal.SIGKILL)
            os.waitpid(server, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
