"""Figures of the API server: get, list, create and update, with one client and with 32."""

from __future__ import annotations

import time
from functools import partial

import orjson

from tests.benchmarks import peers
from tests.benchmarks.load import Endpoint, Load, Request, drive, percentile
from tests.benchmarks.meter import cpu_seconds
from tests.benchmarks.report import Report
from tests.machine import Machine, eventually

PODS = 1000
_LISTS = 30
_ROUNDS = 3
_BASE = "/api/v1/namespaces/default"
_runs = iter(range(1000))


def config_map(name: str, change: str = "") -> bytes:
    data = {"change": change, **{f"key-{n}": "x" * 80 for n in range(8)}}
    return orjson.dumps({"metadata": {"name": name}, "data": data})


def changed_map(name: str) -> bytes:
    """Another value every time: an update that changes nothing is not written."""
    return config_map(f"found-{int(name.split('-')[1]) % 32}", name)


def pod(name: str) -> bytes:
    """A plain pod that is held back, so that creating it is all that happens."""
    main = {
        "name": "main",
        "image": "registry.example.com/team/web:1.2.3",
        "env": [{"name": f"NAME_{n}", "value": "value"} for n in range(5)],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
    }
    spec = {"containers": [main], "schedulingGates": [{"name": "example.com/held"}]}
    return orjson.dumps({"metadata": {"name": name, "labels": {"app": "web", "tier": "front"}}, "spec": spec})


async def measure(machine: Machine, report: Report) -> None:
    """All figures against the machine's API server, which runs without a node."""
    endpoint, server = Endpoint(machine.layout.pki), machine.pids()["apiserver"]

    async def load(clients: int, total: int, method: str, path: str, body: object = None) -> Load:
        """The middle of three rounds by rate; {n} in the path becomes 0 to 31, {round} 0 to 2."""
        rounds = []
        for turn in range(_ROUNDS):
            mark = next(_runs)

            def make(number: int, mark: int = mark, turn: int = turn) -> Request:
                name, where = f"{mark}-{number}", path.replace("{round}", str(turn))
                return method, where.replace("{n}", str(number % 32)), body(name) if callable(body) else b""

            rounds.append(await drive(endpoint, server, clients, total, make))
        return sorted(rounds, key=lambda r: r.rate)[_ROUNDS // 2]

    maps, found = f"{_BASE}/configmaps", f"{_BASE}/configmaps/found-{{n}}"
    async with await endpoint.connect() as connection:
        for number in range(32):
            await connection.send("POST", maps, config_map(f"found-{number}"))
        for turn in range(_ROUNDS):
            await connection.send("POST", "/api/v1/namespaces", orjson.dumps({"metadata": {"name": f"round-{turn}"}}))
    for turn in range(_ROUNDS):
        account = f"/api/v1/namespaces/round-{turn}/serviceaccounts/default"
        eventually(partial(machine.get, account), "the namespace has its service account")
    await load(8, 500, "GET", found)  # warms both sides
    for clients, total, peer in ((1, 800, peers.GET_1_PER_SECOND), (32, 4000, peers.GET_32_PER_SECOND)):
        _add(
            report,
            f"GET ConfigMap, {clients} client{'s' * (clients > 1)}",
            await load(clients, total, "GET", found),
            peer,
        )
    cached = await load(32, 4000, "GET", found + "?resourceVersion=0")
    _add(report, "GET ConfigMap, 32 clients, from cache", cached, peers.GET_32_CACHED_PER_SECOND)
    one = await load(1, 400, "POST", maps, config_map)
    _add(report, "create ConfigMap, 1 client", one, peers.CREATE_1_PER_SECOND)
    many = await load(32, 2000, "POST", maps, config_map)
    _add(report, "create ConfigMap, 32 clients", many, peers.CREATE_32_PER_SECOND)
    report.add("  CPU of the API server per create", many.server_cpu_ms, "ms", peers.CREATE_CPU_MS)
    updated = await load(32, 2000, "PUT", found, changed_map)
    _add(report, "update ConfigMap, 32 clients", updated, peers.UPDATE_32_PER_SECOND)
    pods = await load(32, PODS, "POST", "/api/v1/namespaces/round-{round}/pods", pod)
    _add(report, "create Pod, 32 clients", pods, peers.CREATE_POD_32_PER_SECOND)
    await _lists(endpoint, server, report)


def _add(report: Report, what: str, load: Load, peer: peers.Peer) -> None:
    report.add(what, load.rate, "/s", peer)
    note = f"p50 {load.p50_ms:.1f} ms, p99 {load.p99_ms:.1f} ms, server {load.server_cpu_ms:.2f} CPU-ms per request"
    print(f"      {note}, client {load.client_share:.0%} of a CPU", flush=True)


async def _lists(endpoint: Endpoint, server: int, report: Report) -> None:
    """LIST of exactly PODS pods with one client."""
    async with await endpoint.connect() as connection:
        times = []
        before = cpu_seconds([server])
        for _ in range(_LISTS):
            begin = time.perf_counter()
            body = await connection.send("GET", "/api/v1/namespaces/round-0/pods")
            times.append((time.perf_counter() - begin) * 1e3)
        used = (cpu_seconds([server]) - before) / _LISTS * 1e3
    assert len(orjson.loads(body)["items"]) == PODS
    report.add(f"LIST {PODS} pods ({len(body) / 1e6:.1f} MB)", percentile(times, 0.5), "ms", peers.LIST_1000_MS)
    report.add("  CPU of the API server per LIST", used, "ms")
