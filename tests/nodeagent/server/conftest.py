"""The streaming routes in front of a real runtime in this process, so that a test can count what is left."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web

from nodeagent.runtime.engine import ConmonRuntime
from nodeagent.runtime.interface import ContainerSpec
from nodeagent.server.attach import AttachRoute
from nodeagent.server.exec import ExecRoute
from tests.nodeagent.cluster import eventually
from tests.nodeagent.runtime.conftest import cgroups, layer, prerequisites, runtime, spec
from tiphys.api.core.pod import Pod

__all__ = ["cgroups", "layer", "prerequisites", "runtime", "spec"]


@dataclass(frozen=True)
class Footprint:
    """What this process and the container hold."""

    descriptors: int
    tasks: int
    processes: int
    files: int


@dataclass
class Door:
    """An agent's door with one pod `p` (uid `pod`) and its container `main`."""

    runtime: ConmonRuntime
    container: ContainerSpec
    port: int
    session: aiohttp.ClientSession
    cgroup: str

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def exec(
        self,
        *command: str,
        streams: str = "output=1&error=1",
        protocol: str = "v5.channel.k8s.io",
        path: str = "default/p",
    ) -> aiohttp.client._WSRequestContextManager:
        words = urlencode([("command", word) for word in command])
        url = self.url(f"/exec/{path}/main?{streams}&{words}")
        return self.session.ws_connect(url, protocols=(protocol,) if protocol else ())

    def attach(self, streams: str = "output=1&error=1") -> aiohttp.client._WSRequestContextManager:
        return self.session.ws_connect(self.url(f"/attach/default/p/main?{streams}"), protocols=("v5.channel.k8s.io",))

    def footprint(self) -> Footprint:
        gc.collect()
        files = sum(1 for _ in self.runtime.layout.containers.glob("*/exec-*"))
        processes = len(self.runtime.cgroups.pids(self.cgroup))
        return Footprint(sum(1 for _ in Path("/proc/self/fd").iterdir()), len(asyncio.all_tasks()), processes, files)

    async def settles(self, before: Footprint) -> None:
        """Waits until nothing more is held than before."""

        async def settled() -> bool:
            now = self.footprint()
            return all(
                getattr(now, name) <= getattr(before, name) for name in ("descriptors", "tasks", "processes", "files")
            )

        try:
            await eventually(settled, "everything is given back", 15)
        except AssertionError:
            raise AssertionError(f"before {before}, after {self.footprint()}: {asyncio.all_tasks()}") from None


@pytest.fixture
async def door(
    runtime: ConmonRuntime, spec: Callable[..., ContainerSpec], request: pytest.FixtureRequest
) -> AsyncIterator[Door]:
    """Parametrize indirectly with (script, fields of ContainerSpec)."""
    script, fields = getattr(request, "param", ("exec sleep 1000", {}))
    container = spec(script, **fields)
    await runtime.create(container)
    await runtime.start(container.id)
    pod = Pod.model_validate(
        {"metadata": {"name": "p", "namespace": "default", "uid": "pod"}, "spec": {"containers": [{"name": "main"}]}}
    )

    def find(namespace: str, name: str) -> Pod | None:
        return pod if (namespace, name) == ("default", "p") else None

    app = web.Application()
    app.router.add_get("/idle/{namespace}/{pod}/{container}", ExecRoute(runtime, find, 0.7).handle)
    for prefix in ("/{namespace}/{pod}", "/{namespace}/{pod}/{uid}"):
        app.router.add_get(f"/exec{prefix}/{{container}}", ExecRoute(runtime, find).handle)
        app.router.add_get(f"/attach{prefix}/{{container}}", AttachRoute(runtime, find).handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    async with aiohttp.ClientSession() as session:
        path = runtime.cgroups.container_path(container.cgroup_parent, container.id)
        yield Door(runtime, container, runner.addresses[0][1], session, path)
    await runner.cleanup()
