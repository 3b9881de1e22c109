"""A real API server, a real registry and a real agent as processes, for tests of the agent from outside."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from nodeagent.images.layout import LayerBuilder, build_image
from nodeagent.images.push_example import base_layer
from nodeagent.teardown import teardown
from tests.nodeagent.registry import Registry, free_port
from tiphys import pki
from tiphys.api.core.event import Event
from tiphys.api.core.pod import Pod
from tiphys.client.errors import ApiError
from tiphys.client.kubeconfig import load_kubeconfig, write_kubeconfig
from tiphys.client.rest import Client
from tiphys.clock import SystemClock

T = TypeVar("T")
NODE = "test-node"
DEADLINE_SECONDS = 30.0


async def eventually(probe: Callable[[], Awaitable[T | None]], what: str, seconds: float = DEADLINE_SECONDS) -> T:
    """The first answer of `probe` that is not None or False."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                answer = await probe()
                if answer is not None and answer is not False:
                    return answer
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {seconds} s: {what}") from None


class Cluster:
    """`start` everything, `stop` everything; the agent may be killed and started in between."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pki = root / "pki"
        self.api_port, self.agent_port = free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.api_port}"
        self.node_dir = root / "node"
        self.registry = Registry(root / "registry")
        self._api: subprocess.Popen[bytes] | None = None
        self.agent: subprocess.Popen[bytes] | None = None
        number = os.getpid() % 200
        self.agent_flags = [
            *("--pod-cidr", f"10.251.{number}.0/24", "--cluster-cidr", f"10.251.{number}.0/24"),
            *("--bridge-name", f"tt{os.getpid()}", "--nftables-table", f"tiphys-test-{os.getpid()}"),
            *("--cgroup-root", f"tiphys-test-agent-{os.getpid()}"),
        ]

    @property
    def image(self) -> str:
        return f"{self.registry.host}/busybox:1"

    def start(self) -> None:
        """API server, registry with a busybox image, agent."""
        self.start_api()
        self.registry.start()
        image = build_image([base_layer(), LayerBuilder().file("hello", "hi").build()], {"Cmd": ["/bin/sh"]})
        self.registry.push(image, "busybox", "1")
        self.start_agent()

    def start_api(self) -> None:
        """Certificates, kubeconfigs and the API server."""
        identities = [*pki.cluster_identities(["127.0.0.1", "localhost"]), pki.node_identity(NODE, ["127.0.0.1"])]
        pki.ensure(self.pki, identities, SystemClock())
        for name in ("admin", f"node-{NODE}"):
            cert, key = (self.pki / f"{name}.crt").read_bytes(), (self.pki / f"{name}.key").read_bytes()
            write_kubeconfig(self.root / f"{name}.kubeconfig", self.url, (self.pki / "ca.crt").read_bytes(), cert, key)
        words = ["--data-dir", str(self.root / "api"), "--pki-dir", str(self.pki), "--port", str(self.api_port)]
        self._api = self._spawn("apiserver", words)

    def start_agent(self) -> None:
        self.agent = self._spawn(
            "nodeagent",
            [
                *("--kubeconfig", str(self.root / f"node-{NODE}.kubeconfig"), "--data-dir", str(self.node_dir)),
                *("--node-name", NODE, "--node-ip", "127.0.0.1", "--pki-dir", str(self.pki)),
                *("--bind-address", "127.0.0.1", "--port", str(self.agent_port), *self.agent_flags),
            ],
        )

    def _spawn(self, module: str, words: list[str]) -> subprocess.Popen[bytes]:
        with (self.root / f"{module}.log").open("ab") as log:
            return subprocess.Popen([sys.executable, "-m", module, *words], stderr=log, stdout=log)

    def kill_agent(self) -> None:
        assert self.agent is not None
        self.agent.send_signal(signal.SIGKILL)
        self.agent.wait()

    def stop(self) -> list[str]:
        """End all processes and take the agent's things down; what is left."""
        for process in (self.agent, self._api):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(20)
        self.registry.stop()
        return teardown(self.node_dir)

    def client(self) -> Client:
        return Client(load_kubeconfig(str(self.root / "admin.kubeconfig")))

    def log_of(self, module: str) -> str:
        return (self.root / f"{module}.log").read_text()

    # -- talking to the cluster ------------------------------------------------------------------------------------

    def pod(self, name: str, command: list[str], *, spec: dict[str, Any] | None = None, **container: Any) -> Pod:
        """A pod on the node with one container `main` that runs `command`."""
        main = {"name": "main", "image": self.image, "command": command, **container}
        base = {
            "nodeName": NODE,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 5,
            "containers": [main],
        }
        metadata = {"name": name, "namespace": "default"}
        return Pod.model_validate({"metadata": metadata, "spec": {**base, **(spec or {})}})

    async def agent_get(self, path: str, *, certificate: str = "apiserver-kubelet-client") -> tuple[int, str]:
        """GET from the agent's HTTPS server as the holder of `certificate` ("" = nobody)."""
        context = ssl.create_default_context(cafile=self.pki / "ca.crt")
        if certificate:
            context.load_cert_chain(self.pki / f"{certificate}.crt", self.pki / f"{certificate}.key")
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"https://127.0.0.1:{self.agent_port}{path}", ssl=context) as response,
        ):
            return response.status, await response.text()


async def get_pod(client: Client, name: str) -> Pod | None:
    try:
        return await client.get(Pod, name, "default")
    except ApiError as error:
        if error.not_found:
            return None
        raise


async def wait_for_pod(
    client: Client, name: str, holds: Callable[[Pod], Any], seconds: float = DEADLINE_SECONDS
) -> Pod:
    """The pod once `holds(pod)` is true."""
    last: list[Pod] = []

    async def probe() -> Pod | None:
        pod = await get_pod(client, name)
        if pod is not None:
            last[:] = [pod]
        return pod if pod is not None and holds(pod) else None

    try:
        return await eventually(probe, f"pod {name}", seconds)
    except AssertionError as error:
        events = [(e.reason, e.message) for e in (await client.list(Event, "default")).items]
        status = last[0].status.to_dict() if last else None
        raise AssertionError(f"{error}: {status}\nevents: {events}") from None


async def reasons(client: Client, name: str) -> dict[str, str]:
    """Event reason -> newest message for the pod."""
    events = (await client.list(Event, "default")).items
    return {event.reason: event.message for event in events if event.involvedObject.name == name}
