"""Figures of a whole cluster: starting it, starting pods in it, and what it costs when nothing happens."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import orjson

from nodeagent.runtime.cgroups import Cgroups
from tests.benchmarks import container_start, peers
from tests.benchmarks.load import Connection, Endpoint, percentile
from tests.benchmarks.meter import cpu_seconds, drop_caches, pss_mib
from tests.benchmarks.report import Report
from tests.machine import Machine, eventually, is_running
from tests.scenarios.pods import SLEEPER, busybox_image, container, pod

ROUNDS = 50
BURST = 30
IDLE_SECONDS = 60
_SETTLE_SECONDS = 15
_PODS = "/api/v1/namespaces/default/pods"


def timed_up(machine: Machine, *flags: str) -> float:
    begin = time.perf_counter()
    machine.up(*flags)
    return time.perf_counter() - begin


def starting(machine: Machine, report: Report) -> None:
    """`tiphys up` with an empty directory and cold caches, then again; leaves the cluster running."""
    cold = drop_caches()
    report.add(
        "up to Ready, empty directory, " + ("cold caches" if cold else "caches could not be dropped"),
        timed_up(machine),
        "s",
        peers.SERVER_READY_SECONDS,
    )
    times = []
    for _ in range(3):
        machine.down()
        times.append(timed_up(machine))
    report.add("up to Ready, second start", statistics.median(times), "s", peers.SERVER_READY_SECONDS)


def first_pod(machine: Machine, image: str, report: Report) -> None:
    """From an empty directory to a Running pod with its image pulled from a registry on loopback."""
    machine.down("--purge")
    begin = time.perf_counter()
    machine.up()
    machine.apply(pod("first", container(image)))
    machine.wait_pod("first", is_running)
    report.add("nothing to a Running pod", time.perf_counter() - begin, "s", peers.RUNNING_POD_SECONDS)
    machine.kubectl("delete", "pod", "first", "--now")


def idle(machine: Machine, report: Report) -> None:
    """Memory and CPU of supervisor and components; the cluster has no pods."""
    supervisor = machine.layout.supervisor_pid()
    assert supervisor is not None
    pids = {"supervisor": supervisor, **machine.pids()}
    time.sleep(_SETTLE_SECONDS)
    before = {name: cpu_seconds([pid]) for name, pid in pids.items()}
    begin = time.perf_counter()
    time.sleep(IDLE_SECONDS)
    elapsed = time.perf_counter() - begin
    memory = {name: pss_mib(pid) for name, pid in pids.items()}
    cpu = {name: (cpu_seconds([pid]) - before[name]) / elapsed * 100 for name, pid in pids.items()}
    report.add("idle memory (PSS), everything", sum(memory.values()), "MiB", peers.IDLE_MEMORY_MIB)
    report.add("idle CPU over 60 s, everything", sum(cpu.values()), "% of a core", peers.IDLE_CPU_PERCENT)
    for name in pids:
        print(f"      {name}: {memory[name]:.1f} MiB, {cpu[name]:.2f} %", flush=True)


class PodStarts:
    """Applies pods and watches until they run, over two kept connections."""

    def __init__(self, asking: Connection, watching: Connection, image: str) -> None:
        self._asking, self._image = asking, image
        self._lines = watching.lines(f"{_PODS}?watch=true&labelSelector=bench")

    async def apply(self, name: str) -> None:
        body = pod(name, container(self._image, SLEEPER))
        body["metadata"]["labels"] = {"bench": name}
        await self._asking.send("PATCH", f"{_PODS}/{name}?fieldManager=bench&force=true", orjson.dumps(body))

    async def running(self, names: Iterable[str]) -> None:
        async for _ in self.each_running(names, 0.0):
            pass

    async def each_running(self, names: Iterable[str], begin: float) -> AsyncIterator[float]:
        """For each of the pods, when it is seen to run: seconds since `begin` (perf_counter)."""
        waiting = set(names)
        while waiting:
            found = orjson.loads(await anext(self._lines))["object"]
            if is_running(found) and found["metadata"]["name"] in waiting:
                waiting.discard(found["metadata"]["name"])
                yield time.perf_counter() - begin

    async def delete(self, names: Iterable[str]) -> None:
        waiting = set(names)
        for name in waiting:
            await self._asking.send("DELETE", f"{_PODS}/{name}", b'{"gracePeriodSeconds":0}')
        while waiting:
            event = orjson.loads(await anext(self._lines))
            if event["type"] == "DELETED":
                waiting.discard(event["object"]["metadata"]["name"])


async def pod_starts(machine: Machine, image: str, report: Report) -> None:
    """Apply to Running with the image present, one after another; each time also a bare conmon + crun start."""
    endpoint = Endpoint(machine.layout.pki)
    agent, others = machine.pids()["nodeagent"], [machine.pids()[n] for n in ("apiserver", "controllers", "scheduler")]
    with tempfile.TemporaryDirectory(prefix="tiphys-bench-") as directory:
        bare = container_start.Bare(Path(directory) / "bare", container_start.busybox_layer(Path(directory) / "layer"))
        bare_ms, ours_ms = [], []
        async with await endpoint.connect() as asking, await endpoint.connect() as watching:
            starts = PodStarts(asking, watching, image)
            spent = [0.0, 0.0]
            for number in range(ROUNDS + 2):
                before = cpu_seconds([agent]), cpu_seconds(others)
                begin = time.perf_counter()
                await starts.apply(f"start-{number}")
                await starts.running([f"start-{number}"])
                elapsed = (time.perf_counter() - begin) * 1e3
                spent = [spent[0] + cpu_seconds([agent]) - before[0], spent[1] + cpu_seconds(others) - before[1]]
                await starts.delete([f"start-{number}"])
                bare_time = await asyncio.to_thread(bare.round)
                if number >= 2:  # the first rounds warm the caches
                    ours_ms.append(elapsed)
                    bare_ms.append(bare_time * 1e3)
            await _report_starts(report, ours_ms, bare_ms, spent)
            await _burst(starts, report)
    Cgroups(container_start._CGROUP_ROOT).remove(f"/{container_start._CGROUP_ROOT}")


async def _report_starts(report: Report, ours: list[float], bare: list[float], spent: list[float]) -> None:
    bare_p50, bare_p99 = statistics.median(bare), percentile(bare, 0.99)
    here = "bare conmon + crun create and start, same run"
    p50 = peers.Peer(bare_p50, f"{bare_p50:.1f} ms", here)
    p99 = peers.Peer(bare_p99, f"{bare_p99:.1f} ms", here)
    for name, value, own, quoted in (
        ("p50", statistics.median(ours), p50, peers.POD_START_P50_MS),
        ("p99", percentile(ours, 0.99), p99, peers.POD_START_P99_MS),
    ):
        report.add(f"apply to Running, image present, {name} of {ROUNDS}", value, "ms", own)
        report.add("  the same", value, "ms", quoted)
    rounds = ROUNDS + 2
    print(
        f"      agent {spent[0] / rounds * 1e3:.0f} CPU-ms, others {spent[1] / rounds * 1e3:.0f} CPU-ms per pod start"
    )


async def _burst(starts: PodStarts, report: Report) -> None:
    names = [f"burst-{number}" for number in range(BURST)]
    begin = time.perf_counter()
    for name in names:
        await starts.apply(name)
    await starts.running(names)
    report.add(f"burst of {BURST} pods", BURST / (time.perf_counter() - begin), "pods/s", peers.BURST_PODS_PER_SECOND)
    await starts.delete(names)


def pushed_image(machine: Machine) -> str:
    """A busybox image in a registry of the machine."""
    return machine.registry("bench-registry").push(busybox_image(version="bench"), "bench", "v1")


def image_is_present(machine: Machine, image: str) -> None:
    machine.apply(pod("present", container(image)))
    machine.wait_pod("present", is_running)
    machine.kubectl("delete", "pod", "present", "--now")
    eventually(lambda: machine.containers() == {}, "the pod's containers are gone")
