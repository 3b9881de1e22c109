"""exec at the agent's door: the channel protocols, a real program in a real container, and nothing left of either."""

import asyncio
import base64
import json
import resource
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType
from yarl import URL

from nodeagent.server.channels import CLOSE, ERROR, RESIZE, STDERR, STDIN, STDOUT, terminal_size
from tests.nodeagent.cluster import eventually
from tests.nodeagent.server.conftest import Door

pytestmark = pytest.mark.timeout(60)
Socket = aiohttp.ClientWebSocketResponse[Any]


async def read_all(socket: Socket) -> dict[int, bytes]:
    """Everything until the close, by channel."""
    found: dict[int, bytes] = {}
    async with asyncio.timeout(20):
        async for message in socket:
            assert message.type is WSMsgType.BINARY
            found[message.data[0]] = found.get(message.data[0], b"") + message.data[1:]
    return found


async def read_until(socket: Socket, channel: int, part: bytes) -> bytes:
    """What came on the channel up to and with `part`."""
    data = b""
    async with asyncio.timeout(10):
        while part not in data:
            message = await socket.receive()
            assert message.type is WSMsgType.BINARY, (message, data)
            if message.data[0] == channel:
                data += message.data[1:]
    return data


def status(found: dict[int, bytes]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(found[ERROR])
    return answer


async def test_output_and_errors_come_apart_and_the_status_says_success(door: Door) -> None:
    before = door.footprint()
    async with door.exec("sh", "-c", "echo out; echo err >&2") as socket:
        assert socket.protocol == "v5.channel.k8s.io"
        first = await socket.receive()
        assert first.data == bytes([STDOUT])  # an empty message: the streams are there
        found = await read_all(socket)
        assert (found[STDOUT], found[STDERR]) == (b"out\n", b"err\n")
        assert status(found) == {"metadata": {}, "status": "Success"}
        assert socket.close_code == 1000
    await door.settles(before)


async def test_an_exit_code_is_a_cause_in_the_status(door: Door) -> None:
    async with door.exec("sh", "-c", "exit 7", protocol="v4.channel.k8s.io") as socket:
        found = status(await read_all(socket))
    assert found["status"] == "Failure" and found["reason"] == "NonZeroExitCode"
    assert found["details"] == {"causes": [{"reason": "ExitCode", "message": "7"}]}


async def test_a_program_killed_by_a_signal_has_128_and_the_signal(door: Door) -> None:
    async with door.exec("sh", "-c", "kill -9 $$") as socket:
        assert status(await read_all(socket))["details"]["causes"][0]["message"] == "137"


async def test_a_program_that_does_not_exist_is_an_internal_error_with_the_cause(door: Door) -> None:
    before = door.footprint()
    async with door.exec("nosuch") as socket:
        found = status(await read_all(socket))
    assert found["reason"] == "InternalError" and found["code"] == 500
    assert "nosuch" in found["message"] and "not found" in found["message"]
    await door.settles(before)


async def test_input_ends_with_the_close_message_of_v5(door: Door) -> None:
    data = bytes(range(256)) * 4096
    async with door.exec("cat", streams="input=1&output=1") as socket:

        async def send() -> None:
            for start in range(0, len(data), 50_000):
                await socket.send_bytes(bytes([STDIN]) + data[start : start + 50_000])
            await socket.send_bytes(bytes([CLOSE, STDIN]))

        sending = asyncio.create_task(send())
        found = await read_all(socket)
        await sending
    assert found[STDOUT] == data and status(found)["status"] == "Success"


async def test_streams_that_were_not_asked_for_stay_away(door: Door) -> None:
    async with door.exec("sh", "-c", "echo out; echo err >&2", streams="error=1") as socket:
        found = await read_all(socket)
    assert STDOUT not in found and found[STDERR] == b"err\n"


@pytest.mark.parametrize("protocol", ["", "channel.k8s.io"])
async def test_the_oldest_protocol_has_text_errors_only(door: Door, protocol: str) -> None:
    async with door.exec("echo", "hi", protocol=protocol) as socket:
        assert await read_all(socket) == {STDOUT: b"hi\n"}
    async with door.exec("sh", "-c", "exit 2", protocol=protocol) as socket:
        found = await read_all(socket)
    assert found[ERROR].startswith(b"command terminated with non-zero exit code: ")


async def test_the_base64_protocol_speaks_text(door: Door) -> None:
    async with door.exec("cat", streams="input=1&output=1", protocol="v4.base64.channel.k8s.io") as socket:
        await socket.send_str("0" + base64.b64encode(b"x\n").decode())
        assert (await socket.receive()).data == "1"
        assert (await socket.receive()).data == "1" + base64.b64encode(b"x\n").decode()
        await socket.send_str("0???")
        assert (await socket.receive()).type in (WSMsgType.CLOSE, WSMsgType.CLOSING)


async def test_a_terminal_has_a_size_and_turns_control_c_into_a_signal(door: Door) -> None:
    before = door.footprint()
    # Not an interactive busybox: its line editor dies of SIGINT now and then.
    script = """
        trap 'echo caught; exit 5' INT; [ -t 0 ] && echo a terminal, $TERM
        read word; busybox stty size; while :; do sleep 0.1; done
    """
    async with door.exec("sh", "-c", script, streams="input=1&output=1&error=1&tty=1") as socket:
        await read_until(socket, STDOUT, b"a terminal, xterm\r\n")
        await socket.send_bytes(bytes([RESIZE]) + b'{"Width":101,"Height":33}')
        await socket.send_bytes(b"\0go\n")
        await read_until(socket, STDOUT, b"33 101\r\n")
        await socket.send_bytes(b"\0\x03")
        found = await read_all(socket)
        assert b"caught\r\n" in found[STDOUT]
        assert status(found)["details"]["causes"][0]["message"] == "5"
    await door.settles(before)


async def test_ten_thousand_resizes_and_nonsense_cost_nothing(door: Door) -> None:
    before = door.footprint()
    async with door.exec("sh", streams="input=1&output=1&tty=1") as socket:
        await read_until(socket, STDOUT, b"# ")
        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(10_000):
            await socket.send_bytes(bytes([RESIZE]) + b'{"Width":%d,"Height":20}' % (number % 300 + 1))
        for bad in (b"", b"[]", b'{"Width":1e999,"Height":1}', b'{"Width":-1,"Height":99999999999}', b"\xff" * 99):
            await socket.send_bytes(bytes([RESIZE]) + bad)
            await socket.send_bytes(b"\x77" + bad)  # no such channel
        await socket.send_bytes(b"\0busybox stty size\n")
        await read_until(socket, STDOUT, b"20 100\r\n")
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held < 32 << 10  # KiB
    await door.settles(before)


@pytest.mark.parametrize(("data", "size"), [(b'{"Width":8,"Height":4}', (8, 4)), (b"{}", None), (b"[1,2]", None)])
def test_a_resize_message_is_read_or_ignored(data: bytes, size: tuple[int, int] | None) -> None:
    assert terminal_size(data) == size


async def test_a_dropped_client_kills_the_program_and_what_it_started(door: Door) -> None:
    before = door.footprint()
    async with door.exec("sh", "-c", "sleep 998 & sleep 999 & echo up; wait") as socket:
        await read_until(socket, STDOUT, b"up\n")
        assert door.footprint().processes == before.processes + 3
    await door.settles(before)
    async with door.exec("echo", "alive") as socket:  # the container itself is well
        assert (await read_all(socket))[STDOUT] == b"alive\n"


async def test_a_daemon_with_a_session_of_its_own_lives_on(door: Door) -> None:
    before = door.footprint()
    async with door.exec("sh", "-c", "busybox setsid sleep 997 </dev/null >/dev/null 2>&1 & echo up") as socket:
        assert (await read_all(socket))[STDOUT] == b"up\n"
    assert door.footprint().processes == before.processes + 1


async def test_a_background_process_does_not_keep_the_session_open(door: Door) -> None:
    async with asyncio.timeout(10), door.exec("sh", "-c", "sleep 996 & echo done") as socket:
        found = await read_all(socket)
    assert found[STDOUT] == b"done\n" and status(found)["status"] == "Success"


async def test_a_client_that_goes_while_the_program_starts_leaves_nothing(door: Door) -> None:
    before = door.footprint()
    for _ in range(10):
        async with door.exec("sleep", "995"):
            pass
    await door.settles(before)


async def test_a_session_in_which_nothing_moves_ends(door: Door) -> None:
    before = door.footprint()
    url = door.url("/idle/default/p/main?input=1&output=1&command=cat")
    async with door.session.ws_connect(url, protocols=("v5.channel.k8s.io",)) as socket:
        for _ in range(4):  # what moves keeps it alive beyond the time
            await socket.send_bytes(b"\0x")
            await read_until(socket, STDOUT, b"x")
            await asyncio.sleep(0.3)
        async with asyncio.timeout(10):
            assert (await socket.receive()).type is WSMsgType.CLOSE
        assert socket.close_code == 1001
    await door.settles(before)


async def test_a_client_that_does_not_read_makes_the_program_wait(door: Door) -> None:
    """A positive control stands beside: the program writes on as soon as somebody reads."""
    before = door.footprint()
    script = "i=0; while busybox dd if=/dev/zero bs=65536 count=1 2>/dev/null; do i=$((i+1)); echo $i > /written; done"
    written = door.runtime.layout.containers / door.container.id / "rootfs/written"

    def blocks() -> int:
        try:
            return int(written.read_text() or 0)
        except (OSError, ValueError):
            return 0

    async def stands() -> bool:
        seen = blocks()
        await asyncio.sleep(0.5)
        return seen > 0 and blocks() == seen

    reader, writer = await asyncio.open_connection("127.0.0.1", door.port, limit=4096)
    query = "output=1&command=sh&command=-c&command=" + script.replace(" ", "%20").replace("+", "%2B").replace(
        "&", "%26"
    )
    writer.write(
        f"GET /exec/default/p/main?{query} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    assert b" 101 " in await reader.readline()
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await eventually(stands, "the program waits", 20)
    stood = blocks()
    assert stood < 1000, "64 MiB went somewhere"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held < 16 << 10
    for _ in range(200):
        await reader.read(65536)

    async def goes_on() -> bool:
        await reader.read(65536)
        return blocks() > stood

    await eventually(goes_on, "the program goes on when it is read")
    writer.transport.abort()
    await door.settles(before)


@pytest.mark.parametrize(
    ("path", "code", "text"),
    [
        ("/exec/default/p/other?output=1&command=x", 404, 'container "other" not found in pod "p"'),
        ("/exec/default/q/main?output=1&command=x", 404, "pod does not exist"),
        ("/exec/default/p/another-uid/main?output=1&command=x", 404, "pod does not exist"),
        ("/exec/default/p/main?output=1", 400, "you must specify at least one command argument"),
        ("/exec/default/p/main?command=x", 400, "you must specify at least 1 of stdin, stdout, stderr"),
        ("/exec/default/%2e%2e/main?output=1&command=x", 404, ""),
        ("//exec/default/p/main?output=1&command=x", 404, ""),
        ("/exec/default/p%2Fmain?output=1&command=x", 404, ""),
        ("/exec/default//main?output=1&command=x", 404, ""),
    ],
)
async def test_what_cannot_be_reached_is_refused_before_the_upgrade(
    door: Door, path: str, code: int, text: str
) -> None:
    url = URL(door.url(path), encoded=True)
    async with door.session.get(url) as plain:  # the same without an upgrade
        assert plain.status == code and text in await plain.text()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await door.session.ws_connect(url, protocols=("v5.channel.k8s.io",))
    assert refused.value.status == code


async def test_the_pods_own_uid_in_the_path_is_accepted(door: Door) -> None:
    async with door.exec("echo", "hi", path="default/p/pod") as socket:
        assert (await read_all(socket))[STDOUT] == b"hi\n"


async def test_other_upgrades_are_refused_clearly(door: Door) -> None:
    url = door.url("/exec/default/p/main?output=1&command=x")
    async with door.session.get(url, headers={"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}) as answer:
        assert answer.status == 400
        text = await answer.text()
    assert "SPDY/3.1" in text and "v5.channel.k8s.io" in text
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await door.session.ws_connect(url, protocols=("v9.channel.k8s.io",))
    assert refused.value.status == 400


async def test_a_container_that_is_not_running_is_not_found(door: Door) -> None:
    await door.runtime.stop(door.container.id, 0)
    async with door.session.get(door.url("/exec/default/p/main?output=1&command=x")) as answer:
        assert answer.status == 500 and await answer.text() == 'container not found ("main")'


async def test_a_container_that_ends_takes_its_programs_with_it(door: Door) -> None:
    async with door.exec("sleep", "994") as socket:
        await socket.receive()
        await door.runtime.stop(door.container.id, 0)
        found = await read_all(socket)
    assert status(found)["details"]["causes"][0]["message"] == "137"


async def test_no_descriptor_of_the_agent_reaches_a_program(door: Door) -> None:
    async with door.exec("sh", "-c", "ls -l /proc/self/fd") as socket:
        lines = (await read_all(socket))[STDOUT].decode().splitlines()
    targets = {line.split(" -> ")[0].split()[-1]: line.split(" -> ")[1] for line in lines if " -> " in line}
    assert {name for name in targets if not targets[name].startswith("/proc/")} == {"0", "1", "2"}
