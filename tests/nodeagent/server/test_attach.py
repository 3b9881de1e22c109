"""attach at the agent's door: the container's own streams, several clients, and clients that do not read."""

import asyncio
import resource

import pytest
from aiohttp import WSMsgType

from nodeagent.server import attach
from nodeagent.server.channels import CLOSE, RESIZE, STDERR, STDIN, STDOUT
from tests.nodeagent.cluster import eventually
from tests.nodeagent.runtime.conftest import log_lines
from tests.nodeagent.server.conftest import Door
from tests.nodeagent.server.test_exec import read_all, read_until, status

pytestmark = pytest.mark.timeout(60)

_ECHO = "while read x; do echo got $x; echo err $x >&2; [ $x = end ] && exit 3; done; echo no more; sleep 1000"


@pytest.mark.parametrize("door", [(_ECHO, {"stdin": True})], indirect=True)
async def test_input_goes_in_and_output_comes_to_every_client(door: Door) -> None:
    before = door.footprint()
    async with door.attach("input=1&output=1&error=1") as first, door.attach() as second:
        await second.receive()
        await first.send_bytes(b"\0one\n")
        for socket in (first, second):
            assert (await read_until(socket, STDOUT, b"got one\n")).endswith(b"got one\n")
            await read_until(socket, STDERR, b"err one\n")
    await door.settles(before)
    async with door.attach("input=1&output=1&error=1") as third:  # a client that went took nothing with it
        await third.send_bytes(b"\0end\n")
        found = await read_all(third)
    assert found[STDOUT] == b"got end\n" and status(found)["status"] == "Success"  # the pod's status has the code


@pytest.mark.parametrize("door", [(_ECHO, {"stdin": True, "stdin_once": True})], indirect=True)
async def test_with_stdin_once_the_end_of_the_input_reaches_the_program(door: Door) -> None:
    async with door.attach("input=1&output=1") as socket:
        await socket.send_bytes(b"\0one\n")
        await socket.send_bytes(bytes([CLOSE, STDIN]))
        await read_until(socket, STDOUT, b"no more\n")


@pytest.mark.parametrize("door", [("sleep 1; " + _ECHO, {})], indirect=True)
async def test_input_for_a_container_without_stdin_goes_nowhere(door: Door) -> None:
    async with door.attach("input=1&output=1") as socket:
        await socket.send_bytes(b"\0one\n")
        assert await read_until(socket, STDOUT, b"no more\n") == b"no more\n"


_TERMINAL = "read line; busybox stty size; echo is $line; sleep 1000"


@pytest.mark.parametrize("door", [(_TERMINAL, {"stdin": True, "terminal": True})], indirect=True)
async def test_a_terminal_is_resized_and_has_one_output(door: Door) -> None:
    async with door.attach("input=1&output=1&error=1&tty=1") as socket:
        await socket.send_bytes(bytes([RESIZE]) + b'{"Width":91,"Height":31}')

        async def sized() -> bool:
            async with door.exec("sh", "-c", "busybox stty size </proc/1/fd/0") as asking:
                return b"31 91" in (await read_all(asking)).get(STDOUT, b"")

        await eventually(sized, "the terminal has its size")
        await socket.send_bytes(b"\0me\n")
        said = await read_until(socket, STDOUT, b"is me\r\n")
        assert b"31 91\r\n" in said


@pytest.mark.parametrize("door", [("i=0; while :; do i=$((i+1)); echo line $i; done", {})], indirect=True)
async def test_a_client_that_does_not_read_is_dropped_and_the_container_goes_on(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attach, "STALL_SECONDS", 1.0)
    before = door.footprint()
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port, limit=4096)
    writer.write(
        b"GET /attach/default/p/main?output=1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    assert b" 101 " in await reader.readline()
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    writer.transport.pause_reading()  # type: ignore[attr-defined]

    async def dropped() -> bool:
        return door.footprint().tasks <= before.tasks

    await eventually(dropped, "the client is dropped", 20)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held < 16 << 10
    size = door.container.log_path.stat().st_size

    async def goes_on() -> bool:
        return door.container.log_path.stat().st_size > size

    await eventually(goes_on, "the container writes on")
    writer.transport.abort()


@pytest.mark.parametrize("door", [("echo once; sleep 1000", {"stdin": True})], indirect=True)
async def test_a_thousand_dropped_clients_leave_nothing(door: Door) -> None:
    before = door.footprint()
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(50):
        sockets = await asyncio.gather(*(door.attach("input=1&output=1") for _ in range(20)))
        for socket in sockets:
            assert (await socket.receive()).type is WSMsgType.BINARY
            transport = socket._response.connection.transport  # type: ignore[union-attr]
            assert transport is not None
            transport.abort()
        await asyncio.gather(*(socket.close() for socket in sockets))
    await door.settles(before)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held < 32 << 10
    assert log_lines(door.container) == ["once"]
