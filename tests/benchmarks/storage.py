"""Figures of the store and the watch cache: `python -m tests.benchmarks.storage`.  Nothing here is asserted.

Per store: creates per second from 1 and 32 clients (values of 2 kB).  Then for the cache: filling, listing 8,500 pods,
and the time from a write's acknowledgement until 1,000 watchers have it.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

import orjson

from apiserver.storage.cacheitem import describe_json
from apiserver.storage.open_store import open_store
from apiserver.storage.resourcecache import Watch
from apiserver.storage.store import Store
from apiserver.storage.watchcache import WatchCache
from tiphys.clock import SystemClock

PODS = "/registry/core/pods/"
LISTED = 8500
WATCHERS = 1000
EVENTS = 20
clock = SystemClock()


def pod(name: str) -> bytes:
    metadata = {"name": name, "namespace": "default", "labels": {"app": "web", "pod-template-hash": "5d8f7b"}}
    return orjson.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"filler": "x" * 1850}})


def report(name: str, value: float, unit: str) -> None:
    print(f"{name:<44}{value:>12,.2f} {unit}", flush=True)


def middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


async def creates(store: Store, name: str, clients: int, each: int) -> None:
    async def client(number: int) -> None:
        for count in range(each):
            await store.create(f"/registry/bench/{clients}/{number:02}/{count:05}", pod("bench"))

    started = clock.monotonic()
    await asyncio.gather(*(client(number) for number in range(clients)))
    report(f"{name}: creates, {clients} clients", clients * each / (clock.monotonic() - started), "1/s")


async def received(watch: Watch, count: int) -> None:
    seen = 0
    while seen < count:
        seen += len(await watch.next())


async def reads(store: Store, name: str) -> None:
    for start in range(0, LISTED, 100):
        end = min(start + 100, LISTED)
        await asyncio.gather(*(store.create(f"{PODS}default/{n:05}", pod(f"{n:05}")) for n in range(start, end)))
    cache = WatchCache(store, describe_json)
    started = clock.monotonic()
    await cache.start()
    report(f"{name}: fill the cache, {LISTED} pods", (clock.monotonic() - started) * 1000, "ms")
    times, sizes = [], set()
    for _ in range(15):
        started = clock.monotonic()
        joined = (await cache.list(PODS, revision=0)).joined()
        times.append((clock.monotonic() - started) * 1000)
        sizes.add(len(joined))
        del joined
    report(f"{name}: list and join {max(sizes) / 1e6:.1f} MB (median)", middle(times), "ms")
    delays = []
    key, revision = PODS + "default/00000", (await cache.list(PODS, limit=1)).items[0].revision
    for _ in range(EVENTS):
        watches = [await cache.watch(PODS) for _ in range(WATCHERS)]
        waiting = [asyncio.create_task(received(watch, 1)) for watch in watches]
        await asyncio.sleep(0)
        revision = await store.update(key, pod("00000"), revision)
        started = clock.monotonic()
        await asyncio.gather(*waiting)
        delays.append((clock.monotonic() - started) * 1000)
    report(f"{name}: one event to {WATCHERS} watchers (median)", middle(delays), "ms")
    await cache.close()


async def main() -> None:
    for name in ("sqlite", "etcd"):
        directory = Path(tempfile.mkdtemp(prefix="tiphys-bench-"))
        store = await open_store(name, directory, clock)
        try:
            await creates(store, name, 1, 1000)
            await creates(store, name, 32, 150)
            await reads(store, name)
        finally:
            await store.close()
            shutil.rmtree(directory)


if __name__ == "__main__":
    asyncio.run(main())
