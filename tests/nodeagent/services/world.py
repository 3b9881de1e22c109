"""A node in a network namespace of its own: the real bridge, pods that are namespaces on it, a client outside, a real
API server, and the service proxy with real informers.

Sockets are made by a thread that has entered the pod's namespace; they stay there, and the test's event loop uses them.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import itertools
import os
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from nodeagent.network.pods import NetworkConfig, PodNetwork
from nodeagent.runtime import syscalls
from nodeagent.services import nftables
from nodeagent.services.endpoints import NodeFacts
from nodeagent.services.proxy import ProxyConfig, ServiceProxy
from nodeagent.services.ruleset import TableConfig
from tests.apiserver.cluster import Cluster, running_cluster
from tiphys.api.core.service import Service
from tiphys.api.endpoints.endpointslice import EndpointSlice
from tiphys.client.informer import Informer
from tiphys.client.kubeconfig import load_kubeconfig
from tiphys.client.rest import Client

T = TypeVar("T")
NODE = "n1"
PODS = "10.212.5.0/24"
CLUSTER = "10.212.0.0/16"
NODE_ADDRESS, OUTSIDE_ADDRESS = "192.168.99.1", "192.168.99.2"
SECONDS = 20.0
_numbers = itertools.count()


async def eventually(probe: Callable[[], Awaitable[T]], what: str, seconds: float = SECONDS) -> T:
    """The first answer of `probe` that is true."""
    last: Any = None
    try:
        async with asyncio.timeout(seconds):
            while not (last := await probe()):
                await asyncio.sleep(0.02)
            return last
    except TimeoutError:
        raise AssertionError(f"not within {seconds:.0f} s: {what}; last: {last}") from None


def inside(netns: str, act: Callable[[], T]) -> T:
    """What `act` returns in that namespace ("": this one)."""
    if not netns:
        return act()
    results: list[T] = []

    def run() -> None:
        fd = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
        syscalls.setns(fd, syscalls.CLONE_NEWNET)
        os.close(fd)
        results.append(act())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


class Host:
    """Somebody with a network namespace: a pod, or the client outside."""

    def __init__(self, name: str, netns: str, address: str) -> None:
        self.name, self.netns, self.address = name, netns, address
        self._servers: list[Any] = []

    async def serve(self, port: int) -> None:
        """TCP and UDP: answer "name client-address" to whoever comes."""
        listener = inside(self.netns, lambda: _listener(port))

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            client = writer.get_extra_info("peername")[0].removeprefix("::ffff:")
            with contextlib.suppress(OSError):
                writer.write(f"{self.name} {client}".encode())
                await writer.drain()
                writer.close()

        self._servers.append(await asyncio.start_server(answer, sock=listener))
        door = inside(self.netns, lambda: _socket(socket.SOCK_DGRAM, port))
        name = self.name

        class Echo(asyncio.DatagramProtocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport = cast(asyncio.DatagramTransport, transport)

            def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                self.transport.sendto(f"{name} {addr[0]}".encode(), addr)

        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Echo, sock=door)
        self._servers.append(transport)

    async def ask(self, address: str, port: int, seconds: float = 3.0) -> str:
        """What the server says over TCP; "refused", "unreachable" or "silence"."""
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        door = inside(self.netns, lambda: socket.socket(family, socket.SOCK_STREAM))
        door.setblocking(False)
        try:
            async with asyncio.timeout(seconds):
                await loop.sock_connect(door, (address, port))
                return (await loop.sock_recv(door, 1000)).decode()
        except ConnectionRefusedError:
            return "refused"
        except TimeoutError:
            return "silence"
        except OSError:
            return "unreachable"
        finally:
            door.close()

    async def names(self, address: str, port: int, count: int = 30) -> Counter[str]:
        """Who answers how often."""
        return Counter([(await self.ask(address, port)).split()[0] for _ in range(count)])

    def datagrams(self) -> Datagrams:
        return Datagrams(inside(self.netns, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)))

    def close(self) -> None:
        for server in self._servers:
            server.close()


class Datagrams:
    """A UDP client that keeps its source port."""

    def __init__(self, door: socket.socket) -> None:
        self._door = door
        door.setblocking(False)

    async def ask(self, address: str, port: int, seconds: float = 1.0) -> str:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                await loop.sock_sendto(self._door, b"?", (address, port))
                return (await loop.sock_recv(self._door, 1000)).decode()
        except TimeoutError:
            return "silence"
        except OSError:
            return "refused"

    def close(self) -> None:
        self._door.close()


def _socket(kind: socket.SocketKind, port: int) -> socket.socket:
    door = socket.socket(socket.AF_INET, kind)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    door.bind(("0.0.0.0", port))
    door.setblocking(False)
    return door


def _listener(port: int) -> socket.socket:
    door = _socket(socket.SOCK_STREAM, port)
    door.listen(200)
    return door


def ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


def nft(text: str) -> str:
    done = subprocess.run(["nft", text], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


class World:
    """`node` is the node itself, `outside` a machine beside it, `pods` are a, b and c."""

    def __init__(self, directory: Path, cluster: Cluster) -> None:
        self.directory, self.cluster = directory, cluster
        self.node = Host("node", "", NODE_ADDRESS)
        self.outside = Host("outside", "", "")
        self.pods: dict[str, Host] = {}
        self.zone = ""
        self.reports: list[str] = []
        config = NetworkConfig(
            directory / "ipam",
            ipaddress.IPv4Network(PODS),
            ipaddress.IPv4Network(CLUSTER),
            bridge="testbr0",
            table="tiphys-test",
        )
        self.network = PodNetwork(config)
        self.table = TableConfig("tiphys-test-services", {"ip": CLUSTER})
        self._names: list[str] = []
        self._closers: list[Callable[[], Any]] = []

    async def open(self) -> None:
        assert os.geteuid() == 0, "these tests need root"
        ip("link", "set", "lo", "up")
        outside = self._namespace("outside")
        ip("link", "add", "uplink", "type", "veth", "peer", "name", "eth0", "netns", self._names[-1])
        ip("address", "add", f"{NODE_ADDRESS}/24", "dev", "uplink")
        ip("link", "set", "uplink", "up")
        ip("route", "add", "default", "via", OUTSIDE_ADDRESS)
        for link in ("lo", "eth0"):
            inside(outside, partial(ip, "link", "set", link, "up"))
        inside(outside, lambda: ip("address", "add", f"{OUTSIDE_ADDRESS}/24", "dev", "eth0"))
        inside(outside, lambda: ip("route", "add", "10.96.0.0/16", "via", NODE_ADDRESS))
        self.outside = Host("outside", outside, OUTSIDE_ADDRESS)
        await self.network.open()
        for name in "abc":
            netns = self._namespace(name)
            address = await self.network.attach(name, netns)
            self.pods[name] = Host(name, netns, address)
            await self.pods[name].serve(8080)
        self.client = await self._enter(Client(load_kubeconfig(str(self.cluster.kubeconfig()))))
        self.services: Informer[Service] = Informer(self.client, Service)
        self.slices: Informer[EndpointSlice] = Informer(self.client, EndpointSlice)
        self.services.start()
        self.slices.start()
        self._closers += [self.services.stop, self.slices.stop]
        await self.start_proxy()

    async def _enter(self, client: Client) -> Client:
        self._closers.append(lambda: client.__aexit__(None, None, None))
        return await client.__aenter__()

    def _namespace(self, name: str) -> str:
        whole = f"tiphys-svc-{os.getpid()}-{next(_numbers)}-{name}"
        ip("netns", "add", whole)
        self._names.append(whole)
        return f"/run/netns/{whole}"

    async def start_proxy(self) -> None:
        config = ProxyConfig(
            self.table,
            lambda: NodeFacts(NODE, self.zone),
            (NODE_ADDRESS,),
            lambda service, reason, message: self.reports.append(f"{service.metadata.name} {reason} {message}"),
        )
        self.proxy = ServiceProxy(config, self.services, self.slices)
        await self.proxy.start()

    async def close(self) -> None:
        await self.proxy.stop()
        for host in self.pods.values():
            host.close()
        for close in reversed(self._closers):
            await close()
        await self.network.teardown()
        nftables.apply("flush ruleset")
        ip("link", "delete", "uplink")
        for name in self._names:
            ip("netns", "delete", name)

    # -- objects -------------------------------------------------------------------------------------------------

    async def service(self, name: str, endpoints: str, **spec: Any) -> Service:
        """A Service on port 80 with the named pods as its ready endpoints ("a b"), once it is programmed."""
        ports = spec.pop("ports", [{"name": "http", "port": 80, "targetPort": 8080}])
        made = await self.cluster.must(
            "POST",
            "/api/v1/namespaces/default/services",
            {"metadata": {"name": name}, "spec": {"ports": ports, **spec}},
        )
        await self.endpoints(name, endpoints, ports)
        return Service.model_validate(made)

    async def endpoints(self, name: str, pods: str, ports: Any = None, **more: Any) -> None:
        """Make the slice of the Service say these pods; "c@n2" is a pod of another node, "a!" one that terminates."""
        found = []
        for word in pods.split():
            pod, _, node = word.strip("!").partition("@")
            going = word.endswith("!")
            conditions = {"ready": not going, "serving": True, "terminating": going}
            endpoint = {"addresses": [self.pods[pod].address], "conditions": conditions, "nodeName": node or NODE}
            found.append(endpoint | more.get(pod, {}))
        ports = ports or [{"name": "http", "port": 80}]
        wire = [
            {"name": one.get("name", ""), "protocol": one.get("protocol", "TCP"), "port": one.get("targetPort", 8080)}
            for one in ports
        ]
        labels = {"kubernetes.io/service-name": name}
        body = {"metadata": {"name": name, "labels": labels}, "addressType": "IPv4", "endpoints": found, "ports": wire}
        path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
        old = await self.cluster.request("GET", f"{path}/{name}")
        if old.status == 200:
            made = await self.cluster.must("PUT", f"{path}/{name}", body)
        else:
            made = await self.cluster.must("POST", path, body)
        await self.slices.wait_for(int(made["metadata"]["resourceVersion"]))
        await self.programmed()

    async def patch(self, name: str, patch: Any, subresource: str = "") -> Service:
        path = f"/api/v1/namespaces/default/services/{name}{subresource}"
        made = await self.cluster.must("PATCH", path, patch, content_type="application/merge-patch+json")
        await self.services.wait_for(int(made["metadata"]["resourceVersion"]))
        await self.programmed()
        return Service.model_validate(made)

    async def programmed(self) -> None:
        """Everything the informers have seen is in the kernel."""
        await asyncio.wait_for(self.proxy.settled(), SECONDS)


@contextlib.asynccontextmanager
async def running_world(directory: Path) -> AsyncIterator[World]:
    """The calling thread lives in the node's namespace while it is entered."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    syscalls.unshare(syscalls.CLONE_NEWNET)
    try:
        ip("link", "set", "lo", "up")
        async with running_cluster(directory / "api") as cluster:
            world = World(directory, cluster)
            try:
                await world.open()
                yield world
            finally:
                await world.close()
    finally:
        syscalls.setns(home, syscalls.CLONE_NEWNET)
        os.close(home)
