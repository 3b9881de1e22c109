"""kill -9 of whoever owns the store while it writes: no acknowledged write lost, no revision back, no torn value.

What kill -9 cannot show is power loss (the page cache survives); `synchronous=FULL` is what that rests on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import apsw
import pytest

from apiserver.storage.etcd import EtcdStore
from apiserver.storage.local_etcd import LocalEtcd
from apiserver.storage.sqlite import SqliteStore
from apiserver.storage.store import Event, Store
from tests.chaos.store_owner import PREFIX, WRITERS, digest_of, is_whole
from tiphys.clock import SystemClock

SQLITE_KILLS = 60
ETCD_CLIENT_KILLS = 10
ETCD_SERVER_KILLS = 5
ROOT = Path(__file__).parents[2]


@dataclass
class Ledger:
    """What was acknowledged, and what the store must therefore have."""

    acknowledged: dict[int, tuple[str, str]] = field(default_factory=dict)  # revision -> key, digest ("-": deleted)
    revision: int = 1  # the store's at the last look
    total: int = 0
    kills: int = 0

    def note(self, line: str) -> None:
        word, *rest = line.split(" ", 1)
        assert word == "ack", line
        key, revision, digest = rest[0].split(" ")
        assert int(revision) not in self.acknowledged, f"revision {revision} was given twice"
        self.acknowledged[int(revision)] = (key, digest)

    async def check(self, store: Store, in_flight: int) -> None:
        """Every acknowledged write of this round is in the log, as acknowledged; the state is the log's outcome."""
        revision = await store.revision()
        assert revision >= max(self.acknowledged, default=self.revision), "an acknowledged revision is gone"
        assert revision >= self.revision, "the revision went back"
        events = await history(store, self.revision, revision)
        found = {event.entry.revision: event for event in events}
        for number, (key, digest) in self.acknowledged.items():
            assert number in found, f"the acknowledged write {number} of {key} is gone"
            event = found[number]
            assert (event.entry.key, "-" if event.deleted else digest_of(event.entry.value)) == (key, digest)
        assert all(event.deleted or is_whole(event.entry.value) for event in events), "a torn value"
        assert len(found.keys() - self.acknowledged.keys()) <= in_flight, "more unanswered writes than writers"
        page = await store.range(PREFIX)
        assert not page.damaged
        assert all(is_whole(entry.value) for entry in page.entries), "a torn value"
        newest = {event.entry.key: event for event in events}
        state = {entry.key: entry.revision for entry in page.entries}
        for key, event in newest.items():
            assert state.get(key, 0) == (0 if event.deleted else event.entry.revision)
        self.total += len(self.acknowledged)
        self.acknowledged.clear()
        self.revision = revision


async def history(store: Store, after: int, until: int) -> Sequence[Event]:
    events: list[Event] = []
    if until == after:
        return events
    async with asyncio.timeout(20), contextlib.aclosing(store.watch(PREFIX, after)) as batches:
        async for batch in batches:
            events += batch
            if events[-1].entry.revision >= until:
                break
    return events


class Owner:
    """The victim's side of the pipe."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = 0

    async def line(self) -> str:
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            return (await self._process.stdout.readline()).decode().strip()

    async def begin(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        word, pid = (await self.line()).split()
        assert word == "started"
        self.pid = int(pid)

    async def write_then_die(self, ledger: Ledger, delay_seconds: float, *, first: bool) -> None:
        """Let it write; kill it `delay_seconds` after its start, or after its first acknowledgement where `first`."""
        await self.begin()
        if first:
            ledger.note(await self.line())
        await asyncio.sleep(delay_seconds)
        await self.die(ledger)

    async def die(self, ledger: Ledger) -> None:
        os.kill(self.pid, signal.SIGKILL)
        ledger.kills += 1
        while (line := await self.line()) != "ended":
            ledger.note(line)


@contextlib.asynccontextmanager
async def owner(*arguments: str) -> AsyncIterator[Owner]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.chaos.store_owner",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    found = Owner(process)
    try:
        assert await found.line() == "ready"
        yield found
    finally:
        if found.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(found.pid, signal.SIGKILL)
        process.kill()
        await process.wait()


async def test_sixty_kills_lose_nothing_from_the_sqlite_store(tmp_path: Path) -> None:
    path = tmp_path / "store" / "store.db"
    ledger = Ledger()
    async with owner("sqlite", str(path)) as victim:
        for number in range(SQLITE_KILLS):
            early = number % 6 == 5  # while it recovers the file its predecessor left
            await victim.write_then_die(ledger, random.uniform(0, 0.02 if early else 0.12), first=not early)
            if number % 6 == 4:
                continue
            store = SqliteStore(path, reserve_bytes=1 << 20)
            await ledger.check(store, 2 * WRITERS if early else WRITERS)
            await store.close()
    assert ledger.kills == SQLITE_KILLS >= 50
    assert ledger.total > SQLITE_KILLS
    connection = apsw.Connection(str(path))
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    print(f"{ledger.kills} kills, {ledger.total} acknowledged writes, none lost")


@pytest.fixture
async def member(tmp_path: Path) -> AsyncIterator[LocalEtcd]:
    assert shutil.which("etcd"), "this test needs etcd: apt-get install etcd-server"
    found = LocalEtcd(tmp_path / "etcd", SystemClock())
    found.start()
    await found.wait_ready()
    yield found
    found.stop()


async def test_kills_of_the_client_and_of_etcd_lose_nothing(member: LocalEtcd) -> None:
    ledger = Ledger()
    store = EtcdStore([member.endpoint], member.tls)
    everything = 1 << 30  # a write whose writer died may still happen: no bound
    async with owner("etcd", member.endpoint, str(member.tls.ca.parent)) as victim:
        for _ in range(ETCD_CLIENT_KILLS):
            await victim.write_then_die(ledger, random.uniform(0, 0.2), first=True)
            await ledger.check(store, everything)
        for _ in range(ETCD_SERVER_KILLS):
            await victim.begin()
            ledger.note(await victim.line())
            await asyncio.sleep(random.uniform(0, 0.2))
            member.kill()
            ledger.kills += 1
            member.start()
            await member.wait_ready()
            await victim.die(ledger)
            await ledger.check(store, everything)
    assert ledger.kills == ETCD_CLIENT_KILLS + 2 * ETCD_SERVER_KILLS
    await store.close()
    print(f"{ledger.kills} kills, {ledger.total} acknowledged writes, none lost")
