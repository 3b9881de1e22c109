"""exec, attach, port-forward through the API server: who may, what the agent is asked, and whose bytes go where."""

from __future__ import annotations

import asyncio
import gc
import resource
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from apiserver.streaming.tunnel import Tunnel
from tests.apiserver.agents import Asked, agent_end, answer, grant, make_node, make_pod, upgrade
from tests.apiserver.cluster import Cluster, tls_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]
PODS = "/api/v1/namespaces/default/pods"
KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": KEY}
V5 = {**UPGRADE, "Sec-WebSocket-Protocol": "v5.channel.k8s.io"}


class Raw:
    """A client's raw TLS connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, path: str, headers: dict[str, str], method: str = "GET", more: bytes = b"") -> str:
        """Send a request (and more behind it in the same breath); the answer's head."""
        lines = [f"{method} {path} HTTP/1.1", "Host: x", *(f"{name}: {value}" for name, value in headers.items())]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + more)
        async with asyncio.timeout(10):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def ended(self) -> bytes:
        """Everything until the server closes."""
        async with asyncio.timeout(10):
            return await self.reader.read()


async def connect(cluster: Cluster) -> Raw:
    context: ssl.SSLContext = tls_of(cluster.data_dir / "pki", "admin")
    return Raw(*await asyncio.open_connection("127.0.0.1", cluster.server.port, ssl=context, limit=1 << 16))


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Asked) -> None:
    """An agent that agrees and sends every byte back."""
    await upgrade(writer, asked)
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


def footprint() -> tuple[int, int]:
    gc.collect()
    return sum(1 for _ in Path("/proc/self/fd").iterdir()), len(asyncio.all_tasks())


async def settles(before: tuple[int, int]) -> None:
    async with asyncio.timeout(10):
        while any(now > then for now, then in zip(footprint(), before, strict=True)):
            await asyncio.sleep(0.05)


async def test_bytes_pass_both_ways_and_the_agent_gets_its_own_words(cluster: Cluster) -> None:
    async with agent_end(cluster, echo) as agent:
        await make_node(cluster, "exec-node", agent.port)
        pod = await make_pod(cluster, "exec", "exec-node", "a b")
        client = await connect(cluster)
        credentials = {"Authorization": "Bearer no-secret-of-mine", "Cookie": "session=1", "X-Remote-User": "root"}
        protocols = {"Sec-WebSocket-Protocol": "base64url.bearer.authorization.k8s.io.dG9rZW4, v5.channel.k8s.io"}
        path = f"{PODS}/exec/exec?container=b&stdin=true&stdout=1&stderr=false&tty=true&command=ls&command=a%20b%26c"
        head = await client.ask(path, {**UPGRADE, **protocols, **credentials})
        assert head.startswith("HTTP/1.1 101 ")
        assert "sec-websocket-protocol: v5.channel.k8s.io" in head.lower()
        client.writer.write(b"\x82\x01anything at all, no WebSocket to this server")
        assert await client.reader.readexactly(10) == b"\x82\x01anything"[:10]
        client.writer.close()
        (asked,) = agent.asked
        uid = pod["metadata"]["uid"]
        assert asked.path == f"/exec/default/exec/{uid}/b?input=1&output=1&tty=1&command=ls&command=a+b%26c"
        assert asked.headers == {
            "host": f"127.0.0.1:{agent.port}",
            "connection": "Upgrade",
            "upgrade": "websocket",
            "sec-websocket-key": KEY,
            "sec-websocket-version": "13",
            "sec-websocket-protocol": "v5.channel.k8s.io",
        }


