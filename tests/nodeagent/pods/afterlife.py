"""A node in memory that outlives its agents, and agents that die at a given call to the world outside.

Only the outer edge stands in for something: runtime, sandboxes, network, cgroups and images are dictionaries here;
volumes are real files, the API server and its client are real, and so is everything in nodeagent.pods.

Every call counts twice, before its effect and after it, so an agent dies both not having done and having done a thing
that it does not know of.  Once one call has killed the agent all further ones fail, and nothing more happens outside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from nodeagent.metrics.families import AgentMetrics
from nodeagent.pods.admission import NodeView
from nodeagent.pods.admissions import Admissions
from nodeagent.pods.containerspec import ImageFacts
from nodeagent.pods.downward import NodeFacts
from nodeagent.pods.mirrors import StaticPods
from nodeagent.pods.netfiles import ClusterDNS
from nodeagent.pods.node import Node
from nodeagent.pods.objects import ReferencedObjects
from nodeagent.pods.observed import Waiting
from nodeagent.pods.podmanager import PodManager
from nodeagent.pods.tokens import ServiceAccountTokens
from nodeagent.runtime.cgroups import QosClass
from nodeagent.runtime.interface import (
    ContainerSpec,
    ContainerStatus,
    ExitListener,
    PodNamespaces,
    Resources,
    Sandbox,
    SandboxSpec,
)
from nodeagent.volumes.manager import VolumeManager
from tiphys.api.core.container import Container
from tiphys.api.core.pod import Pod
from tiphys.client.events import EventRecorder
from tiphys.client.informer import Informer
from tiphys.client.rest import Client
from tiphys.clock import SystemClock

T = TypeVar("T")
ALLOCATABLE = {"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "10Gi"}


class Killed(BaseException):
    """kill -9 of the agent: nothing handles it."""


@dataclass
class Death:
    """Kills at the `count`-th call of that `name` ("" is never); `calls` are the names of all calls so far.

    Not at the k-th call of all: tasks of the agent run beside each other, and their calls fall together differently.
    """

    name: str = ""
    count: int = 1
    calls: list[str] = field(default_factory=list)
    died: asyncio.Event = field(default_factory=asyncio.Event)

    def call(self, name: str) -> None:
        if self.died.is_set():
            raise Killed(name)
        self.calls.append(name)
        if name == self.name and self.calls.count(name) == self.count:
            self.died.set()
            raise Killed(name)

    async def around(self, name: str, effect: Callable[[], Awaitable[T]]) -> T:
        self.call(f"before {name}")
        result = await effect()
        self.call(f"after {name}")
        return result

    def within(self, name: str, effect: Callable[[], T]) -> T:
        self.call(f"before {name}")
        result = effect()
        self.call(f"after {name}")
        return result


class World:
    """What is on the node whether an agent runs or not.  `exits[name]` are the exit codes of a container's starts."""

    def __init__(self, root: Path, exits: dict[str, list[int]]) -> None:
        self.root, self.exits = root, exits
        self.containers: dict[str, ContainerStatus] = {}
        self.sandboxes: dict[str, Sandbox] = {}
        self.addresses: dict[str, str] = {}
        self.cgroups: dict[str, str] = {}
        self.starts: list[str] = []  # names, in order
        self.listeners: list[ExitListener] = []
        self.ids = 0

    def left(self) -> list[str]:
        """Everything that a deleted pod must not leave."""
        files = [str(path.relative_to(self.root)) for path in sorted((self.root / "pods").glob("*"))]
        logs = [str(path.relative_to(self.root)) for path in sorted((self.root / "logs").glob("*"))]
        return [*self.containers, *self.sandboxes, *self.addresses, *self.cgroups, *files, *logs]

    def end(self, container_id: str, code: int) -> None:
        """The container's program ends by itself."""
        now = SystemClock().now()
        status = self.containers[container_id]
        status = replace(status, state="exited", pid=0, finished_at=now, exit_code=code)
        self.containers[container_id] = status
        for listener in list(self.listeners):
            listener(status)


