"""port-forward at the agent's door: SPDY in a WebSocket, targets in a network namespace of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import struct
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from nodeagent.runtime import syscalls
from nodeagent.runtime.interface import SandboxSpec
from nodeagent.runtime.sandbox import PodSandboxes, in_thread
from nodeagent.server import forwarding, portforward, spdy
from nodeagent.server.portforward import PROTOCOL, PortForwardRoute
from tests.nodeagent.cluster import eventually
from tests.nodeagent.server.test_spdy import HOSTILE, control
from tiphys.api.core.pod import Pod

pytestmark = pytest.mark.timeout(60)
ECHO, SILENT, LAST_WORDS = 7001, 7002, 7003


class Peer:
    """A client: streams by id, data and end of each."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse[Any]) -> None:
        self.connection = connection
        self.encoder, self._decoder = spdy.Encoder(), spdy.Decoder()
        self.data: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.reset: dict[int, int] = {}
        self.pings: list[int] = []
        self.closed = False
        self._next = 1
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self.connection:
            assert message.type is WSMsgType.BINARY
            for frame in self._decoder.feed(message.data):
                if isinstance(frame, spdy.Data):
                    self.data[frame.stream_id] = self.data.get(frame.stream_id, b"") + frame.data
                    if frame.fin:
                        self.ended.add(frame.stream_id)
                elif isinstance(frame, spdy.RstStream):
                    self.reset[frame.stream_id] = frame.status
                elif isinstance(frame, spdy.Ping):
                    self.pings.append(frame.ping_id)
        self.closed = True

    async def send(self, frame: bytes) -> None:
        await self.connection.send_bytes(frame)

    async def open(self, port: int | str, kinds: str = "error data", request: str = "") -> tuple[int, ...]:
        """Stream ids, one per kind."""
        request = request or str(self._next)
        ids = []
        for kind in kinds.split():
            headers = {"streamtype": kind, "port": str(port), "requestid": request}
            await self.send(self.encoder.syn_stream(self._next, headers))
            ids.append(self._next)
            self._next += 2
        return tuple(ids)

    async def until(self, what: str) -> None:
        """Waits until the expression over self is true."""

        async def holds() -> bool:
            return bool(eval(what, {"self": self}))

        await eventually(holds, what, 15)

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)


@dataclass
class Gate:
    port: int
    session: aiohttp.ClientSession
    connections: list[asyncio.StreamWriter] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def peer(self) -> AsyncIterator[Peer]:
        url = f"http://127.0.0.1:{self.port}/portForward/default/p"
        async with self.session.ws_connect(url, protocols=(PROTOCOL,)) as connection:
            peer = Peer(connection)
            try:
                yield peer
            finally:
                await peer.close()

    def footprint(self) -> tuple[int, int]:
        return sum(1 for _ in Path("/proc/self/fd").iterdir()), len(asyncio.all_tasks())

    async def settles(self, before: tuple[int, int]) -> None:
        async def settled() -> bool:
            return all(now <= then for now, then in zip(self.footprint(), before, strict=True))

        try:
            await eventually(settled, "everything is given back", 15)
        except AssertionError:
            raise AssertionError(f"{before} {self.footprint()} {asyncio.all_tasks()}") from None


