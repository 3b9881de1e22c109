"""Puts together what keeps the node healthy and measured: statistics and their pages, eviction, garbage collection.

`Upkeep.start` begins the two loops (pressure every ten seconds, garbage every five minutes); the pages are made when
somebody reads them.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Any

import orjson

from nodeagent.eviction import signals
from nodeagent.eviction.manager import EvictionManager, EvictionParts
from nodeagent.eviction.thresholds import EvictionConfig
from nodeagent.garbagecollection.containers import removable
from nodeagent.garbagecollection.images import ImageGarbageCollector
from nodeagent.garbagecollection.usedimages import used_images
from nodeagent.images.store import ImageStore
from nodeagent.machine import Machine
from nodeagent.metrics.cadvisor import cadvisor_page
from nodeagent.metrics.resource import resource_page
from nodeagent.metrics.text import CONTENT_TYPE
from nodeagent.metrics.upkeep import certificate_seconds_left
from nodeagent.metrics.volumes import volume_page
from nodeagent.pods.node import Node
from nodeagent.pods.podmanager import PodManager
from nodeagent.runtime.cgroups import cpu_shares
from nodeagent.runtime.engine import ConmonRuntime
from nodeagent.runtime.interface import Resources, RuntimeFailure
from nodeagent.runtime.logrotation import remove_logs
from nodeagent.settings import Settings
from nodeagent.stats import machine
from nodeagent.stats.collector import StatsCollector, StatsSources
from nodeagent.stats.disk import DiskUsage, PodDisk
from nodeagent.stats.summary import summary
from tiphys.api.core.pod import Pod
from tiphys.client.events import EventRecorder
from tiphys.logs import fields

_log = logging.getLogger(__name__)

GARBAGE_SECONDS = 300.0
LIMIT_AGE_SECONDS = 5.0  # how old a measure of a pod with limits of ephemeral storage may be
OVER = ("Succeeded", "Failed")
Page = Callable[[Mapping[str, str]], Awaitable[tuple[bytes, str]]]


class Upkeep:
    """One per agent, made once pods are taken up."""

    def __init__(
        self,
        settings: Settings,
        world: Node,
        runtime: ConmonRuntime,
        images: ImageStore,
        pods: PodManager,
        changed: Callable[[], None],
    ) -> None:
        """`changed` is called when a condition of the Node has changed."""
        self._settings, self._world, self._runtime, self._images, self._pods = settings, world, runtime, images, pods
        self.disk = DiskUsage(world.clock, runtime.layout.containers, settings.pods_dir, world.volumes.claim_paths)
        sources = StatsSources(
            node_name=settings.node_name,
            cgroups=world.cgroups,
            disk=self.disk,
            node_dir=settings.data_dir,
            images_dir=settings.images_dir,
            images_bytes=images.disk_usage,
            pods=pods.pods,
            containers=runtime.list,
            log_dir=world.log_dir,
        )
        self.stats = StatsCollector(sources, world.clock)
        warn = partial(_node_event, world.events, settings.node_name)
        parts = EvictionParts(
            observe=lambda: signals.observe(settings.data_dir, settings.images_dir),
            pods=pods,
            snapshot=lambda disk: self.stats.look(disk=disk),
            disk=self._disk_of,
            reclaim=self.reclaim,
            node_event=warn,
            changed=changed,
            counted=lambda signal: world.metrics.upkeep.evictions.labels(signal).inc(),
        )
        self.eviction = EvictionManager(settings.eviction, parts, world.clock)
        self.images = ImageGarbageCollector(
            images,
            self._images_in_use,
            lambda: machine.file_system(settings.images_dir),
            warn,
            lambda why, count: world.metrics.upkeep.images_collected.labels(why).inc(count),
            world.clock,
            settings.image_policy,
        )
        world.admissions.gates.append(self.eviction.gate)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._bound_pods()
        self._tasks = [
            asyncio.create_task(self.eviction.run(), name="eviction"),
            asyncio.create_task(self._collect_garbage(), name="garbage collection"),
        ]

    def _bound_pods(self) -> None:
        """Where something is set aside, the kernel keeps all pods together out of it."""
        reserved, world = self._settings.reserved, self._world
        if not reserved:
            return
        memory = max(0, world.memory_capacity_bytes - reserved.get("memory", 0))
        cpu = max(0, (os.cpu_count() or 1) * 1000 - reserved.get("cpu", 0))
        try:
            world.cgroups.bound_pods(Resources(cpu_shares=cpu_shares(cpu), memory_limit_bytes=memory))
        except RuntimeFailure as error:
            _log.warning("what is reserved is not enforced", extra=fields(cause=error))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- garbage ---------------------------------------------------------------------------------------------------

    async def reclaim(self) -> None:
        """Disk space that nobody needs: ended containers with their logs, then images."""
        over = {pod.metadata.uid for pod in self._pods.pods() if pod.status.phase in OVER}
        for status in removable(await self._runtime.list(), over):
            await self._runtime.remove(status.id)
            await asyncio.to_thread(remove_logs, status.spec.log_path)
        await self.images.remove_unused()

    async def _collect_garbage(self) -> None:
        while True:
            try:
                await self.images.collect()
            except Exception:
                _log.exception("collecting garbage failed")
            await asyncio.sleep(GARBAGE_SECONDS)

    async def _images_in_use(self) -> Collection[str]:
        containers, volumes = await self._runtime.list(), self._world.volumes.images_in_use()
        return used_images(self._images, containers, volumes, self._pods.pods())

    async def _disk_of(self, pod: Pod) -> PodDisk:
        containers = await self._runtime.list(pod.metadata.uid)
        return await self.disk.of_pod(pod, containers, self._world.log_dir(pod), LIMIT_AGE_SECONDS)

    # -- pages -----------------------------------------------------------------------------------------------------

    def pages(self) -> Mapping[str, Page]:
        """Path -> page, for the agent's server."""
        return {
            "/stats/summary": self._summary,
            "/metrics/resource": self._resource,
            "/metrics/cadvisor": self._cadvisor,
            "/metrics/probes": self._probes,
        }

    async def _summary(self, query: Mapping[str, str]) -> tuple[bytes, str]:
        lean = query.get("only_cpu_and_memory") in ("true", "1")
        snapshot = await self.stats.look(disk=not lean, lean=lean)
        return orjson.dumps(summary(snapshot, only_cpu_and_memory=lean)), "application/json"

    async def _resource(self, query: Mapping[str, str]) -> tuple[bytes, str]:
        return resource_page(await self.stats.look(lean=True)), CONTENT_TYPE

    async def _cadvisor(self, query: Mapping[str, str]) -> tuple[bytes, str]:
        return cadvisor_page(await self.stats.look()), CONTENT_TYPE

    async def _probes(self, query: Mapping[str, str]) -> tuple[bytes, str]:
        return self._world.metrics.probes.render(), CONTENT_TYPE

    async def observe(self) -> bytes:
        """Brings the gauges of /metrics up to date; the part of the page that is about volumes."""
        metrics, now = self._world.metrics, self._world.clock.now()
        statuses = await self._runtime.list()
        metrics.running_pods.set(len({s.spec.pod_uid for s in statuses if s.state == "running"}))
        for state in ("created", "running", "exited"):
            metrics.running_containers.labels(state).set(sum(status.state == state for status in statuses))
        own = self._settings.tls_cert_file
        seconds = certificate_seconds_left(own, now)
        metrics.upkeep.client_seconds_left.set(seconds)
        metrics.upkeep.server_seconds_left.set(seconds)
        pods = [pod for pod in self._pods.pods() if pod.status.phase not in OVER]
        claims = [(pod.metadata.namespace, volume) for pod in pods for volume in self.disk.claims(pod)]
        return volume_page(claims, pods)


def reserved_of(box: Machine, eviction: EvictionConfig, reserved: Mapping[str, int]) -> dict[str, int]:
    """What pods may not take: what is set aside, and what eviction keeps free."""
    memory = eviction.hard_amount("memory.available", box.memory_bytes)
    disk = eviction.hard_amount("nodefs.available", box.disk_bytes)
    kept = {"memory": memory, "ephemeral-storage": disk}
    return {name: reserved.get(name, 0) + kept.get(name, 0) for name in {*reserved, *kept}}


def image_list(images: ImageStore, most: int = 50) -> list[dict[str, Any]]:
    """Node.status.images: the largest first."""
    found = sorted(images.list(), key=lambda image: (-image.size, image.id))[:most]
    return [{"names": [*image.repo_digests, *image.repo_tags][:5], "sizeBytes": image.size} for image in found]


def _node_event(events: EventRecorder, node_name: str, reason: str, message: str) -> None:
    """A Warning on the Node, whose uid in events is its name, as upstream has it."""
    reference = {"apiVersion": "v1", "kind": "Node", "name": node_name, "uid": node_name}
    events.event_for(reference, "Warning", reason, message)