class MemoryRuntime:
    """The container interface over a World."""

    def __init__(self, world: World, death: Death) -> None:
        self.world, self.death = world, death

    async def create(self, spec: ContainerSpec) -> ContainerStatus:
        async def effect() -> ContainerStatus:
            status = ContainerStatus(spec.id, spec, "created", 1, SystemClock().now())
            self.world.containers[spec.id] = status
            return status

        return await self.death.around(f"create {spec.name}", effect)

    async def start(self, container_id: str) -> ContainerStatus:
        async def effect() -> ContainerStatus:
            world, status = self.world, self.world.containers[container_id]
            name = status.spec.name
            twins = [s for s in world.containers.values() if s.spec.name == name and s.state == "running"]
            assert status.state == "created" and not twins, f"{name} is started while it runs"
            world.starts.append(name)
            status = world.containers[container_id] = replace(status, state="running", started_at=SystemClock().now())
            codes = world.exits.get(name, [])
            if len(codes) >= (count := world.starts.count(name)):
                asyncio.get_running_loop().call_soon(world.end, container_id, codes[count - 1])
            return status

        return await self.death.around(f"start {self._name(container_id)}", effect)

    async def stop(self, container_id: str, grace_seconds: float, signal: str = "") -> ContainerStatus | None:
        async def effect() -> None:
            status = self.world.containers.get(container_id)
            if status is not None and status.state != "exited":
                self.world.end(container_id, 143)

        await self.death.around(f"stop {self._name(container_id)}", effect)
        return self.world.containers.get(container_id)

    async def remove(self, container_id: str) -> None:
        async def effect() -> None:
            self.world.containers.pop(container_id, None)

        await self.death.around(f"remove {self._name(container_id)}", effect)

    async def update(self, container_id: str, resources: Resources) -> None:
        async def effect() -> None:
            status = self.world.containers[container_id]
            spec = replace(status.spec, resources=resources)
            self.world.containers[container_id] = replace(status, spec=spec)

        await self.death.around(f"update {self._name(container_id)}", effect)

    async def status(self, container_id: str) -> ContainerStatus:
        return self.world.containers[container_id]

    async def list(self, pod_uid: str = "") -> Sequence[ContainerStatus]:
        return [s for s in self.world.containers.values() if pod_uid in ("", s.spec.pod_uid)]

    def on_exit(self, listener: ExitListener) -> Callable[[], None]:
        self.world.listeners[:] = [listener]  # an agent that died hears nothing any more
        return self.world.listeners.clear

    def _name(self, container_id: str) -> str:
        status = self.world.containers.get(container_id)
        return status.spec.name if status is not None else "nothing"


class MemorySandboxes:
    """Sandboxes and addresses; an address without a sandbox is given back when an agent starts, as the real one."""

    def __init__(self, world: World, death: Death) -> None:
        self.world, self.death = world, death
        for uid in set(world.addresses) - set(world.sandboxes):
            del world.addresses[uid]

    async def create(self, spec: SandboxSpec) -> Sandbox:
        async def attach() -> str:
            return self.world.addresses.setdefault(spec.pod_uid, "10.0.0.2")

        async def pin() -> Sandbox:
            made = Sandbox(spec.pod_uid, spec.hostname, PodNamespaces(), ip)
            return self.world.sandboxes.setdefault(spec.pod_uid, made)

        ip = await self.death.around("attach to the network", attach)
        return await self.death.around("pin the namespaces", pin)

    async def remove(self, pod_uid: str) -> None:
        async def effect() -> None:
            self.world.sandboxes.pop(pod_uid, None)
            self.world.addresses.pop(pod_uid, None)

        await self.death.around("remove the sandbox", effect)

    def get(self, pod_uid: str) -> Sandbox | None:
        return self.world.sandboxes.get(pod_uid)

    def list(self) -> Sequence[Sandbox]:
        return list(self.world.sandboxes.values())


class MemoryCgroups:
    def __init__(self, world: World, death: Death) -> None:
        self.world, self.death = world, death

    def pod_path(self, pod_uid: str, qos: QosClass) -> str:
        return f"/kubepods/{qos.lower()}/pod{pod_uid}"

    def create_pod(self, pod_uid: str, qos: QosClass, resources: Resources) -> str:
        path = self.pod_path(pod_uid, qos)
        self.death.within("make the cgroup", lambda: self.world.cgroups.setdefault(pod_uid, path))
        return path

    def update(self, path: str, resources: Resources) -> None:
        self.death.within("update the cgroup", lambda: None)

    def pods(self) -> dict[str, str]:
        return dict(self.world.cgroups)

    def remove(self, path: str) -> bool:
        uid = path.rpartition("/pod")[2]
        self.death.within("remove the cgroup", lambda: self.world.cgroups.pop(uid, None))
        return True


