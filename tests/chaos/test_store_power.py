"""Power loss, simulated: the disk keeps what was synced and any part of the rest.  No acknowledged write may be lost.

A SQLite VFS notes every write and every fsync.  At a random moment the image of the disk after a power cut is made: all
synced writes, and of the others a random choice, some of them torn.  A store opened on that image must have everything
acknowledged so far.  Unlike kill -9 this sees a missing fsync: the control runs without them and must lose something.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from apiserver.storage import sqlite_writer
from apiserver.storage.sqlite import SqliteStore
from apiserver.storage.store import StoreError

PREFIX = "/registry/core/pods/"
CUTS = 40
SECTOR = 512


class Disk(apsw.VFS):  # type: ignore[misc,unused-ignore]
    """Passes everything on to the real disk and remembers what a power cut would leave."""

    def __init__(self) -> None:
        super().__init__("power", "")
        self._lock = threading.Lock()
        self._synced: dict[str, bytearray] = defaultdict(bytearray)
        self._pending: dict[str, list[tuple[int, bytes | None]]] = defaultdict(list)  # (offset, data) or (size, None)

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        return DiskFile(self, name, flags, Path(path).name if path else "")

    def xDelete(self, name: str, sync: bool) -> None:
        super().xDelete(name, sync)
        with self._lock:
            self._synced.pop(Path(name).name, None)
            self._pending.pop(Path(name).name, None)

    def note(self, name: str, place: int, data: bytes | None) -> None:
        with self._lock:
            self._pending[name].append((place, data))

    def sync(self, name: str) -> None:
        with self._lock:
            for place, data in self._pending.pop(name, []):
                change(self._synced[name], place, data)

    def cut(self, directory: Path) -> None:
        """Write the files as they would be after a power cut now."""
        directory.mkdir(parents=True)
        with self._lock:
            for name in self._synced.keys() | self._pending.keys():
                content = bytearray(self._synced.get(name, b""))
                for place, data in self._pending.get(name, []):
                    fate = random.random()
                    if fate < 0.4:
                        continue
                    if fate < 0.6 and data is not None:
                        data = data[: random.randrange(0, len(data) + 1, SECTOR)]
                    change(content, place, data)
                (directory / name).write_bytes(content)


class DiskFile(apsw.VFSFile):  # type: ignore[misc,unused-ignore]
    def __init__(self, disk: Disk, name: Any, flags: list[int], short_name: str) -> None:
        super().__init__("", name, flags)
        self._disk = disk
        self._name = short_name

    def xWrite(self, data: bytes, offset: int) -> None:
        super().xWrite(data, offset)
        self._disk.note(self._name, offset, bytes(data))

    def xTruncate(self, size: int) -> None:
        super().xTruncate(size)
        self._disk.note(self._name, size, None)

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        self._disk.sync(self._name)


def change(content: bytearray, place: int, data: bytes | None) -> None:
    if data is None:
        del content[place:]
        return
    content.extend(b"\0" * (place - len(content)))
    content[place : place + len(data)] = data


@pytest.fixture
def disk() -> Iterator[Disk]:
    found = Disk()
    yield found
    found.unregister()


async def cut_while_writing(disk: Disk, directory: Path, cuts: int) -> int:
    """Writers work; at random moments the power is cut.  Returns how many images lack an acknowledged write."""
    store = SqliteStore(directory / "real" / "store.db", reserve_bytes=1 << 20, vfs="power")
    acknowledged: dict[str, tuple[int, bytes]] = {}

    async def write(writer: int) -> None:
        key, revision, number = f"{PREFIX}{writer}", 0, 0
        while True:
            number += 1
            value = f"{writer} {number} ".encode() * random.choice((1, 50, 500))
            revision = await (store.update(key, value, revision) if revision else store.create(key, value))
            acknowledged[key] = (revision, value)

    writers = [asyncio.create_task(write(writer)) for writer in range(4)]
    lost = 0
    for number in range(cuts):
        await asyncio.sleep(random.uniform(0, 0.03))
        expected = dict(acknowledged)
        image = directory / str(number)
        disk.cut(image)
        lost += await misses(image / "store.db", expected)
    for writer in writers:
        writer.cancel()
    await asyncio.gather(*writers, return_exceptions=True)
    await store.close()
    assert sum(revision for revision, _ in acknowledged.values()) > cuts
    return lost


async def misses(path: Path, expected: dict[str, tuple[int, bytes]]) -> bool:
    """Whether a store opened on the image lacks something acknowledged, or is damaged."""
    try:
        store = SqliteStore(path, reserve_bytes=1 << 20)
    except StoreError:
        return True
    try:
        page = await store.range(PREFIX)
        found = {entry.key: entry for entry in page.entries}
        newest = max((revision for revision, _ in expected.values()), default=1)
        return (
            bool(page.damaged)
            or await store.revision() < newest
            or any(
                key not in found
                or found[key].revision < revision
                or (found[key].revision == revision and found[key].value != value)
                for key, (revision, value) in expected.items()
            )
        )
    except StoreError:
        return True
    finally:
        await store.close()


async def test_forty_power_cuts_lose_nothing(disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_writer, "CHECKPOINT_PAGES", 20)  # cuts shall hit checkpoints too
    assert await cut_while_writing(disk, tmp_path, CUTS) == 0


async def test_without_fsync_power_cuts_lose_writes(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the same cuts see a store that does not sync."""
    monkeypatch.setattr(sqlite_writer, "CHECKPOINT_PAGES", 20)
    monkeypatch.setattr(disk, "sync", lambda name: None)
    assert await cut_while_writing(disk, tmp_path, 10) > 0
