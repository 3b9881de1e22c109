"""Puts the node agent together: machine, runtime, network, images, volumes, pods, Node object, HTTPS server.

The order matters and is the order of `run`: register (so that the cluster sees the node and its cause of not being
ready), open what is on disk, then take up pods.  Stopping lets go of everything and stops no container.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from nodeagent import clusternetwork, machine, node
from nodeagent.bootstrap import ensure_serving
from nodeagent.images.registryconfig import registry_config
from nodeagent.images.store import ImageStore
from nodeagent.metrics.families import AgentMetrics
from nodeagent.network import podrange
from nodeagent.network.pods import NetworkConfig, PodNetwork
from nodeagent.network.routes import PodRoutes
from nodeagent.pods.admission import NodeView
from nodeagent.pods.admissions import Admissions
from nodeagent.pods.downward import NodeFacts
from nodeagent.pods.mirrors import StaticPods
from nodeagent.pods.netfiles import ClusterDNS
from nodeagent.pods.node import Node, record
from nodeagent.pods.objects import ReferencedObjects
from nodeagent.pods.observed import Ending
from nodeagent.pods.podmanager import PodManager
from nodeagent.pods.pulls import PodImages
from nodeagent.pods.shutdown import NODE_MESSAGE, NodeShutdown, periods
from nodeagent.pods.staticpods import ManifestDirectory
from nodeagent.pods.tokens import ServiceAccountTokens
from nodeagent.policy.keeper import PolicyKeeper
from nodeagent.policy.network import PolicedNetwork
from nodeagent.runtime.cgroups import Cgroups
from nodeagent.runtime.engine import ConmonRuntime, new_container_id
from nodeagent.runtime.interface import RuntimeFailure
from nodeagent.runtime.logrotation import LogRotator
from nodeagent.runtime.sandbox import PodSandboxes
from nodeagent.server.app import Server, ServerParts
from nodeagent.settings import Footprint, Settings, policies_table_name
from nodeagent.upkeep import Upkeep, image_list, reserved_of
from nodeagent.volumes.claims import ClaimVolumes
from nodeagent.volumes.localpath import LocalPathVolumes
from nodeagent.volumes.manager import VolumeManager
from nodeagent.volumes.usage import EmptyDirLimits
from tiphys.api.core.node import Node as NodeObject
from tiphys.api.core.persistentvolume import PersistentVolume
from tiphys.api.core.pod import Pod
from tiphys.api.core.service import Service
from tiphys.api.core.volume_binding import LOCAL_PATH_ROOT
from tiphys.client.events import EventRecorder
from tiphys.client.informer import Informer
from tiphys.client.kubeconfig import load_kubeconfig
from tiphys.client.rest import Client
from tiphys.clock import Clock
from tiphys.logs import fields

_log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
PROGRAM_SECONDS = 5.0
NO_SIMULATED_NODES = "type!=tiphys-fake"


class Agent:
    """`run` until cancelled; `ready` is set once pods are taken up."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings, self.clock = settings, clock
        self.ready = asyncio.Event()
        self.port = settings.port
        self._fault = "container runtime is starting"
        self._policies = PolicyKeeper(policies_table_name(settings.table_name), settings.node_name)
        self._shutdown: NodeShutdown | None = None
        self._upkeep: Upkeep | None = None
        self._programs: dict[str, tuple[float, str]] = {}
        self._closers: list[Callable[[], Any]] = []

    async def run(self) -> None:
        """Run the node until cancelled."""
        settings = self.settings
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        settings.data_dir.chmod(0o700)
        config = load_kubeconfig(settings.kubeconfig)
        try:
            async with Client(config) as client:
                await self._run(client, config.server)
        finally:
            await self._close()

    async def _close(self) -> None:
        """Let go of everything, newest first; what fails does not keep the rest from closing."""
        for close in reversed(self._closers):
            try:
                result = close()
                if asyncio.iscoroutine(result):
                    await result
            except Exception:
                _log.exception("closing failed")

    async def _run(self, client: Client, server: str) -> None:
        settings = self.settings
        box = machine.read_machine(settings.data_dir)
        reserved = reserved_of(box, settings.eviction, settings.reserved)
        box = replace(box, max_pods=settings.max_pods, reserved=reserved)
        registries = registry_config(settings.registry_config, settings.image_network)
        images = ImageStore(settings.images_dir, self.clock, registries=registries)
        self._closers.append(images.close)
        keeper = self._keeper(client, box, images)
        registered = await keeper.register()
        heart = asyncio.create_task(keeper.run(), name="heartbeat")
        self._closers.append(lambda: _cancel(heart))
        pod_cidr = await self._follow_nodes(client, registered, keeper)
        Footprint.of(settings, pod_cidr).write(settings.data_dir)
        runtime, sandboxes, cgroups = await self._open(pod_cidr, keeper)
        self._rotate_logs(runtime)
        if settings.request_certificate:
            certificate, key = settings.tls_cert_file, settings.tls_private_key_file
            await ensure_serving(client, settings.node_name, settings.node_ips, certificate, key, self.clock)
        manager, world = await self._take_up_pods(client, server, keeper, images, runtime, sandboxes, cgroups)
        upkeep = self._upkeep = Upkeep(settings, world, runtime, images, manager, keeper.wake)
        upkeep.start()
        self._closers.append(upkeep.stop)
        await self._serve(runtime, manager, world, upkeep)
        self._fault = ""
        keeper.wake()
        self.ready.set()
        await heart

    async def _follow_nodes(self, client: Client, registered: NodeObject, keeper: node.NodeKeeper) -> str:
        """This node's pod range, once it has one; from then on the way to the other nodes' pods is kept."""
        settings = self.settings
        nodes: Informer[NodeObject] = Informer(client, NodeObject, label_selector=NO_SIMULATED_NODES)
        self._closers.append(nodes.stop)
        found = podrange.follow(nodes, settings.node_name, registered)
        nodes.start()
        if not found.done():
            self._fault = "container runtime network not ready: the node has no pod range yet"
            keeper.wake()
        own = await found
        self._fault = "container runtime is starting"
        address = next((ip for ip in settings.node_ips if ":" not in ip), "")
        task = asyncio.create_task(PodRoutes(nodes, settings.node_name, own, address).run(), name="pod routes")
        self._closers.append(lambda: _cancel(task))
        return str(own)

    def _keeper(self, client: Client, box: machine.Machine, images: ImageStore) -> node.NodeKeeper:
        settings = self.settings
        config = node.NodeConfig(
            settings.node_name,
            settings.node_ips,
            settings.port,
            settings.pod_cidr,
            settings.labels,
            {LOCAL_PATH_ROOT: str(settings.local_path_dir)},
        )
        return node.NodeKeeper(client, config, box, self.clock, self.health, lambda: image_list(images))

    def health(self) -> node.Health:
        """Fit for the Node's conditions: the cause when pods cannot run, and what is scarce."""
        fault = self._fault or self.program_fault()
        if self._shutdown is not None and self._shutdown.active:
            fault = NODE_MESSAGE
        return node.Health(fault, self._upkeep.eviction.pressures() if self._upkeep is not None else None)

    def _view(self, keeper: node.NodeKeeper) -> NodeView:
        """The node as admission sees it."""
        allowed = self.settings.allowed_unsafe_sysctls
        found, allocatable = keeper.node, keeper.machine.allocatable()
        if found is None:
            return NodeView(self.settings.node_name, allocatable, unsafe_sysctls=allowed)
        allocatable = {**found.status.allocatable, **allocatable}
        name, labels = self.settings.node_name, found.metadata.labels
        return NodeView(name, allocatable, labels, tuple(found.spec.taints), allowed)

    async def shut_down(self) -> None:
        """Graceful shutdown of the node: returns when its pods have ended or their time is over."""
        if self._shutdown is not None:
            await self._shutdown.run()

    def program_fault(self) -> str:
        """ "" or what is wrong with conmon or the OCI runtime;
        a program is run again only when its file has changed.
        """
        for names in (("conmon",), ("crun", "runc")):
            path = next((found for name in names if (found := shutil.which(name))), None)
            if path is None:
                package = names[0]
                return f"container runtime is down: {package} is not installed: apt-get install {package}"
            stamp = Path(path).stat().st_mtime
            if self._programs.get(path, (0.0, ""))[0] != stamp:
                self._programs[path] = (stamp, _try_program(path))
            if self._programs[path][1]:
                return f"container runtime is down: {self._programs[path][1]}"
        return ""

    async def _open(self, pod_cidr: str, keeper: node.NodeKeeper) -> tuple[ConmonRuntime, PodSandboxes, Cgroups]:
        """Runtime, network and sandboxes as the disk has them; tried again until it works,
        with the cause in the Node.
        """
        settings = self.settings
        while True:
            try:
                cgroups = Cgroups(settings.cgroup_root)
                settings.runtime_dir.mkdir(parents=True, exist_ok=True)
                runtime = ConmonRuntime(settings.runtime_dir, cgroups, clock=self.clock)
                settings.network_dir.mkdir(parents=True, exist_ok=True)
                network = PodNetwork(
                    NetworkConfig(
                        state_dir=settings.network_dir,
                        pod_cidr=ipaddress.IPv4Network(pod_cidr),
                        cluster_cidr=ipaddress.IPv4Network(settings.cluster_cidr),
                        bridge=settings.bridge_name,
                        table=settings.table_name,
                    )
                )
                await network.open()
                sandboxes = PodSandboxes(settings.sandboxes_dir, PolicedNetwork(network, self._policies))
                found = await sandboxes.open()
                await network.release_all_but({sandbox.pod_uid for sandbox in found})
                await runtime.open()
                self._closers.append(runtime.close)
                return runtime, sandboxes, cgroups
            except (RuntimeFailure, OSError) as error:
                self._fault = f"container runtime is down: {error}"
                _log.warning("the runtime cannot be opened", extra=fields(cause=error))
                keeper.wake()
                await asyncio.sleep(RETRY_SECONDS)

    def _rotate_logs(self, runtime: ConmonRuntime) -> None:
        limits = self.settings
        rotator = LogRotator(
            runtime, self.clock, max_bytes=limits.container_log_max_bytes, max_files=limits.container_log_max_files
        )
        task = asyncio.create_task(rotator.run(), name="log rotation")
        self._closers.append(lambda: _cancel(task))

    async def _take_up_pods(
        self,
        client: Client,
        server: str,
        keeper: node.NodeKeeper,
        images: ImageStore,
        runtime: ConmonRuntime,
        sandboxes: PodSandboxes,
        cgroups: Cgroups,
    ) -> tuple[PodManager, Node]:
        settings = self.settings
        pods: Informer[Pod] = Informer(client, Pod, field_selector=f"spec.nodeName={settings.node_name}")
        services: Informer[Service] = Informer(client, Service)
        events = EventRecorder(client, "kubelet", settings.node_name, self.clock)
        manager = PodManager(pods)
        objects = ReferencedObjects(client, manager.objects_changed)
        http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
        facts = NodeFacts(settings.node_name, settings.node_ips, keeper.machine.allocatable())
        admissions = Admissions(lambda: self._view(keeper), keeper.look, manager.active, manager.end_pod)
        static = StaticPods(client, self.clock, lambda: keeper.node, manager.wake)
        self._shutdown = NodeShutdown(manager, settings.shutdown_periods or periods(30.0, 10.0), keeper.wake)
        admissions.gates.append(self._shutdown.gate)
        world = Node(
            client=client,
            runtime=runtime,
            sandboxes=sandboxes,
            cgroups=cgroups,
            images=PodImages(images, client, objects, self.clock, partial(record, events)),
            volumes=self._volumes(client, keeper, manager, events),
            objects=objects,
            tokens=ServiceAccountTokens(client, self.clock, manager.objects_changed),
            events=events,
            clock=self.clock,
            http=http,
            metrics=self._metrics(client),
            facts=lambda: facts,
            dns=self._dns,
            services=lambda: services.list(),
            api_server=_host_and_port(server),
            logs_root=settings.logs_dir,
            seccomp_root=settings.data_dir / "seccomp",
            memory_capacity_bytes=keeper.machine.memory_bytes,
            new_container_id=new_container_id,
            admissions=admissions,
            static=static,
        )
        self._closers += [events.stop, http.close, objects.close, services.stop, pods.stop, manager.stop]
        pods.start()
        services.start()
        await services.wait_synced()
        if settings.pod_manifest_path is not None:
            manifests = ManifestDirectory(settings.pod_manifest_path, settings.node_name, static.changed)
            manifests.open()
            self._closers.append(manifests.close)
        registry = world.metrics.registry
        addresses = {sandbox.pod_uid: sandbox.ip for sandbox in sandboxes.list() if sandbox.ip}
        self._closers += await clusternetwork.enforce_policies(client, self._policies, pods, addresses)
        self._closers += await clusternetwork.start(
            client, settings, keeper.labels, services, events, registry, self.clock
        )
        await manager.start(world)
        return manager, world

    def _volumes(
        self, client: Client, keeper: node.NodeKeeper, manager: PodManager, events: EventRecorder
    ) -> VolumeManager:
        settings = self.settings

        def evict(pod_uid: str, message: str) -> None:
            pod = next((pod for pod in manager.pods() if pod.metadata.uid == pod_uid), None)
            ending = Ending("Evicted", message, grace_seconds=1, disruption=False)
            if pod is not None and manager.end_pod(pod_uid, ending):
                record(events, pod, "Warning", "Evicted", message)

        def not_removed(volume: PersistentVolume, cause: str) -> None:
            events.event(volume, "Warning", "VolumeFailedDelete", cause)

        local_path = LocalPathVolumes(settings.local_path_dir, client, settings.node_name, not_removed)
        removing = asyncio.create_task(local_path.run(), name="local-path volumes")
        limits = EmptyDirLimits(evict)
        self._closers += [lambda: _cancel(removing), limits.close]

        claims = ClaimVolumes(client, local_path, settings.node_name, keeper.labels)
        return VolumeManager(settings.pods_dir, self.clock, claims=claims, limits=limits)

    def _metrics(self, client: Client) -> AgentMetrics:
        metrics = AgentMetrics(self.settings.node_name)
        metrics.upkeep.api_host = urlsplit(client.config.server).netloc
        client.connection.on_answer = metrics.upkeep.answered
        return metrics

    def _dns(self) -> ClusterDNS:
        try:
            host = Path("/etc/resolv.conf").read_text()
        except OSError:
            host = ""
        return ClusterDNS(self.settings.cluster_dns, self.settings.cluster_domain, host)

    async def _serve(self, runtime: ConmonRuntime, manager: PodManager, world: Node, upkeep: Upkeep) -> None:
        settings = self.settings

        server = Server(
            ServerParts(
                runtime=runtime,
                metrics=world.metrics,
                clock=self.clock,
                pods=manager.pods,
                find_pod=manager.find,
                netns=lambda uid: sandbox.namespaces.net if (sandbox := world.sandboxes.get(uid)) else None,
                log_dir=world.log_dir,
                health=lambda: self._fault or self.program_fault(),
                observe=upkeep.observe,
                pages=upkeep.pages(),
            )
        )
        self.port = await server.start(
            settings.bind_address,
            settings.port,
            settings.tls_cert_file,
            settings.tls_private_key_file,
            settings.client_ca_file,
        )
        self._closers.append(server.stop)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _try_program(path: str) -> str:
    """ "" or why the program does not run."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, timeout=PROGRAM_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{path}: {error}"
    return "" if done.returncode == 0 else f"{path} --version ends with code {done.returncode}"


def _host_and_port(server: str) -> tuple[str, int]:
    parts = urlsplit(server)
    return parts.hostname or "", parts.port or 443