def _listen(netns: str, port: int) -> socket.socket:
    """In a thread of its own."""
    fd = os.open(netns, os.O_RDONLY)
    syscalls.setns(fd, syscalls.CLONE_NEWNET)
    os.close(fd)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    return socket.create_server(("127.0.0.1", port), backlog=256)


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Gate]:
    sandboxes = PodSandboxes(tmp_path / "sandboxes", None)
    await sandboxes.open()
    sandbox = await sandboxes.create(SandboxSpec("pod", "p"))
    netns = sandbox.namespaces.net
    pod = Pod.model_validate({"metadata": {"name": "p", "namespace": "default", "uid": "pod"}})
    gate = Gate(0, aiohttp.ClientSession())

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write(b"bye")
        writer.close()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gate.connections.append(writer)
        writer.transport.pause_reading()  # type: ignore[attr-defined]

    async def last_words(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"words")
        await writer.drain()
        writer.close()

    servers = []
    for port, serve in ((ECHO, echo), (SILENT, silent), (LAST_WORDS, last_words)):
        listening = await in_thread(lambda port=port: _listen(netns, port))  # type: ignore[misc]
        servers.append(await asyncio.start_server(serve, sock=listening))
    app = web.Application()
    route = PortForwardRoute(lambda _, name: pod if name == "p" else None, lambda uid: netns)
    app.router.add_get("/portForward/{namespace}/{pod}", route.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    gate.port = runner.addresses[0][1]
    yield gate
    await gate.session.close()
    await runner.cleanup()
    for writer in gate.connections:
        writer.close()
    for server in servers:
        server.close()
        await server.wait_closed()
    await sandboxes.teardown_all()


async def test_a_pair_of_streams_is_a_connection_inside_the_pod(gate: Gate) -> None:
    with pytest.raises(ConnectionRefusedError):  # the control: nobody listens there on the node
        await asyncio.open_connection("127.0.0.1", ECHO)
    before = gate.footprint()
    async with gate.peer() as peer:
        error, data = await peer.open(ECHO)
        await peer.send(peer.encoder.data(error, b"", fin=True))  # as kubectl does at once
        await peer.send(peer.encoder.data(data, b"hello "))
        await peer.send(peer.encoder.data(data, b"there", fin=True))
        await peer.until(f"{{{error}, {data}}} <= self.ended")
        assert peer.data == {error: b"", data: b"hello therebye"}
        await peer.send(peer.encoder.ping(42))
        await peer.until("self.pings == [42]")
    await gate.settles(before)


async def test_the_streams_of_a_pair_may_come_in_any_order(gate: Gate) -> None:
    async with gate.peer() as peer:
        data, error = await peer.open(LAST_WORDS, "data error")
        await peer.send(peer.encoder.data(data, b"", fin=True))
        await peer.until(f"{{{error}, {data}}} <= self.ended")
        assert peer.data[data] == b"words"


async def test_many_connections_at_once_keep_apart(gate: Gate) -> None:
    before = gate.footprint()
    async with gate.peer() as peer:
        pairs = [await peer.open(ECHO) for _ in range(100)]
        for _ in range(5):
            for _, data in pairs:
                await peer.send(peer.encoder.data(data, b"%d," % data * 100))
        for _, data in pairs:
            await peer.send(peer.encoder.data(data, b"", fin=True))
        await peer.until("len(self.ended) == 200")
        for _, data in pairs:
            assert peer.data[data] == b"%d," % data * 500 + b"bye"
    await gate.settles(before)


async def test_a_port_where_nobody_listens_is_told_on_the_error_stream(gate: Gate) -> None:
    async with gate.peer() as peer:
        error, data = await peer.open(7999)
        await peer.until(f"{{{error}, {data}}} <= self.ended")
        text = peer.data[error].decode()
        assert text.startswith(
            "error forwarding port 7999 to pod p_default, uid pod: failed to connect to localhost:7999"
        )
        assert "refused" in text
        error, data = await peer.open(ECHO)  # the connection goes on
        await peer.send(peer.encoder.data(data, b"", fin=True))
        await peer.until(f"{data} in self.ended")


async def test_a_reset_by_the_client_closes_its_connection_only(gate: Gate) -> None:
    async with gate.peer() as peer:
        _, first = await peer.open(ECHO)
        await peer.send(peer.encoder.data(first, b"x"))
        await peer.until(f"self.data.get({first}) == b'x'")
        before = gate.footprint()
        _, data = await peer.open(SILENT)

        async def arrived() -> bool:
            return len(gate.connections) == 1

        await eventually(arrived, "the connection is made")
        await peer.send(peer.encoder.rst_stream(data, spdy.CANCEL))
        gate.connections.pop().close()
        await gate.settles(before)
        _, other = await peer.open(ECHO)
        await peer.send(peer.encoder.data(other, b"x", fin=True))
        await peer.until(f"{other} in self.ended")


async def test_a_target_that_does_not_read_is_given_up_and_the_others_go_on(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "STALL_SECONDS", 0.5)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with gate.peer() as peer:
        error, stuck = await peer.open(SILENT)
        for _ in range(400):
            await peer.send(peer.encoder.data(stuck, b"x" * 65536))
        _, data = await peer.open(ECHO)
        await peer.send(peer.encoder.data(data, b"well", fin=True))
        await peer.until(f"{data} in self.ended and {error} in self.ended")
        assert peer.data[data] == b"wellbye"
        assert peer.reset == {stuck: spdy.CANCEL}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held < 32 << 10


async def test_what_makes_no_sense_as_a_stream_is_refused(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portforward, "STREAMS_LIMIT", 10)
    async with gate.peer() as peer:
        bad = [(await peer.open(port, kind))[0] for port, kind in (("0", "data"), ("65536", "data"), ("x", "error"))]
        bad += await peer.open(ECHO, "other")
        await peer.until(f"set(self.reset) == {set(bad)}")
        for _ in range(20):  # halves that never find their other half
            await peer.open(ECHO, "data")
        await peer.until("len(self.reset) == 14")
        assert set(peer.reset.values()) == {spdy.REFUSED_STREAM}


async def test_a_half_pair_is_dropped_after_its_time(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portforward, "PAIR_SECONDS", -1.0)
    async with gate.peer() as peer:
        (half,) = await peer.open(ECHO, "data")
        await peer.open(ECHO, "data")
        await peer.until(f"self.reset == {{{half}: spdy_cancel}}".replace("spdy_cancel", str(spdy.CANCEL)))


FATAL = {
    **HOSTILE,
    "an even stream": spdy.Encoder().syn_stream(2, {}),
    "a stream that was there before": control(spdy.SYN_STREAM, struct.pack(">IIH", 0, 0, 0)),
}


@pytest.mark.parametrize("name", FATAL)
async def test_a_hostile_frame_ends_the_connection_and_leaves_nothing(gate: Gate, name: str) -> None:
    before = gate.footprint()
    async with gate.peer() as peer:
        await peer.send(FATAL[name])
        await peer.until("self.closed")
    await gate.settles(before)


async def test_a_client_that_goes_takes_its_connections_with_it(gate: Gate) -> None:
    before = gate.footprint()
    async with gate.peer() as peer:
        for _ in range(30):
            await peer.open(SILENT)

        async def arrived() -> bool:
            return len(gate.connections) == 30

        await eventually(arrived, "the connections are made")
        assert gate.footprint()[0] >= before[0] + 30
    for writer in gate.connections:
        writer.close()
    gate.connections.clear()
    await gate.settles(before)


@pytest.mark.parametrize(
    ("path", "protocols", "code"),
    [
        ("/portForward/default/q", (PROTOCOL,), 404),
        ("/portForward/default/p", ("v5.channel.k8s.io",), 400),
        ("/portForward/default/p", (), 400),
    ],
)
async def test_another_pod_and_another_protocol_are_refused(
    gate: Gate, path: str, protocols: tuple[str, ...], code: int
) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await gate.session.ws_connect(f"http://127.0.0.1:{gate.port}{path}", protocols=protocols)
    assert refused.value.status == code
