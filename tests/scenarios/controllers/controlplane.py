"""API server, manager and kubelets in one process, on one virtual clock, from one seed.

What must stay true: everything here is the real thing (the server's whole filter chain, informers, queues, controllers)
but for the store, which is in memory, the network, which is a function call, and the kubelets, which are pretended.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, TypeVar
from unittest.mock import patch

import orjson

from apiserver.assembly import ApiServer, Options
from apiserver.registry import objectmeta
from apiserver.request import Handler
from controllers.manager import Manager
from tests.scenarios.controllers.history import MemoryStore
from tests.scenarios.controllers.kubelet import Kubelets
from tests.scenarios.controllers.transport import DirectConnection, Faults
from tests.scenarios.controllers.virtualtime import VirtualClock, run_virtually
from tests.scenarios.controllers.world import World
from tiphys import pki
from tiphys.client.rest import Client
from tiphys.clock import SystemClock

T = TypeVar("T")

WORKLOADS = (
    "service-account-controller", "deployment-controller", "replicaset-controller", "statefulset-controller",
    "daemonset-controller", "job-controller", "cronjob-controller", "disruption-controller",
)  # fmt: skip
COLLECTOR = "garbage-collector-controller"
RESTART_SECONDS = 2.0


@dataclass(frozen=True)
class Base:
    """A data directory with keys, and the store of a server that has started on it once."""

    data_dir: Path
    store: MemoryStore


class _NoListener:
    """Stands where the HTTPS server stands; hands out the handler instead of serving it."""

    def __init__(self, handler: Handler, **_: Any) -> None:
        self.handler = handler

    async def start(self, *_: Any) -> int:
        return 6443

    async def close(self) -> None:
        """Nothing listens."""


def make_base(data_dir: Path) -> Base:
    """Start a server once, so that no scenario pays for the first start."""
    pki.ensure(data_dir / "pki", pki.cluster_identities(["127.0.0.1"]), SystemClock())
    store = MemoryStore()

    async def start() -> None:
        async with server(data_dir, store, VirtualClock()):
            await asyncio.sleep(5)

    run_virtually(start())
    return Base(data_dir, store)


@contextlib.asynccontextmanager
async def server(data_dir: Path, store: MemoryStore, clock: VirtualClock) -> AsyncIterator[Handler]:
    """The API server's filter chain on `store`."""

    async def open_store(*_: object) -> MemoryStore:
        return store

    with patch.multiple("apiserver.assembly", open_store=open_store, HttpServer=_NoListener, tls_context=_nothing):
        running = ApiServer(Options(data_dir, data_dir / "pki"), clock)
        await running.start()
        assert isinstance(running._http, _NoListener)
        try:
            yield running._http.handler
        finally:
            await running.close()


def _nothing(*_: object) -> None:
    return None


@dataclass
class ControlPlane:
    """What a scenario holds.  `client` is an administrator's, without faults; `faults` are the manager's."""

    random: Random
    clock: VirtualClock
    store: MemoryStore
    world: World
    kubelets: Kubelets
    client: Client
    handler: Handler
    faults: Faults = field(default_factory=Faults)
    controllers: tuple[str, ...] = WORKLOADS
    restarts: int = 0
    _manager: asyncio.Task[None] | None = None

    # The manager

    def start_manager(self) -> None:
        """A new process: nothing is left of an earlier one but what it wrote."""
        connection = DirectConnection(self.handler, "system:kube-controller-manager", (), self.faults)
        manager = Manager(Client(connection.config, connection=connection), self.clock, names=self.controllers,
                          random=Random(self.random.random()))  # fmt: skip
        self.faults.on_kill = self._killed
        self._manager = asyncio.create_task(manager.run(), name="manager")

    def _killed(self) -> None:
        self.restarts += 1
        asyncio.get_running_loop().call_soon(self._replace_manager)

    def _replace_manager(self) -> None:
        assert self._manager is not None
        self._manager.cancel()
        self.faults = replace(self.faults, dead=False, kill_after=0)
        asyncio.get_running_loop().call_later(RESTART_SECONDS, self.start_manager)

    def kill_manager(self) -> None:
        """Now, in the middle of whatever it does."""
        self.faults.dead = True
        self._killed()

    async def stop(self) -> None:
        if self._manager is not None:
            self._manager.cancel()
            await asyncio.gather(self._manager, return_exceptions=True)

    # Waiting

    async def until(self, holds: Callable[[], bool], what: str, seconds: float = 900.0) -> None:
        """Virtual seconds.  The world's complaints, and a manager that ended, fail at once."""
        deadline = self.clock.monotonic() + seconds
        while not holds():
            self.check()
            if self.clock.monotonic() >= deadline:
                raise AssertionError(f"not within {seconds:g} virtual seconds: {what}\n{self.world.describe()}")
            await asyncio.sleep(0.5)
        self.check()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.check()

    def check(self) -> None:
        self.world.check()
        self.kubelets.check()
        if self._manager is not None and self._manager.done() and not self._manager.cancelled():
            self._manager.result()

    # What a person does

    async def create(self, path: str, body: dict[str, Any]) -> None:
        await self.must("POST", path, body)

    async def merge(self, path: str, body: dict[str, Any]) -> None:
        await self.must("PATCH", path, body, "application/merge-patch+json")

    async def delete(self, path: str, body: dict[str, Any] | None = None) -> None:
        await self.must("DELETE", path, body or {})

    async def must(self, method: str, path: str, body: dict[str, Any], content_type: str = "application/json") -> None:
        status, answer = await self.ask(method, path, body, content_type)
        assert status < 300, f"{method} {path}: {status} {answer.decode()}"

    async def ask(
        self, method: str, path: str, body: dict[str, Any], content_type: str = "application/json"
    ) -> tuple[int, bytes]:
        status, _, answer = await self.client.request(
            method, path, body=orjson.dumps(body), headers={"Content-Type": content_type}
        )
        return status, answer


class _Names:
    """Random bytes for uids and generated names that depend on the seed."""

    def __init__(self, random: Random) -> None:
        self.take = random.randbytes


def play(
    base: Base,
    seed: int,
    scenario: Callable[[ControlPlane], Coroutine[Any, Any, T]],
    *,
    controllers: Iterable[str] = WORKLOADS,
    faults: Callable[[Random], Faults] | None = None,
    nodes: int = 3,
) -> T:
    """Run `scenario` from `seed`, then look at the history once more."""
    random = Random(seed)

    async def run() -> T:
        store, clock = base.store.copy(), VirtualClock()
        world = World()
        async with server(base.data_dir, store, clock) as handler:
            store.listeners.append(world.see)
            admin = DirectConnection(handler, "kubernetes-admin", ("system:masters",))
            kubelets = Kubelets(DirectConnection(handler, "kubelets", ("system:masters",)), clock, Random(seed + 1))
            store.listeners.append(kubelets.see)
            plane = ControlPlane(
                random, clock, store, world, kubelets, Client(admin.config, connection=admin), handler,
                faults(random) if faults is not None else Faults(random), tuple(controllers),
            )  # fmt: skip
            await kubelets.register(range(nodes))
            plane.start_manager()
            try:
                await plane.until(lambda: "default/default" in world.all("serviceaccounts"), "the default account")
                result = await scenario(plane)
                plane.check()
                return result
            finally:
                await plane.stop()
                await kubelets.stop()

    with patch.object(objectmeta, "_randomness", _Names(Random(seed + 2))):
        return run_virtually(run())
