"""Both stores, real: a SQLite file, and an etcd process on loopback started once for the room."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from apiserver.storage.etcd import EtcdStore
from apiserver.storage.local_etcd import LocalEtcd
from apiserver.storage.sqlite import SqliteStore
from apiserver.storage.store import Store
from apiserver.storage.watchcache import WatchCache
from tests.storage.pods import describe
from tiphys.clock import SystemClock

counter = itertools.count()


class Place(Protocol):
    """Where a test's data is: opens stores on it, and survives them."""

    prefix: str  # nobody else's keys are below it

    async def open(self) -> Store: ...

    async def restart(self, store: Store) -> Store:
        """Close the store, end what serves it, and open it again."""


class SqlitePlace:
    prefix = "/registry/core/pods/"

    def __init__(self, directory: Path) -> None:
        self._path = directory / "store" / "store.db"
        self._stores: list[SqliteStore] = []

    async def open(self) -> Store:
        self._stores.append(SqliteStore(self._path, reserve_bytes=1 << 20))
        return self._stores[-1]

    async def restart(self, store: Store) -> Store:
        await store.close()
        return await self.open()

    async def close(self) -> None:
        for store in self._stores:
            await store.close()


class EtcdPlace:
    def __init__(self, member: LocalEtcd) -> None:
        self.prefix = f"/registry/core/pods{next(counter)}/"
        self._member = member
        self._stores: list[EtcdStore] = []

    async def open(self) -> Store:
        self._stores.append(EtcdStore([self._member.endpoint], self._member.tls))
        return self._stores[-1]

    async def restart(self, store: Store) -> Store:
        await store.close()
        self._member.stop()
        self._member.start()
        await self._member.wait_ready()
        return await self.open()

    async def close(self) -> None:
        for store in self._stores:
            await store.close()


@pytest.fixture(scope="session")
def etcd_member(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEtcd]:
    assert shutil.which("etcd"), "this test needs etcd: apt-get install etcd-server"
    member = LocalEtcd(tmp_path_factory.mktemp("etcd"), SystemClock())
    member.start()
    try:
        yield member
    finally:
        member.stop()


@pytest.fixture(params=["sqlite", "etcd"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    found: SqlitePlace | EtcdPlace = SqlitePlace(tmp_path)
    if request.param == "etcd":
        member = request.getfixturevalue("etcd_member")
        await member.wait_ready()
        found = EtcdPlace(member)
    yield found
    await found.close()


@pytest.fixture
async def store(place: Place) -> Store:
    return await place.open()


@pytest.fixture
async def cache(place: Place, store: Store) -> AsyncIterator[WatchCache]:
    found = WatchCache(store, describe)
    await found.start()
    yield found
    await found.close()
