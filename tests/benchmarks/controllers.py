"""Figures of the controllers: a large Deployment on simulated nodes, a thousand idle ones, a full namespace deleted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson

from tests.benchmarks.load import Connection, Endpoint
from tests.benchmarks.meter import cpu_seconds, pss_mib
from tests.benchmarks.report import Report
from tests.machine import Machine

NODES, REPLICAS = 20, 1000
IDLE, IDLE_SECONDS, SETTLE_SECONDS = 1000, 30, 15
OBJECTS = 5000
DEADLINE_SECONDS = 600.0
_DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


def _deployment(name: str, replicas: int) -> bytes:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return orjson.dumps({"metadata": {"name": name}, "spec": spec})


async def _until(holds: Callable[[], Awaitable[bool]]) -> float:
    """Seconds until it holds."""
    begin = time.perf_counter()
    while not await holds():
        assert time.perf_counter() - begin < DEADLINE_SECONDS
        await asyncio.sleep(0.2)
    return time.perf_counter() - begin


async def _status(asking: Connection, name: str) -> dict[str, Any]:
    found = orjson.loads(await asking.send("GET", f"{_DEPLOYMENTS}/{name}"))
    status: dict[str, Any] = found.get("status", {})
    return status


async def _requests(asking: Connection) -> float:
    """All requests the server has answered."""
    text = (await asking.send("GET", "/metrics")).decode()
    lines = [line for line in text.splitlines() if line.startswith("apiserver_request_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


async def large(machine: Machine, report: Report) -> None:
    """One Deployment of REPLICAS on NODES simulated nodes, which the controllers' process plays too."""
    manager, server = machine.pids()["controllers"], machine.pids()["apiserver"]
    async with await Endpoint(machine.layout.pki).connect() as asking:
        before, cpu, server_cpu = await _requests(asking), cpu_seconds([manager]), cpu_seconds([server])
        begin = time.perf_counter()
        await asking.send("POST", _DEPLOYMENTS, _deployment("large", REPLICAS))

        async def has(count: str) -> bool:
            return bool((await _status(asking, "large")).get(count, 0) == REPLICAS)

        await _until(lambda: has("replicas"))
        report.add(f"Deployment of {REPLICAS:,}: all pods created", time.perf_counter() - begin, "s")
        await _until(lambda: has("availableReplicas"))
        report.add(f"  Available on {NODES} simulated nodes", time.perf_counter() - begin, "s")
        report.add("  API calls per pod, of everybody", (await _requests(asking) - before) / REPLICAS, "")
        report.add("  CPU of the manager, simulated nodes included", cpu_seconds([manager]) - cpu, "s")
        report.add("  CPU of the API server", cpu_seconds([server]) - server_cpu, "s")
        await asking.send("DELETE", f"{_DEPLOYMENTS}/large", b'{"propagationPolicy":"Background"}')

        async def empty() -> bool:
            return not orjson.loads(await asking.send("GET", "/api/v1/namespaces/default/pods?limit=1"))["items"]

        report.add("  its pods deleted", await _until(empty), "s")


async def idle(machine: Machine, report: Report) -> None:
    manager = machine.pids()["controllers"]
    memory = pss_mib(manager)
    async with await Endpoint(machine.layout.pki).connect() as asking:
        for number in range(IDLE):
            await asking.send("POST", _DEPLOYMENTS, _deployment(f"idle-{number}", 0))

        async def seen() -> bool:
            return bool((await _status(asking, f"idle-{IDLE - 1}")).get("observedGeneration"))

        await _until(seen)
        await asyncio.sleep(SETTLE_SECONDS)
        before = cpu_seconds([manager])
        await asyncio.sleep(IDLE_SECONDS)
    used = (cpu_seconds([manager]) - before) / IDLE_SECONDS * 100
    report.add(f"{IDLE:,} idle Deployments: CPU of the manager", used, "% of a core")
    report.add("  memory of the manager (PSS)", pss_mib(manager), "MiB")
    report.add("  of it for the Deployments", pss_mib(manager) - memory, "MiB")


async def namespace(machine: Machine, report: Report) -> None:
    manager = machine.pids()["controllers"]
    async with await Endpoint(machine.layout.pki).connect() as asking:
        await asking.send("POST", "/api/v1/namespaces", b'{"metadata":{"name":"full"}}')
        for number in range(OBJECTS):
            body = orjson.dumps({"metadata": {"name": f"map-{number}"}, "data": {"key": "value"}})
            await asking.send("POST", "/api/v1/namespaces/full/configmaps", body)
        before = cpu_seconds([manager])
        await asking.send("DELETE", "/api/v1/namespaces/full", b"{}")

        async def gone() -> bool:
            found = orjson.loads(await asking.send("GET", "/api/v1/namespaces"))["items"]
            return all(one["metadata"]["name"] != "full" for one in found)

        report.add(f"namespace with {OBJECTS:,} ConfigMaps deleted", await _until(gone), "s")
        report.add("  CPU of the manager", cpu_seconds([manager]) - before, "s")


async def _all(machine: Machine, report: Report) -> None:
    await large(machine, report)
    await namespace(machine, report)
    await idle(machine, report)


def measure(directory: Path, report: Report) -> None:
    """On a cluster of its own with simulated nodes."""
    with Machine(directory) as machine:
        machine.up("--no-node", "--fake-nodes", str(NODES))
        report.section(f"controllers, {NODES} simulated nodes")
        asyncio.run(_all(machine, report))
