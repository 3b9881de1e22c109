"""Figures of the API server with much in it: 10,000 pods, 1,000 watchers; per store."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from pathlib import Path

import orjson

from tests.benchmarks import peers
from tests.benchmarks.api import changed_map, config_map, pod
from tests.benchmarks.crowd import Crowd
from tests.benchmarks.load import Endpoint, Load, Request, drive, percentile
from tests.benchmarks.meter import cpu_seconds, peak_rss_mib, reset_peak_rss, rss_mib
from tests.benchmarks.report import Report
from tests.machine import Machine, eventually

PODS = 10_000
WATCHERS = 1000
_LISTS = 15
_WRITES = 3000
_SINGLE_EVENTS = 100
_BURST_EVENTS = 200
_NAMESPACE = "/api/v1/namespaces/default"
_PODS, _MAPS = f"{_NAMESPACE}/pods", f"{_NAMESPACE}/configmaps"
_MORE_PODS = "/api/v1/namespaces/more/pods"


async def _prepared(machine: Machine) -> Endpoint:
    endpoint = Endpoint(machine.layout.pki)
    eventually(lambda: machine.get(f"{_NAMESPACE}/serviceaccounts/default"), "the namespace has its service account")
    async with await endpoint.connect() as connection:
        for number in range(32):
            await connection.send("POST", _MAPS, config_map(f"found-{number}"))
    return endpoint


async def writes(machine: Machine, report: Report, store: str) -> None:
    """Create and update with 32 clients."""
    endpoint, server = await _prepared(machine), machine.pids()["apiserver"]

    def create(number: int) -> Request:
        return "POST", _MAPS, config_map(f"new-{number}")

    def update(number: int) -> Request:
        return "PUT", f"{_MAPS}/found-{number % 32}", changed_map(f"0-{number}")

    for what, make, peer in (
        ("create", create, peers.CREATE_32_PER_SECOND),
        ("update", update, peers.UPDATE_32_PER_SECOND),
    ):
        _add(report, f"{what} ConfigMap, 32 clients, {store}", await drive(endpoint, server, 32, _WRITES, make), peer)


async def reads(machine: Machine, report: Report) -> None:
    """GET and LIST among PODS pods, and what a stored pod costs in memory."""
    endpoint, server = Endpoint(machine.layout.pki), machine.pids()["apiserver"]
    before = rss_mib(server)
    filled = await drive(endpoint, server, 32, PODS, lambda number: ("POST", _PODS, pod(f"pod-{number:05}")))
    _add(report, f"create {PODS:,} Pods, 32 clients", filled, peers.CREATE_POD_32_PER_SECOND)
    after = rss_mib(server)
    async with await endpoint.connect() as connection:
        size = len(await connection.send("GET", _PODS)) / PODS
        await connection.send("POST", "/api/v1/namespaces", b'{"metadata":{"name":"more"}}')
    eventually(lambda: machine.get("/api/v1/namespaces/more/serviceaccounts/default"), "the namespace is ready")
    grown = (after - before) * 2**20 / PODS
    report.add(f"memory per stored pod of {size:,.0f} bytes of JSON", grown / 1024, "kB", peers.POD_MEMORY_KB)
    report.add("  against its JSON", grown / size, "x", peers.POD_MEMORY_FACTOR)
    before = rss_mib(server)  # rings and buffers are full now: what follows is the objects alone
    await drive(endpoint, server, 32, PODS, lambda number: ("POST", _MORE_PODS, pod(f"pod-{number:05}")))
    grown = (rss_mib(server) - before) * 2**20 / PODS
    report.add(f"memory per pod of another {PODS:,}", grown / 1024, "kB", peers.POD_MEMORY_KB)
    report.add("  against its JSON", grown / size, "x", peers.POD_MEMORY_FACTOR)
    for clients, peer in ((1, peers.GET_1_PER_SECOND), (32, peers.GET_32_PER_SECOND)):

        def get(number: int) -> Request:
            return "GET", f"{_PODS}/pod-{number * 7919 % PODS:05}", b""

        load = await drive(endpoint, server, clients, 2000 * min(clients, 3), get)
        _add(report, f"GET Pod of {PODS:,}, {clients} client{'s' * (clients > 1)}", load, peer)
    await _lists(endpoint, server, report)


async def _lists(endpoint: Endpoint, server: int, report: Report) -> None:
    times: list[float] = []
    gc.collect()
    reset_peak_rss(server)
    resting, before = rss_mib(server), cpu_seconds([server])
    async with await endpoint.connect() as connection:
        for _ in range(_LISTS):
            begin = time.perf_counter()
            body = await connection.send("GET", _PODS)
            times.append((time.perf_counter() - begin) * 1e3)
    used = (cpu_seconds([server]) - before) / _LISTS * 1e3
    assert len(orjson.loads(body)["items"]) == PODS
    report.add(f"LIST {PODS:,} pods ({len(body) / 1e6:.1f} MB)", percentile(times, 0.5), "ms", peers.LIST_10000_MS)
    report.add("  CPU of the API server per LIST", used, "ms")
    report.add("  memory of the API server while it lists, beyond what it holds", peak_rss_mib(server) - resting, "MiB")


def selective(machine: Machine, report: Report) -> None:
    """WATCHERS watchers of one object each: an event concerns one of them."""
    endpoint, server = Endpoint(machine.layout.pki), machine.pids()["apiserver"]
    state = machine.get(f"{_MAPS}?limit=1")
    assert state is not None
    start = state["metadata"]["resourceVersion"]
    paths = [
        f"{_MAPS}?watch=true&resourceVersion={start}&timeoutSeconds=600&fieldSelector=metadata.name%3Dother-{number}"
        for number in range(WATCHERS)
    ]

    def update(number: int) -> Request:
        return "PUT", f"{_MAPS}/found-{number % 32}", changed_map(f"3-{number}")

    alone = asyncio.run(drive(endpoint, server, 8, _WRITES // 3, update))
    crowd = Crowd(endpoint, paths)
    try:
        watched = asyncio.run(drive(endpoint, server, 8, _WRITES // 3, lambda number: update(number + _WRITES)))
    finally:
        crowd.close()
    extra = watched.server_cpu_ms - alone.server_cpu_ms
    report.add(f"CPU per write for {WATCHERS:,} watchers of other objects", extra * 1e3, "us")


def watching(machine: Machine, report: Report) -> None:
    """One event at a time, then as many as eight clients can make, to WATCHERS watchers."""
    endpoint, server = Endpoint(machine.layout.pki), machine.pids()["apiserver"]
    state = machine.get(f"{_MAPS}?limit=1")
    assert state is not None
    start, before = state["metadata"]["resourceVersion"], rss_mib(server)
    crowd = Crowd(endpoint, [f"{_MAPS}?watch=true&resourceVersion={start}&timeoutSeconds=600"] * WATCHERS)
    try:
        report.add(f"memory per watcher, of {WATCHERS:,}", (rss_mib(server) - before) * 1024 / WATCHERS, "kB")
        asyncio.run(_single_events(endpoint, server, crowd, report))
        _burst(endpoint, server, crowd, report)
    finally:
        crowd.close()


async def _single_events(endpoint: Endpoint, server: int, crowd: Crowd, report: Report) -> None:
    delays = []
    async with await endpoint.connect() as connection:
        for number in range(_SINGLE_EVENTS):
            begin = time.perf_counter()
            await connection.send("PUT", f"{_MAPS}/found-{number % 32}", changed_map(f"1-{number}"))
            delays.append((crowd.until_all_have_something() - begin) * 1e3)
    crowd.until_quiet(lambda: False)
    assert set(crowd.events()) == {_SINGLE_EVENTS}
    note = f"p50 {percentile(delays, 0.5):.1f} ms"
    report.add(f"write to the last of {WATCHERS:,} watchers, p99", percentile(delays, 0.99), "ms", peers.WATCH_DELAY_MS)
    print(f"      {note}", flush=True)


def _burst(endpoint: Endpoint, server: int, crowd: Crowd, report: Report) -> None:
    loads: list[Load] = []

    def update(number: int) -> Request:
        return "PUT", f"{_MAPS}/found-{number % 32}", changed_map(f"2-{number}")

    def write() -> None:
        loads.append(asyncio.run(drive(endpoint, server, 8, _BURST_EVENTS, update)))

    writer = threading.Thread(target=write)
    before = cpu_seconds([server])
    writer.start()
    crowd.until_quiet(writer.is_alive)
    used = cpu_seconds([server]) - before
    counts = crowd.events()
    assert loads and set(counts) == {_BURST_EVENTS}, (min(counts), max(counts))
    delivered = sum(counts)
    report.add(f"events to {WATCHERS:,} watchers per CPU-second", delivered / used, "/s", peers.WATCH_EVENTS_PER_SECOND)
    print(f"      {delivered:,} events in {used:.2f} CPU-s, writes {loads[0].rate:.0f} /s", flush=True)


def _add(report: Report, what: str, load: Load, peer: peers.Peer) -> None:
    report.add(what, load.rate, "/s", peer)
    note = f"p50 {load.p50_ms:.1f} ms, p99 {load.p99_ms:.1f} ms, server {load.server_cpu_ms:.2f} CPU-ms per request"
    print(f"      {note}", flush=True)


def measure(directory: Path, report: Report) -> None:
    """All of it: the writes on both stores, the rest on SQLite, since reads never reach a store."""
    for store in ("etcd", "sqlite"):
        with Machine(directory / store) as machine:
            machine.up("--no-node", "--store", store)
            report.section(f"API server with much in it, {store}")
            asyncio.run(writes(machine, report, store))
            if store == "sqlite":
                asyncio.run(reads(machine, report))  # first: memory that watchers gave back would be used again
                watching(machine, report)
                selective(machine, report)