async def test_attach_and_portforward_reach_their_routes(cluster: Cluster) -> None:
    async with agent_end(cluster, echo) as agent:
        await make_node(cluster, "attach-node", agent.port)
        uid = (await make_pod(cluster, "attach", "attach-node"))["metadata"]["uid"]
        for path in (f"{PODS}/attach/attach?stdout=true&stdin=true", f"{PODS}/attach/portforward?ports=80"):
            client = await connect(cluster)
            assert (await client.ask(path, V5)).startswith("HTTP/1.1 101 ")
            client.writer.close()
        paths = [asked.path for asked in agent.asked]
        assert paths == [f"/attach/default/attach/{uid}/main?input=1&output=1", f"/portForward/default/attach/{uid}"]


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("absent/exec?command=x&stdout=1", 404, 'pods "absent" not found'),
        ("refused/exec?stdout=1", 400, "you must specify at least one command for the container"),
        ("refused/exec?command=x", 400, "you must specify at least 1 of stdin, stdout, stderr"),
        ("refused/exec?command=x&stdout=1&container=c", 400, "container c is not valid for pod refused"),
        (
            "refused/exec?command=x&stdout=1",
            400,
            "a container name must be specified for pod refused, choose one of: [a b]",
        ),
        ("refused/attach?stdout=1&container=a", 400, "pod refused does not have a host assigned"),
        ("refused/portforward", 400, "pod refused does not have a host assigned"),
    ],
)
async def test_refusals_are_the_same_for_both_ways_of_asking(
    cluster: Cluster, path: str, code: int, message: str
) -> None:
    if (await cluster.request("GET", f"{PODS}/refused")).status == 404:
        await make_pod(cluster, "refused", "", "a b")
    spdy = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": "v4.channel.k8s.io"}
    for method, headers in (("GET", V5), ("POST", spdy)):
        client = await connect(cluster)
        head = await client.ask(f"{PODS}/{path}", headers, method)
        assert head.startswith(f"HTTP/1.1 {code} ")
        body = await client.ended()  # the connection is closed: nothing may follow a refused upgrade
        assert message in body.decode().replace('\\"', '"')


