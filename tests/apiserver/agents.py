"""An agent's end of the wire for tests of the API server: TLS with a node's certificate, ours demanded, raw bytes.

What it is asked is kept; what it answers, and what it does with the connection afterwards, the test says.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from apiserver.streaming.messages import accept_key
from tests.apiserver.cluster import Cluster

Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter, "Asked"], Awaitable[None]]


@dataclass
class Asked:
    """One request as it came."""

    line: str
    headers: dict[str, str]  # names in lower case

    @property
    def path(self) -> str:
        return self.line.split(" ")[1]


@dataclass
class Agent:
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    after: bytearray = field(default_factory=bytearray)  # what came after a request that was not upgraded
    open: int = 0  # connections


async def upgrade(writer: asyncio.StreamWriter, asked: Asked, protocol: str = "v5.channel.k8s.io") -> None:
    """Answer 101."""
    accept = accept_key(asked.headers["sec-websocket-key"])
    writer.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n".encode()
    )
    await writer.drain()


def answer(text: str) -> Act:
    """An act: this answer, then note whatever else arrives until the other side closes."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Asked) -> None:
        writer.write(text.encode())
        await writer.drain()

    return act


@contextlib.asynccontextmanager
async def agent_end(cluster: Cluster, act: Act, *, tls: bool = True, host: str = "127.0.0.1") -> AsyncIterator[Agent]:
    pki = cluster.data_dir / "pki"
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki / "node-n1.crt", pki / "node-n1.key")
        context.load_verify_locations(pki / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
    agent = Agent()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        agent.open += 1
        try:
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            pairs = (line.split(": ", 1) for line in lines if line)
            asked = Asked(first, {name.lower(): value for name, value in pairs})
            agent.asked.append(asked)
            await act(reader, writer, asked)
            while data := await reader.read(65536):
                agent.after += data
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            agent.open -= 1
            writer.close()

    server = await asyncio.start_server(serve, host, 0, ssl=context)
    agent.port = server.sockets[0].getsockname()[1]
    try:
        yield agent
    finally:
        server.close()


async def make_node(cluster: Cluster, name: str, port: int, address: str = "127.0.0.1") -> None:
    made = await cluster.must("POST", "/api/v1/nodes", {"metadata": {"name": name}})
    status: dict[str, Any] = {
        **made.get("status", {}),
        "addresses": [{"type": "InternalIP", "address": address}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    await cluster.must("PUT", f"/api/v1/nodes/{name}/status", {**made, "status": status})


async def make_pod(
    cluster: Cluster, name: str, node: str, containers: str = "main", ip: str = "", **metadata: Any
) -> dict[str, Any]:
    """A pod bound to the node (if any), Ready at the address (if any)."""
    pods = "/api/v1/namespaces/default/pods"
    spec = {"containers": [{"name": one, "image": "i:1"} for one in containers.split()]}
    made: dict[str, Any] = await cluster.must("POST", pods, {"metadata": {"name": name, **metadata}, "spec": spec})
    if node:
        target = {"metadata": {"name": name}, "target": {"kind": "Node", "name": node}}
        await cluster.must("POST", f"{pods}/{name}/binding", target)
    if ip:
        made = await cluster.must("GET", f"{pods}/{name}")
        conditions = [{"type": "Ready", "status": "True"}]
        made["status"] = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": conditions}
        made = await cluster.must("PUT", f"{pods}/{name}/status", made)
    return made


async def grant(cluster: Cluster, user: str, verbs: list[str], resources: list[str]) -> dict[str, str]:
    """Exactly these rights for the user, by RBAC objects; returns the headers that make admin that user."""
    name = user.replace(":", "-")
    rules = [{"apiGroups": [""], "resources": resources, "verbs": verbs}]
    base = "/apis/rbac.authorization.k8s.io/v1"
    await cluster.must("POST", f"{base}/clusterroles", {"metadata": {"name": name}, "rules": rules})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]
    binding = {"metadata": {"name": name}, "roleRef": reference, "subjects": subjects}
    await cluster.must("POST", f"{base}/clusterrolebindings", binding)
    return {"Impersonate-User": user}
