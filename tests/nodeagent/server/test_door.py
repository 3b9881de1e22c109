"""The agent's HTTPS port: who is let in, to what, and what is not there at all."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from nodeagent.images.store import ImageStore
from nodeagent.metrics.families import AgentMetrics
from nodeagent.runtime.engine import ConmonRuntime
from nodeagent.runtime.interface import ContainerSpec, SandboxSpec
from nodeagent.runtime.sandbox import PodSandboxes
from nodeagent.server.app import Server, ServerParts
from tiphys import pki
from tiphys.api.core.pod import Pod
from tiphys.clock import SystemClock

NOBODY = 65_534
MASTER, NODE, STRANGER = "apiserver-kubelet-client", "node-n1", ""


@dataclass
class Gate:
    port: int
    keys: Path
    runtime: ConmonRuntime
    server: Server

    async def ask(self, method: str, path: str, identity: str = MASTER, ca: str = "ca") -> tuple[int, str]:
        context = ssl.create_default_context(cafile=self.keys / f"{ca}.crt")
        if identity:
            context.load_cert_chain(self.keys / f"{identity}.crt", self.keys / f"{identity}.key")
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.url(path), ssl=context, allow_redirects=False) as answer,
        ):
            return answer.status, await answer.text()

    def url(self, path: str) -> str:
        return f"https://127.0.0.1:{self.port}{path}"

    def routes(self) -> set[str]:
        """A path for each route there is."""
        words = {"namespace": "default", "pod": "p", "container": "main", "uid": "pod"}
        return {route.get_info().get("path") or route.get_info()["formatter"].format(**words) for route in
                self.server.app.router.resources()}  # fmt: skip


@pytest.fixture
async def gate(tmp_path: Path, runtime: ConmonRuntime, spec: Callable[..., ContainerSpec]) -> AsyncIterator[Gate]:
    keys = tmp_path / "pki"
    pki.ensure(keys, [*pki.cluster_identities(["127.0.0.1"]), pki.node_identity("n1", ["127.0.0.1"])], SystemClock())
    made = spec("echo from the log; exec sleep 1000")
    await runtime.create(made)
    await runtime.start(made.id)
    pod = Pod.model_validate(
        {"metadata": {"name": "p", "namespace": "default", "uid": "pod"}, "spec": {"containers": [{"name": "main"}]}}
    )

    async def nothing() -> bytes:
        return b""

    server = Server(
        ServerParts(
            runtime=runtime,
            metrics=AgentMetrics("n1"),
            clock=SystemClock(),
            pods=lambda: [pod],
            find_pod=lambda namespace, name: pod if (namespace, name) == ("default", "p") else None,
            netns=lambda uid: "",
            log_dir=lambda _: tmp_path,
            health=lambda: "",
            observe=nothing,
        )
    )
    port = await server.start("127.0.0.1", 0, keys / "node-n1.crt", keys / "node-n1.key", keys / "ca.crt")
    yield Gate(port, keys, runtime, server)
    await server.stop()


async def test_nobody_gets_anything_without_the_api_servers_certificate(gate: Gate) -> None:
    paths = {*gate.routes(), "/", "/debug/pprof/", "/anything"}
    assert "/containerLogs/default/p/main" in paths and "/exec/default/p/pod/main" in paths
    for path in sorted(paths):
        for method in ("GET", "POST"):
            assert (await gate.ask(method, path, STRANGER))[0] == 401, (method, path)
            assert (await gate.ask(method, path, NODE))[0] == 403, (method, path)
    code, text = await gate.ask("GET", "/containerLogs/default/p/main")  # the control
    assert (code, text) == (200, "from the log\n")


async def test_a_certificate_of_another_authority_ends_the_handshake(gate: Gate, tmp_path: Path) -> None:
    other = tmp_path / "other"
    pki.ensure(other, pki.cluster_identities(["127.0.0.1"]), SystemClock())
    context = ssl.create_default_context(cafile=gate.keys / "ca.crt")
    context.load_cert_chain(other / f"{MASTER}.crt", other / f"{MASTER}.key")
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get(gate.url("/pods"), ssl=context)
        # And who asks is not taken in by a stranger in the agent's place: nothing is sent before the names are right.
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(gate.url("/pods"), ssl=ssl.create_default_context(cafile=other / "ca.crt"))
        wrong_name = f"https://localhost.localdomain:{gate.port}/pods"
        with pytest.raises(aiohttp.ClientError):
            await session.get(wrong_name, ssl=ssl.create_default_context(cafile=gate.keys / "ca.crt"))
    assert (await gate.ask("GET", "/pods"))[0] == 200  # the control


async def test_there_is_one_port_and_no_read_only_one(gate: Gate) -> None:
    mine = {f"socket:[{line.split()[9]}]": line for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]
            if line.split()[3] == "0A"}  # fmt: skip
    links = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink() and link.exists()]
    ports = {int(line.split()[1].split(":")[1], 16) for name, line in mine.items() if name in links}
    assert gate.port in ports and 10255 not in ports


@pytest.mark.parametrize(
    "path",
    [
        "/debug/pprof/",
        "/debug/pprof/heap",
        "/debug/flags/v",
        "/configz",
        "/run/default/p/main",
        "/runningpods/",
        "/logs/",
    ],
)
async def test_debugging_endpoints_are_not_there(gate: Gate, path: str) -> None:
    assert (await gate.ask("GET", path))[0] == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/checkpoint/default/p/main"),
        ("PUT", "/checkpoint/default/p/main"),
        ("POST", "/pods"),
        ("DELETE", "/pods"),
        ("POST", "/containerLogs/default/p/main"),
        ("PUT", "/metrics"),
    ],
)
async def test_nothing_can_be_changed_over_it(gate: Gate, method: str, path: str, tmp_path: Path) -> None:
    before = sorted(str(file) for file in tmp_path.rglob("*"))
    assert (await gate.ask(method, path))[0] in (404, 405)
    assert sorted(str(file) for file in tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "path",
    [
        "//containerLogs/default/p/main",
        "/containerLogs//p/main",
        "/containerLogs/default/%2e%2e/main",
        "/containerLogs/default/p/..%2f..%2fsecret",
        "/containerLogs/default/p%2fmain",
        "/containerLogs/default/p/main/",
        "/containerLogs/default/p/MAIN",
        "/CONTAINERLOGS/default/p/main",
        "/exec/default/p/other-uid/main?output=1&command=x",
        "/portForward/default/p/other-uid",
    ],
)
async def test_a_path_means_one_thing_or_nothing(gate: Gate, path: str) -> None:
    assert (await gate.ask("GET", path))[0] == 404


async def test_another_user_of_the_node_sees_nothing_of_ours(gate: Gate, tmp_path: Path) -> None:
    """Every directory of state, walked by a user without rights."""
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.name.startswith("pytest"):
            parent.chmod(0o755)
    store, sandboxes = ImageStore(tmp_path / "images"), PodSandboxes(tmp_path / "run", None)
    await sandboxes.open()
    try:
        await sandboxes.create(SandboxSpec("pod", "x", user_namespace=True))
        open_to_all = tmp_path / "control"
        open_to_all.mkdir()
        (open_to_all / "file").write_text("x")
        roots = [open_to_all, tmp_path / "runtime", tmp_path / "images", tmp_path / "run", gate.keys]
        assert _seen_by_nobody(roots) == {"control": 1, "runtime": 0, "images": 0, "run": 0, "pki": 0}
    finally:
        await sandboxes.teardown_all()
        await store.close()


def _seen_by_nobody(roots: list[Path]) -> dict[str, int]:
    """How many entries a user without rights finds below each."""
    script = (
        "import os, sys\n"
        f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "for root in sys.argv[1:]:\n"
        "    print(root, sum(len(files) + len(names) for _, names, files in os.walk(root)))\n"
    )
    words = [sys.executable, "-I", "-c", script, *map(str, roots)]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    return {Path(line.rsplit(" ", 1)[0]).name: int(line.rsplit(" ", 1)[1]) for line in lines}