@pytest.mark.answers_500
async def test_what_the_agent_refuses_is_told_in_its_words(cluster: Cluster) -> None:
    text = 'container not found ("main")'
    act = answer(f"HTTP/1.1 500 Internal Server Error\r\nContent-Length: {len(text)}\r\n\r\n{text}")
    async with agent_end(cluster, act) as agent:
        await make_node(cluster, "refusing-node", agent.port)
        await make_pod(cluster, "refusing", "refusing-node")
        for method, headers in (("GET", UPGRADE), ("POST", {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"})):
            got = await cluster.request(method, f"{PODS}/refusing/exec?command=x&stdout=1", headers=headers)
            assert got.status == 500 and got.json["message"] == text
        assert agent.asked[1].headers["upgrade"] == "SPDY/3.1"
    gone = await cluster.request("GET", f"{PODS}/refusing/exec?command=x&stdout=1", headers=UPGRADE)
    assert gone.status == 500 and "error dialing backend: dial tcp 127.0.0.1:" in gone.json["message"]


@pytest.mark.parametrize(
    "refusal",
    [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_after_a_refused_upgrade_nothing_of_the_client_is_passed_on(cluster: Cluster, refusal: str) -> None:
    """Upgrade confusion; the control is the echo test above: after a 101 the same bytes do pass."""
    name = f"confused-{abs(hash(refusal)) % 10**8}"
    async with agent_end(cluster, answer(refusal)) as agent:
        await make_node(cluster, name, agent.port)
        await make_pod(cluster, name, name)
        client = await connect(cluster)
        smuggled = b"POST /exec/kube-system/secret/pod HTTP/1.1\r\nHost: x\r\n\r\n"
        head = await client.ask(f"{PODS}/{name}/exec?command=x&stdout=1", V5, more=smuggled)
        assert not head.startswith("HTTP/1.1 101")
        client.writer.write(smuggled * 10)
        rest = await client.ended()
        assert b"HTTP/1.1" not in rest  # nor was it taken for a next request to this server
        async with asyncio.timeout(5):
            while agent.open:
                await asyncio.sleep(0.02)
        assert bytes(agent.after) == b"" and len(agent.asked) == 1


async def test_a_redirect_by_the_agent_is_a_502_and_not_followed(cluster: Cluster) -> None:
    async with agent_end(cluster, echo) as elsewhere:
        location = f"https://127.0.0.1:{elsewhere.port}/exec/default/other"
        act = answer(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
        async with agent_end(cluster, act) as agent:
            await make_node(cluster, "redirecting", agent.port)
            await make_pod(cluster, "redirecting", "redirecting")
            path = f"{PODS}/redirecting/exec?command=x&stdout=1"
            got = await cluster.request("GET", path, headers=V5)
            assert got.status == 502 and "redirect" in got.json["message"]
            plain = await cluster.request("POST", path)
            assert plain.status == 502
            through = await cluster.request("GET", "/api/v1/nodes/redirecting/proxy/pods", headers=V5)
            assert through.status == 502
        assert elsewhere.asked == []


@pytest.mark.answers_500
async def test_an_agent_with_another_certificate_gets_no_byte(cluster: Cluster, tmp_path: Path) -> None:
    async with agent_end(cluster, echo, tls=False) as agent:
        await make_node(cluster, "plain-node", agent.port)
        await make_pod(cluster, "plain", "plain-node")
        got = await cluster.request("GET", f"{PODS}/plain/exec?command=x&stdout=1", headers=V5)
        assert got.status == 500 and agent.asked == []
    async with agent_end(cluster, echo, host="127.0.0.2") as agent:  # the certificate names 127.0.0.1
        await make_node(cluster, "wrong-node", agent.port, "127.0.0.2")
        await make_pod(cluster, "wrong", "wrong-node")
        got = await cluster.request("GET", f"{PODS}/wrong/exec?command=x&stdout=1", headers=V5)
        assert got.status == 500 and "certificate" in got.json["message"].lower() and agent.asked == []


@pytest.mark.parametrize("subresource", ["exec?command=x&stdout=1", "attach?stdout=1", "portforward"])
async def test_an_upgraded_get_needs_the_right_to_create(cluster: Cluster, subresource: str) -> None:
    what = f"pods/{subresource.partition('?')[0]}"
    async with agent_end(cluster, echo) as agent:
        name = what.replace("/", "-")
        await make_node(cluster, name, agent.port)
        await make_pod(cluster, name, name)
        reading = await grant(cluster, f"reads-{name}", ["get", "list", "watch", "update", "patch", "delete"], [what])
        creating = await grant(cluster, f"makes-{name}", ["create"], [what])
        got = await cluster.request("GET", f"{PODS}/{name}/{subresource}", headers={**V5, **reading})
        assert got.status == 403
        assert f'cannot create resource "{what}"' in got.json["message"]
        assert agent.asked == []
        client = await connect(cluster)  # the control
        assert (await client.ask(f"{PODS}/{name}/{subresource}", {**V5, **creating})).startswith("HTTP/1.1 101")
        client.writer.close()


async def test_a_nodes_proxy_is_no_way_to_exec_for_a_reader(cluster: Cluster) -> None:
    async with agent_end(cluster, echo) as agent:
        await make_node(cluster, "proxied-node", agent.port)
        reading = await grant(cluster, "reads-nodes", ["get"], ["nodes/proxy"])
        both = await grant(cluster, "execs-nodes", ["get", "create"], ["nodes/proxy"])
        base = "/api/v1/nodes/proxied-node/proxy"
        for path in (f"{base}/exec/default/p/c?command=id&output=1", f"{base}/anything"):
            got = await cluster.request("GET", path, headers={**V5, **reading})
            assert got.status == 403 and 'cannot create resource "nodes/proxy"' in got.json["message"]
        assert agent.asked == []
        client = await connect(cluster)  # the control: this would have worked
        path = f"/api/v1/nodes/proxied-node:{agent.port}/proxy/exec/default/p/c?command=id&output=1"
        assert (await client.ask(path, {**V5, **both})).startswith("HTTP/1.1 101")
        client.writer.close()
        assert agent.asked[0].path == "/exec/default/p/c?command=id&output=1"


async def test_a_client_that_goes_takes_its_connection_to_the_agent_with_it(cluster: Cluster) -> None:
    async with agent_end(cluster, echo) as agent:
        await make_node(cluster, "dropping", agent.port)
        await make_pod(cluster, "dropping", "dropping")
        path = f"{PODS}/dropping/exec?command=x&stdout=1"
        before = footprint()
        clients = [await connect(cluster) for _ in range(20)]
        for client in clients:
            await client.ask(path, V5)
        assert agent.open == 20
        assert footprint()[0] >= before[0] + 60
        for client in clients:
            client.writer.transport.abort()
        async with asyncio.timeout(10):
            while agent.open:
                await asyncio.sleep(0.02)
        await settles(before)
        metrics = (await cluster.request("GET", "/metrics")).body.decode()
        line = next(line for line in metrics.splitlines() if "longrunning" in line and 'subresource="exec"' in line)
        assert line.startswith('apiserver_longrunning_requests{verb="CONNECT"') and line.endswith(" 0")


async def test_the_end_at_the_agent_reaches_the_client_with_all_that_was_said(cluster: Cluster) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Asked) -> None:
        await upgrade(writer, asked)
        writer.write(b"x" * 5_000_000)
        await writer.drain()
        writer.close()

    async with agent_end(cluster, talk) as agent:
        await make_node(cluster, "talking", agent.port)
        await make_pod(cluster, "talking", "talking")
        client = await connect(cluster)
        await client.ask(f"{PODS}/talking/exec?command=x&stdout=1", V5)
        assert await client.ended() == b"x" * 5_000_000


async def test_a_client_that_does_not_read_stops_the_agent_and_not_the_memory(cluster: Cluster) -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Asked) -> None:
        nonlocal sent
        await upgrade(writer, asked)
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    async with agent_end(cluster, flood) as agent:
        await make_node(cluster, "flooding", agent.port)
        await make_pod(cluster, "flooding", "flooding")
        client = await connect(cluster)
        await client.ask(f"{PODS}/flooding/exec?command=x&stdout=1", V5)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seen = -1
        async with asyncio.timeout(20):
            while seen != sent or not sent:
                seen = sent
                await asyncio.sleep(0.5)
        assert sent < 64 << 20
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held < 16 << 10
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(10):
            while sent < seen + (8 << 20):  # the control: it was the reading that was missing
                await client.reader.read(1 << 16)
        client.writer.transport.abort()


class Silent:
    """A client that neither reads nor writes."""

    async def read(self) -> bytes:
        await asyncio.Event().wait()
        return b""

    async def write(self, data: bytes) -> None:
        await asyncio.Event().wait()


async def test_a_tunnel_in_which_nothing_moves_ends() -> None:
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    async with asyncio.timeout(10):
        await Tunnel(reader, writer, idle_seconds=0.2).run(Silent())
        await gone.wait()
    server.close()


async def test_a_log_can_be_had_over_a_websocket(cluster: Cluster) -> None:
    text = "container is alive\n"
    act = answer(f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n{text}")
    async with agent_end(cluster, act) as agent:
        await make_node(cluster, "log-ws", agent.port)
        await make_pod(cluster, "log-ws", "log-ws")
        session = cluster.session()
        url = f"{cluster.url}{PODS}/log-ws/log"
        expected: dict[str, Any] = {
            "": text.encode(),
            "binary.k8s.io": text.encode(),
            "base64.binary.k8s.io": "Y29udGFpbmVyIGlzIGFsaXZlCg==",
        }
        for protocol, data in expected.items():
            async with session.ws_connect(url, protocols=(protocol,) if protocol else ()) as socket:
                assert socket.protocol == (protocol or None)
                assert (await socket.receive()).data == data
                assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
                assert socket.close_code == 1000
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(url, protocols=("v5.channel.k8s.io",))
        assert refused.value.status == 400
