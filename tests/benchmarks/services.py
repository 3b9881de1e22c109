"""Services: programming many of them and one change among them, the way of a packet through one, against plain routing.

    python -m tests.benchmarks.services [SERVICES]

Everything happens in network namespaces of its own.  Figures only: nothing here fails because it is slow.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nodeagent.runtime import syscalls
from nodeagent.services import nftables, ruleset
from nodeagent.services.elements import Contribution, contribution
from nodeagent.services.endpoints import NodeFacts
from nodeagent.services.ledger import Ledger, chains_of
from tests.nodeagent.services.world import World, inside, running_world
from tiphys.api.core.service import Service
from tiphys.api.endpoints.endpointslice import EndpointSlice

FACTS = NodeFacts("n0")
TABLE = ruleset.TableConfig("bench-services", {"ip": "10.0.0.0/9"})
ROUNDS = 30
REQUESTS = 2000
STREAM_BYTES = 2 << 30


def service(number: int) -> Service:
    address = f"10.{160 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}"
    spec = {"clusterIP": address, "clusterIPs": [address], "type": "ClusterIP", "ports": [{"port": 80}]}
    return Service.model_validate({"metadata": {"name": f"s{number}", "namespace": "d"}, "spec": spec})


def slice_of(number: int, count: int = 2, first: int = 0) -> EndpointSlice:
    endpoints = [
        {
            "addresses": [f"10.{one // 62500}.{one // 250 % 250}.{one % 250 + 1}"],
            "nodeName": f"n{one % 10}",
            "conditions": {"ready": True},
        }
        for one in range(number * 2 + first, number * 2 + first + count)
    ]
    wire = {"addressType": "IPv4", "endpoints": endpoints, "ports": [{"name": "", "port": 8080}]}
    return EndpointSlice.model_validate({"metadata": {"name": f"s{number}", "namespace": "d"}, **wire})


@contextmanager
def own_network() -> Iterator[None]:
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    syscalls.unshare(syscalls.CLONE_NEWNET)
    try:
        yield
    finally:
        syscalls.setns(home, syscalls.CLONE_NEWNET)
        os.close(home)


def cpu_seconds() -> float:
    """Of this process and of the children it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def programming(count: int) -> None:
    """Full load, then one change of a Service's endpoints after another."""
    objects = [(service(number), [slice_of(number)]) for number in range(count)]
    ledger, held = Ledger(), dict[int, Contribution]()
    wall, cpu = time.perf_counter(), cpu_seconds()
    for number, (one, slices) in enumerate(objects):
        held[number] = contribution(one, slices, FACTS)
        ledger.set(str(number), {}, held[number].elements)
    ledger.take()
    nftables.apply(ruleset.rebuild(TABLE, ledger.all()))
    print(f"full load of {count} Services x 2: {time.perf_counter() - wall:.2f} s, {cpu_seconds() - cpu:.2f} CPU-s")
    present = {("ip", name) for name in chains_of(value for _, value in ledger.all())}
    walls, cpus = [], []
    for number in range(ROUNDS):
        wall, cpu = time.perf_counter(), cpu_seconds()
        new = contribution(objects[number][0], [slice_of(number, first=1 + count)], FACTS, held[number])
        ledger.set(str(number), held[number].elements, new.elements)
        nftables.apply(ruleset.update(TABLE, ledger.take(), present))
        walls.append(1000 * (time.perf_counter() - wall))
        cpus.append(1000 * (cpu_seconds() - cpu))
    print(f"one change: p50 {statistics.median(walls):.1f} ms, {statistics.median(cpus):.1f} CPU-ms")
    walls = []
    for _ in range(ROUNDS):
        wall = time.perf_counter()
        nftables.apply("add table ip other\nadd chain ip other empty\ndelete table ip other\n")
        walls.append(1000 * (time.perf_counter() - wall))
    print(f"an empty transaction of the kernel, for comparison: p50 {statistics.median(walls):.1f} ms")


async def following(world: World) -> None:
    """A slice is written at the API server; how long until the Service leads to its new endpoint."""
    made = await world.service("followed", "a")
    address, samples = made.spec.clusterIP, list[float]()
    path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/followed"
    for number in range(40):
        pod = "ba"[number % 2]
        patch = [{"op": "replace", "path": "/endpoints/0/addresses", "value": [world.pods[pod].address]}]
        await world.cluster.must("PATCH", path, patch, content_type="application/json-patch+json")
        answered = time.perf_counter()
        while not (await world.pods["c"].ask(address, 80)).startswith(pod):
            await asyncio.sleep(0)
        samples.append(1000 * (time.perf_counter() - answered))
    samples.sort()
    print(f"endpoint change answered to first right packet: p50 {samples[19]:.1f} ms, p99 {samples[-1]:.1f} ms")


def packets(world: World, vip: str) -> None:
    """Latency of a new connection and of a request on an open one, and throughput, direct and through the Service."""
    server, client = world.pods["b"], world.pods["c"]
    inside(server.netns, lambda: _start_sink(9000))
    for name, target in (("pod to pod", (server.address, 9000)), ("pod to Service to pod", (vip, 90))):
        opened, asked, speed = inside(client.netns, lambda target=target: _measure(target))  # type: ignore[misc]
        print(f"{name}: connect p50 {opened:.0f} us, request p50 {asked:.0f} us, {speed:.2f} GB/s")


def _start_sink(port: int) -> None:
    """Echoes messages of one byte, swallows the rest."""
    listener = socket.create_server(("0.0.0.0", port), backlog=500)

    def serve(connection: socket.socket) -> None:
        while data := connection.recv(1 << 20):
            if len(data) == 1:
                connection.sendall(data)
        connection.close()

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def _measure(target: tuple[str, int]) -> tuple[float, float, float]:
    opened, asked = [], []
    for _ in range(200):
        start = time.perf_counter()
        socket.create_connection(target).close()
        opened.append(1e6 * (time.perf_counter() - start))
    with socket.create_connection(target) as door:
        door.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(REQUESTS):
            start = time.perf_counter()
            door.sendall(b"?")
            door.recv(1)
            asked.append(1e6 * (time.perf_counter() - start))
        block, start = b"x" * (1 << 20), time.perf_counter()
        for _ in range(STREAM_BYTES >> 20):
            door.sendall(block)
        speed = STREAM_BYTES / (time.perf_counter() - start) / 1e9
    return statistics.median(opened), statistics.median(asked), speed


async def traffic(directory: Path) -> None:
    async with running_world(directory) as world:
        await following(world)
        ports = [{"name": "sink", "port": 90, "targetPort": 9000}]
        made = await world.service("sink", "b", ports=ports)
        await asyncio.to_thread(packets, world, made.spec.clusterIP)


def main(words: list[str]) -> int:
    count = int(words[0]) if words else 10_000
    with own_network():
        programming(count)
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(traffic(Path(directory)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