class MemoryImages:
    """The first question starts a pull; the next agent has to pull again."""

    def __init__(self, death: Death) -> None:
        self.death = death
        self.pulled: set[str] = set()

    def ensure(self, pod: Pod, container: Container, wake: Callable[[], None]) -> ImageFacts | Waiting:
        if container.image in self.pulled:
            return ImageFacts("sha256:1", (), ("/bin/true",))
        self.death.within("pull", lambda: self.pulled.add(container.image))
        asyncio.get_running_loop().call_soon(wake)
        return Waiting("")

    def forget(self, pod_uid: str) -> None:
        pass


class MortalVolumes(VolumeManager):
    """The real volumes."""

    death: Death

    async def set_up(self, *words: Any) -> Any:
        return await self.death.around("set up volumes", lambda: VolumeManager.set_up(self, *words))

    async def unmount(self, pod_uid: str) -> None:
        await self.death.around("unmount volumes", lambda: VolumeManager.unmount(self, pod_uid))

    async def tear_down(self, pod_uid: str) -> None:
        await self.death.around("tear down volumes", lambda: VolumeManager.tear_down(self, pod_uid))


class MortalClient(Client):
    """The real client; its writes count."""

    death: Death

    async def patch(self, *words: Any, **more: Any) -> Any:
        return await self.death.around("patch in the API", lambda: Client.patch(self, *words, **more))

    async def delete(self, *words: Any, **more: Any) -> None:
        await self.death.around("delete in the API", lambda: Client.delete(self, *words, **more))

    async def create(self, *words: Any, **more: Any) -> Any:
        return await self.death.around("create in the API", lambda: Client.create(self, *words, **more))


class MortalAgent:
    """The pods' part of an agent on a World.  `start`, then `death.died` or what the test waits for, then `stop`."""

    def __init__(self, world: World, node_name: str, client: Client, death: Death) -> None:
        self.world, self.name, self.client, self.death = world, node_name, client, death
        self._closers: list[Callable[[], Awaitable[object]]] = []

    async def start(self) -> None:
        world, death, clock = self.world, self.death, SystemClock()
        mortal = MortalClient(self.client.config)
        mortal.death = death
        pods: Informer[Pod] = Informer(self.client, Pod, field_selector=f"spec.nodeName={self.name}")
        manager = self.manager = PodManager(pods)
        objects = ReferencedObjects(self.client, manager.objects_changed)
        events = EventRecorder(self.client, "kubelet", self.name, clock)
        http = aiohttp.ClientSession()
        volumes = MortalVolumes(world.root / "pods", clock)
        volumes.death = death

        async def look() -> None:
            return None

        node = Node(
            client=mortal,
            runtime=MemoryRuntime(world, death),  # type: ignore[arg-type]
            sandboxes=MemorySandboxes(world, death),
            cgroups=MemoryCgroups(world, death),  # type: ignore[arg-type]
            images=MemoryImages(death),
            volumes=volumes,
            objects=objects,
            tokens=ServiceAccountTokens(mortal, clock, manager.objects_changed),
            events=events,
            clock=clock,
            http=http,
            metrics=AgentMetrics(self.name),
            facts=lambda: NodeFacts(self.name, ("10.9.9.9",), ALLOCATABLE),
            dns=ClusterDNS,
            services=tuple,
            api_server=("10.96.0.1", 443),
            logs_root=world.root / "logs",
            seccomp_root=world.root / "seccomp",
            memory_capacity_bytes=8 << 30,
            new_container_id=self._new_id,
            admissions=Admissions(lambda: NodeView(self.name, ALLOCATABLE), look, manager.active, manager.end_pod),
            static=StaticPods(mortal, clock, lambda: None, manager.wake),
        )
        self._closers = [http.close, mortal.close, events.stop, objects.close, pods.stop, manager.stop]
        pods.start()
        await manager.start(node)

    def _new_id(self) -> str:
        self.world.ids += 1
        return f"{self.world.ids:064x}"

    async def stop(self) -> None:
        for close in reversed(self._closers):
            await close()
