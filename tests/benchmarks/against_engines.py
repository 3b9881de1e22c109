"""Pod starts and exec round trips in turns with containerd, docker and podman, in one run.

A peer starts one container without a network from its command line; ours is `apply` to Running through API server,
scheduler and agent, with a network.  CPU of ours is that of all components; of a peer, its daemons and commands.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from nodeagent.runtime.cgroups import Cgroups
from tests.benchmarks import container_start
from tests.benchmarks.cluster import PodStarts
from tests.benchmarks.engines import Engine, EngineFailure, Engines
from tests.benchmarks.load import Endpoint, percentile
from tests.benchmarks.meter import cpu_seconds
from tests.benchmarks.peers import Peer
from tests.benchmarks.report import Report
from tests.machine import KUBECTL, Machine

ROUNDS = int(os.environ.get("TIPHYS_BENCH_ROUNDS", "100"))
BURST = int(os.environ.get("TIPHYS_BENCH_BURST", "100"))
EXECS = 30


@dataclass
class Figures:
    """Milliseconds of each start, and CPU milliseconds of all of them together."""

    milliseconds: list[float] = field(default_factory=list)
    cpu_milliseconds: float = 0.0
    failure: str = ""

    async def take(self, act: Callable[[], Awaitable[float]], cpu: Callable[[], float]) -> None:
        before = cpu()
        try:
            self.milliseconds.append(await act() * 1e3)
        except EngineFailure as error:
            self.failure = str(error)
        self.cpu_milliseconds += (cpu() - before) * 1e3

    def text(self) -> str:
        if not self.milliseconds:
            return f"failed: {self.failure}"
        p50, p99 = statistics.median(self.milliseconds), percentile(self.milliseconds, 0.99)
        cpu = self.cpu_milliseconds / len(self.milliseconds)
        return f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, {cpu:.0f} CPU-ms each" + (
            f" ({self.failure})" * bool(self.failure)
        )


async def measure(machine: Machine, image: str, report: Report) -> None:
    """Sequential starts, simultaneous starts, exec: ours and every engine's."""
    endpoint = Endpoint(machine.layout.pki)
    parts = (
        (f"{ROUNDS} starts, one after another, in turns with engines", "one start", _sequential),
        (f"{BURST} starts at one time", f"start of {BURST} at once", _simultaneous),
        ("exec of `busybox true` from the command line", "exec round trip", _execs),
    )
    with Engines(machine.directory / "engines", image) as engines:
        for title, what, part in parts:
            report.section(title)
            # connections of its own: the server closes those that are idle while the peers have their turn
            async with await endpoint.connect() as asking, await endpoint.connect() as watching:
                found = await part(machine, PodStarts(asking, watching, image), engines)
            _rows(report, what, found)


def _rows(report: Report, what: str, found: dict[str, Figures]) -> None:
    ours = found["ours"].milliseconds
    for name, figures in found.items():
        print(f"      {name}: {figures.text()}", flush=True)
    for name, figures in found.items():
        if name == "ours" or not figures.milliseconds:
            continue
        for title, of in (("p50", statistics.median), ("p99", lambda values: percentile(list(values), 0.99))):
            peer = of(figures.milliseconds)
            report.add(f"{what}, {title}", of(ours), "ms", Peer(peer, f"{peer:.0f} ms", f"{name}, same run"))


def _components(machine: Machine) -> Callable[[], float]:
    pids = list(machine.pids().values())
    return lambda: cpu_seconds(pids)


async def _sequential(machine: Machine, starts: PodStarts, engines: Engines) -> dict[str, Figures]:
    bare = container_start.Bare(
        machine.directory / "bare", container_start.busybox_layer(machine.directory / "bare-layer")
    )
    found = {name: Figures() for name in ("ours", "bare conmon + crun", *(e.name for e in engines.all))}
    own = _components(machine)

    async def ours(name: str) -> float:
        begin = time.perf_counter()
        await starts.apply(name)
        await starts.running([name])
        return time.perf_counter() - begin

    async def bare_round() -> float:
        return await asyncio.to_thread(bare.round)

    for number in range(ROUNDS + 2):
        if number == 2:  # the first rounds warm the caches
            found = {name: Figures() for name in found}
        name = f"turn-{number}"
        await found["ours"].take(lambda name=name: ours(name), own)  # type: ignore[misc]
        await starts.delete([name])
        await found["bare conmon + crun"].take(bare_round, _children)
        for engine in engines.all:
            await found[engine.name].take(lambda e=engine, n=name: e.run(e.start, n), engine.cpu_seconds)  # type: ignore[misc]
            await _quietly(engine, name)
    Cgroups(container_start._CGROUP_ROOT).remove(f"/{container_start._CGROUP_ROOT}")
    return found


def _children() -> float:
    own = os.times()
    return own.children_user + own.children_system


async def _quietly(engine: Engine, name: str) -> None:
    try:
        await engine.run(engine.remove, name)
    except EngineFailure as error:
        print(f"      {error}", flush=True)


async def _simultaneous(machine: Machine, starts: PodStarts, engines: Engines) -> dict[str, Figures]:
    """Each start's time from the common begin; the CPU is divided among them."""
    names = [f"burst-{number}" for number in range(BURST)]
    own, found = _components(machine), {"ours": Figures()}
    before, begin = own(), time.perf_counter()
    for name in names:
        await starts.apply(name)
    async for seconds in starts.each_running(names, begin):
        found["ours"].milliseconds.append(seconds * 1e3)
    found["ours"].cpu_milliseconds = (own() - before) * 1e3
    await starts.delete(names)
    for engine in engines.all:
        figures = found[engine.name] = Figures()
        before = engine.cpu_seconds()

        async def one(name: str, engine: Engine = engine, figures: Figures = figures) -> None:
            try:
                figures.milliseconds.append(await engine.run(engine.start, name) * 1e3)
            except EngineFailure as error:
                figures.failure = str(error)

        await asyncio.gather(*map(one, names))
        figures.cpu_milliseconds = (engine.cpu_seconds() - before) * 1e3
        for name in names:
            await _quietly(engine, name)
    return found


async def _execs(machine: Machine, starts: PodStarts, engines: Engines) -> dict[str, Figures]:
    kubectl = Engine(
        "ours",
        (),
        (),
        (str(KUBECTL), "exec", "NAME", "--", "busybox", "true"),
        list(machine.pids().values()),
        {"KUBECONFIG": str(machine.layout.kubeconfig("admin")), "HOME": str(Path.home())},
    )
    await starts.apply("exec")
    await starts.running(["exec"])
    with_exec = [engine for engine in engines.all if engine.exec]
    for engine in with_exec:
        await engine.run(engine.start, f"exec-{with_exec.index(engine)}")
    found = {engine.name: Figures() for engine in (kubectl, *with_exec)}
    for _ in range(EXECS):
        await found["ours"].take(lambda: kubectl.run(kubectl.exec, "exec"), kubectl.cpu_seconds)
        for index, engine in enumerate(with_exec):
            act = lambda e=engine, n=f"exec-{index}": e.run(e.exec, n)  # noqa: E731
            await found[engine.name].take(act, engine.cpu_seconds)
    await starts.delete(["exec"])
    for index, engine in enumerate(with_exec):
        await _quietly(engine, f"exec-{index}")
    return found
