"""What 200 pods that do nothing cost: memory and CPU of the agent and of what is beside it, a scrape of its pages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import orjson

from tests.benchmarks import cluster
from tests.benchmarks.load import Connection, Endpoint
from tests.benchmarks.meter import cpu_seconds, pss_mib
from tests.benchmarks.report import Report
from tests.machine import NODE, Machine, is_running
from tests.scenarios.pods import container, pod

PODS = 200
IDLE_SECONDS = 60
BATCH = 20
SCRAPES = 10
PAGES = ("/metrics/resource", "/metrics/cadvisor", "/metrics", "/stats/summary")
_PODS = "/api/v1/namespaces/default/pods"
_SETTLE_SECONDS = 15


def measure(directory: Path, report: Report) -> None:
    """Starts a cluster of its own with room for the pods."""
    with Machine(directory) as machine:
        image = cluster.pushed_image(machine)
        machine.up("--node-flags", f"--max-pods {PODS + 10}")
        cluster.image_is_present(machine, image)
        report.section(f"{PODS} idle pods for {IDLE_SECONDS} s")
        asyncio.run(_measure(machine, image, report))


async def _measure(machine: Machine, image: str, report: Report) -> None:
    agent, others = machine.pids()["nodeagent"], [machine.pids()[n] for n in ("apiserver", "controllers", "scheduler")]
    await asyncio.sleep(_SETTLE_SECONDS)
    empty_mib, (empty_cpu, _) = pss_mib(agent), await _cpu_percent([agent], others)
    endpoint = Endpoint(machine.layout.pki)
    async with await endpoint.connect() as asking, await endpoint.connect() as watching:
        names = [f"idle-{number}" for number in range(PODS)]
        begin = time.perf_counter()
        await _start(asking, watching, image, names)
        report.add(f"starting {PODS} pods, {BATCH} at a time", PODS / (time.perf_counter() - begin), "pods/s")
        await asyncio.sleep(_SETTLE_SECONDS)
        cpu, others_cpu = await _cpu_percent([agent], others)
        mib, monitors = pss_mib(agent), _monitors(machine)
        report.add("agent memory (PSS) without pods", empty_mib, "MiB")
        report.add(f"agent memory (PSS) with {PODS} pods", mib, "MiB")
        report.add("  per pod", (mib - empty_mib) / PODS * 1024, "KiB")
        report.add(f"container monitors (conmon, PSS), {len(monitors)} of them", sum(map(pss_mib, monitors)), "MiB")
        report.add("agent CPU without pods", empty_cpu, "% of a core")
        report.add(f"agent CPU with {PODS} pods", cpu, "% of a core")
        report.add("API server, controllers, scheduler meanwhile", others_cpu, "% of a core")
        await _scrape(asking, agent, report)


async def _start(asking: Connection, watching: Connection, image: str, names: Sequence[str]) -> None:
    lines = watching.lines(f"{_PODS}?watch=true&labelSelector=idle")
    waiting: set[str] = set()
    for first in range(0, len(names), BATCH):
        for name in names[first : first + BATCH]:
            body = pod(name, container(image, "exec sleep 1000000"))
            body["metadata"]["labels"] = {"idle": "yes"}
            await asking.send("PATCH", f"{_PODS}/{name}?fieldManager=bench&force=true", orjson.dumps(body))
            waiting.add(name)
        while waiting:
            found = orjson.loads(await anext(lines))["object"]
            if is_running(found):
                waiting.discard(found["metadata"]["name"])


async def _cpu_percent(*groups: Iterable[int]) -> list[float]:
    """Of a core, per group of processes, while nothing is asked of them."""
    before = [cpu_seconds(group) for group in groups]
    begin = time.perf_counter()
    await asyncio.sleep(IDLE_SECONDS)
    elapsed = time.perf_counter() - begin
    return [(cpu_seconds(group) - then) / elapsed * 100 for group, then in zip(groups, before, strict=True)]


def _monitors(machine: Machine) -> list[int]:
    return [pid for pid, words in machine._own_processes() if words.split(" ")[0].endswith("conmon")]


async def _scrape(asking: Connection, agent: int, report: Report) -> None:
    """Through the API server, as Prometheus and metrics-server do; apart enough not to share a look."""
    for page in PAGES:
        before, elapsed = cpu_seconds([agent]), 0.0
        for _ in range(SCRAPES):
            begin = time.perf_counter()
            await asking.send("GET", f"/api/v1/nodes/{NODE}/proxy{page}")
            elapsed += time.perf_counter() - begin
            await asyncio.sleep(1.1)
        spent = cpu_seconds([agent]) - before
        report.add(f"GET {page}", elapsed / SCRAPES * 1e3, "ms")
        report.add("  the agent's CPU for it", spent / SCRAPES * 1e3, "ms")
