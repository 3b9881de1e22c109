"""Pauses, kills and compactions under writers and watchers of the HTTP API, on both stores: no event is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from apiserver.storage.etcd import EtcdStore
from apiserver.storage.local_etcd import LocalEtcd
from apiserver.storage.store import Compacted, StoreError
from tests.chaos.api_history import History, Listed, Object, Told
from tests.chaos.api_process import BASE, ApiProcess, Client, Watcher, write_for_ever
from tiphys import pki
from tiphys.clock import SystemClock

WRITERS, KEYS, WATCHERS = 3, 3, 4
COMPACTION_SECONDS = 0.4  # history is forgotten all the time
CALM_SECONDS = 0.7
PAUSED_SECONDS = 2.0
PROGRESS_SECONDS = 40.0


@dataclass
class Scene:
    """Servers on one store, with writers and watchers at work."""

    servers: list[ApiProcess]
    client: Client
    history: History
    watchers: list[Watcher]
    tasks: list[asyncio.Task[None]]

    async def progress(self) -> None:
        """Until writes are acknowledged again and every watcher has seen one of them."""
        await self.written(5)
        async with asyncio.timeout(PROGRESS_SECONDS):
            newest = max(self.history.puts)
            while any(watcher.position < newest for watcher in self.watchers):
                self._check_tasks()
                await asyncio.sleep(0.02)
        await asyncio.sleep(CALM_SECONDS)

    async def written(self, count: int) -> None:
        """Until so many more writes are acknowledged."""
        done = len(self.history.puts)
        async with asyncio.timeout(PROGRESS_SECONDS):
            while len(self.history.puts) < done + count:
                self._check_tasks()
                await asyncio.sleep(0.02)

    def _check_tasks(self) -> None:
        for task in self.tasks:
            if task.done():
                task.result()

    async def paused_server(self) -> None:
        self.servers[0].signal(signal.SIGSTOP)
        await asyncio.sleep(PAUSED_SECONDS)
        self.servers[0].signal(signal.SIGCONT)
        await self.progress()

    async def killed_server(self) -> None:
        """One watcher sleeps meanwhile: a new server knows no events from before its start."""
        sleeper = self.watchers[0]
        sleeper.awake.clear()
        await self.written(5)
        await self.servers[0].kill()
        await self.servers[0].start()
        await self.client.until_ready()
        sleeper.awake.set()
        await self.progress()

    async def end(self) -> int:
        """Stop the writers, let the watchers come to the end, and check; the number of events."""
        for task in self.tasks[:WRITERS]:
            task.cancel()
        await asyncio.wait(self.tasks[:WRITERS])
        status, answer = await self.client.send("GET", "?limit=1")
        assert status == 200, answer
        async with asyncio.timeout(PROGRESS_SECONDS):
            while any(watcher.position < max(self.history.puts) for watcher in self.watchers):
                await asyncio.sleep(0.02)
        await asyncio.sleep(CALM_SECONDS)  # a deletion may be the last event
        return self.history.check()


@contextlib.asynccontextmanager
async def scene(directory: Path, store: str, servers: int) -> AsyncIterator[Scene]:
    pki_dir = directory / "pki"
    pki.ensure(pki_dir, pki.cluster_identities(["127.0.0.1", "localhost"]), SystemClock())
    running = [ApiProcess(directory, pki_dir, store, compaction_seconds=COMPACTION_SECONDS) for _ in range(servers)]
    client, history = Client(running, pki_dir), History()
    tasks: list[asyncio.Task[None]] = []
    try:
        for server in running:
            await server.start()
        await client.until_ready()
        for number in range(WRITERS):
            keys = [f"key-{number}-{key}" for key in range(KEYS)]
            tasks.append(asyncio.create_task(write_for_ever(client, history, keys)))
        watchers = [Watcher(client, history) for _ in range(WATCHERS)]
        tasks += [asyncio.create_task(watcher.watch_for_ever()) for watcher in watchers]
        yield Scene(running, client, history, watchers, tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await client.session.close()
        for server in running:
            await server.kill()


async def test_pauses_and_kills_of_a_server_on_sqlite_lose_no_event(tmp_path: Path) -> None:
    async with scene(tmp_path, "sqlite", 1) as play:
        await play.progress()
        await play.paused_server()
        await play.killed_server()
        await play.killed_server()
        assert play.watchers[0].expired
        events = await play.end()
    expired = sum(watcher.expired for watcher in play.watchers)
    print(f"{len(play.history.puts)} writes acknowledged, {events} events told, {expired} lists after 410, none lost")


@pytest.fixture
async def member(tmp_path: Path) -> AsyncIterator[LocalEtcd]:
    assert shutil.which("etcd"), "this test needs etcd: apt-get install etcd-server"
    found = LocalEtcd(tmp_path / "etcd", SystemClock())
    found.start()
    await found.wait_ready()
    yield found
    if found.pid:
        found.resume()
    found.stop()


def address(member: LocalEtcd) -> str:
    return f"etcd://{member.endpoint}?ca={member.tls.ca}&cert={member.tls.certificate}&key={member.tls.key}"


async def compacted_to_now(member: LocalEtcd) -> None:
    store = EtcdStore([member.endpoint], member.tls)
    await store.compact(await store.revision())
    await store.close()


async def first_event(play: Scene, server: ApiProcess, revision: int) -> tuple[str, int]:
    query = f"?watch=true&resourceVersion={revision}&timeoutSeconds=5"
    async with play.client.session.get(server.url + BASE + query) as answer:
        event = json.loads(await answer.content.readline())
        return event["type"], event["object"].get("code", 0)


async def test_pauses_and_kills_of_etcd_and_of_two_servers_lose_no_event(member: LocalEtcd, tmp_path: Path) -> None:
    """Writers and watchers go from one server to the other all the time."""
    async with scene(tmp_path, address(member), 2) as play:
        await play.progress()
        member.pause()
        await asyncio.sleep(PAUSED_SECONDS)
        member.resume()
        await play.progress()
        member.kill()
        member.start()
        await play.progress()
        await play.paused_server()
        await play.killed_server()
        # While one server sleeps the store forgets what that server has not seen: its watchers must be told 410.
        before = max(play.history.puts)
        play.servers[0].signal(signal.SIGSTOP)
        member.kill()  # and with it the stream in which the events would have come after all
        member.start()
        await member.wait_ready()
        await play.written(5)
        with contextlib.suppress(StoreError, Compacted):  # another server's compactor may be as far
            await compacted_to_now(member)
        play.servers[0].signal(signal.SIGCONT)
        await play.progress()
        assert await first_event(play, play.servers[0], before) == ("ERROR", 410)
        events = await play.end()
    expired = sum(watcher.expired for watcher in play.watchers)
    print(f"{len(play.history.puts)} writes acknowledged, {events} events told, {expired} lists after 410, none lost")


A1, A2, A3 = Object(5, "a", "1"), Object(7, "a", "2"), Object(9, "a", "3")
Entry = Told | Listed
FAULTS: dict[str, tuple[list[Entry], str]] = {
    "nothing is wrong": ([Told("ADDED", "k", A1), Told("MODIFIED", "k", A2), Told("DELETED", "k", A3)], ""),
    "a list stands for what was skipped": (
        [Told("ADDED", "k", A1), Listed(8, {"k": A2}), Told("DELETED", "k", A3)],
        "",
    ),
    "a lost update": ([Told("ADDED", "k", A1), Told("DELETED", "k", A3)], "write 7 of k was never told"),
    "a lost deletion": ([Told("ADDED", "k", A1), Told("MODIFIED", "k", A2)], "the deletion of k at 9 was never told"),
    "a repeated event": ([Told("ADDED", "k", A1), Told("MODIFIED", "k", A1)], "repeated or out of order"),
    "an old list": ([Listed(7, {"k": A1})], "a list at 7 has an old k"),
    "a list that lacks an object": ([Listed(7, {})], "lacks k"),
    "another value": ([Told("ADDED", "k", Object(5, "a", "other"))], "two stories"),
    "an event out of nowhere": ([Listed(4, {}), Told("MODIFIED", "k", A1)], "but it knew None"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_checker_sees_each_kind_of_fault(fault: str) -> None:
    log, complaint = FAULTS[fault]
    whole: list[Entry] = [Told("ADDED", "k", A1), Told("MODIFIED", "k", A2), Told("DELETED", "k", A3)]
    deleted = {} if fault == "a list that lacks an object" else {"a": "k"}
    history = History({5: ("k", A1), 7: ("k", A2)}, deleted, logs=[whole, log])
    if complaint:
        with pytest.raises(AssertionError, match=complaint):
            history.check()
    else:
        assert history.check() >= 5
