"""A listener on loopback with routes made by hand, endpoints that are real servers, and raw bytes as clients send."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

from aiohttp import WSMsgType, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from prometheus_client import CollectorRegistry

from nodeagent.ingress.connection import Serving
from nodeagent.ingress.limits import Limits
from nodeagent.ingress.listener import Listener
from nodeagent.ingress.program import serving as new_serving
from nodeagent.ingress.routing import Address, Backend, Route
from tiphys.api.core.secret import Secret
from tiphys.clock import SystemClock

LOOPBACK = "127.0.0.1"
HOST = "a.example"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class World:
    """`port` speaks http, `https_port` https; `routed` sends a host to endpoints."""

    serving: Serving
    listener: Listener
    registry: CollectorRegistry
    closers: list[Callable[[], Awaitable[object]]] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.listener.http_port

    def routed(self, *endpoints: Address, host: str = HOST, path: str = "/", **facts: float) -> None:
        backend = Backend("default", f"service-{host}", "80", endpoints)
        route = Route("default", "one", backend, **facts)  # type: ignore[arg-type]
        self.serving.table.host(host).prefixes.pop(path, None)
        self.serving.table.host(host).add(path, False, route)
        self.serving.backends.retain(endpoints)

    async def app(self) -> Address:
        """An endpoint with an aiohttp application: see `_application`."""
        runner = web.AppRunner(_application(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, 0).start()
        self.closers.append(runner.cleanup)
        return LOOPBACK, int(runner.addresses[0][1])

    async def raw(self, handler: Handler) -> Address:
        """An endpoint that does what `handler` does."""

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, EOFError):
                await handler(reader, writer)
            writer.close()

        server = await asyncio.start_server(handle, LOOPBACK, 0)

        async def close() -> None:
            server.close()

        self.closers.append(close)
        return LOOPBACK, server.sockets[0].getsockname()[1]

    async def says(self, data: bytes) -> Address:
        """An endpoint that answers every request head with these bytes and closes."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(data)
            await writer.drain()

        return await self.raw(answer)

    async def ask(self, data: bytes) -> bytes:
        """All that comes back until the connection ends; `data` may hold several requests."""
        reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
        try:
            writer.write(data)
            async with asyncio.timeout(20):
                return await reader.read()
        finally:
            writer.transport.abort()

    async def code(self, data: bytes) -> int:
        return int((await self.ask(data)).split(b" ", 2)[1])

    def sample(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


@contextlib.asynccontextmanager
async def world(limits: Limits | None = None) -> AsyncIterator[World]:
    registry = CollectorRegistry()
    serving = new_serving(registry, SystemClock(), limits or Limits(drain_seconds=2.0))
    listener = Listener(serving, LOOPBACK, 0, 0)
    await listener.start()
    made = World(serving, listener, registry)
    try:
        yield made
    finally:
        await listener.stop()
        serving.backends.close()
        for close in reversed(made.closers):
            await close()


def _application() -> web.Application:
    """/echo gives the request back as JSON; /upload counts; /stream sends pieces; /ws is an echo; /slow waits."""

    async def echo(request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): request.headers.getall(name) for name in request.headers}
        raw = {"path": request.raw_path, "method": request.method, "body": body.decode(errors="replace")}
        return web.json_response({**raw, "headers": headers})

    async def upload(request: web.Request) -> web.Response:
        total = 0
        async for piece in request.content.iter_any():
            total += len(piece)
        return web.Response(text=str(total))

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for number in range(int(request.query["pieces"])):
            await response.write(b"%05d" % number * int(request.query.get("size", "1")))
        await response.write_eof()
        return response

    async def socket(request: web.Request) -> web.WebSocketResponse:
        peer = web.WebSocketResponse()
        await peer.prepare(request)
        async for message in peer:
            if message.type is WSMsgType.TEXT:
                await peer.send_str("echo " + message.data)
        return peer

    application = web.Application(client_max_size=1 << 30)
    application.router.add_route("POST", "/upload", upload)
    application.router.add_get("/stream", stream)
    application.router.add_get("/ws", socket)
    application.router.add_route("*", "/{path:.*}", echo)
    return application


def certificate(name: str) -> tuple[bytes, bytes]:
    """A self-signed certificate of a host, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = SystemClock().now()
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(hours=1))
    builder = builder.not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    made = builder.sign(key, hashes.SHA256())
    return made.public_bytes(pem), key.private_bytes(pem, form, serialization.NoEncryption())


def secret(name: str, version: str, crt: bytes, key: bytes) -> Secret:
    data = {"tls.crt": base64.b64encode(crt).decode(), "tls.key": base64.b64encode(key).decode()}
    metadata = {"name": name, "namespace": "default", "uid": name, "resourceVersion": version}
    return Secret.model_validate({"metadata": metadata, "type": "kubernetes.io/tls", "data": data})
