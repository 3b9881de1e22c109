"""What only the SQLite store promises: damage stays local, a full disk allows deletes, one owner."""

from __future__ import annotations

import asyncio
import contextlib
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from apiserver.storage import sqlite, sqlite_log
from apiserver.storage.sqlite import SqliteStore
from apiserver.storage.store import Compacted, Conflict, Damaged, NoSpace, StoreError

PREFIX = "/registry/core/pods/"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "store.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    found = SqliteStore(path, reserve_bytes=1 << 20)
    yield found
    await found.close()


def damage(path: Path, revision: int) -> None:
    """Change a value behind the store's back, as a bad disk would."""
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE log SET value = CAST('wrong' AS BLOB) WHERE revision = ?", (revision,))
    connection.close()


async def test_a_damaged_value_is_reported_and_everything_else_is_readable(path: Path, store: SqliteStore) -> None:
    revisions = {name: await store.create(PREFIX + name, b"value") for name in "abc"}
    damage(path, revisions["b"])
    with pytest.raises(Damaged) as caught:
        await store.get(PREFIX + "b")
    assert (caught.value.key, caught.value.revision) == (PREFIX + "b", revisions["b"])
    page = await store.range(PREFIX)
    assert [entry.key[-1] for entry in page.entries] == ["a", "c"]
    assert list(page.damaged) == [PREFIX + "b"]
    assert (await store.get(PREFIX + "a"))[0] is not None
    await store.create(PREFIX + "d", b"value")


async def test_a_damaged_value_does_not_fail_the_writes_committed_with_it(path: Path, store: SqliteStore) -> None:
    revision = await store.create(PREFIX + "a", b"value")
    damage(path, revision)
    results = await asyncio.gather(
        store.create(PREFIX + "a", b"value"), store.create(PREFIX + "b", b"value"), return_exceptions=True
    )
    assert isinstance(results[0], Damaged)
    assert results[1] == revision + 1


async def test_a_damaged_value_can_be_deleted_and_overwritten(path: Path, store: SqliteStore) -> None:
    first = await store.create(PREFIX + "a", b"value")
    second = await store.create(PREFIX + "b", b"value")
    damage(path, first)
    damage(path, second)
    assert await store.delete(PREFIX + "a", first) == second + 1
    await store.update(PREFIX + "b", b"healed", second)
    page = await store.range(PREFIX)
    assert [entry.value for entry in page.entries] == [b"healed"]
    assert not page.damaged


async def test_a_watch_of_damaged_history_says_compacted(path: Path, store: SqliteStore) -> None:
    revisions = [await store.create(f"{PREFIX}{number}", b"value") for number in range(3)]
    await store.close()
    damage(path, revisions[1])
    again = SqliteStore(path, reserve_bytes=1 << 20)
    with pytest.raises(Compacted):
        async for _ in again.watch(PREFIX, revisions[0] - 1):
            pass
    async with contextlib.aclosing(again.watch(PREFIX, revisions[1])) as batches:
        assert [event.entry.revision async for batch in first_of(batches) for event in batch] == revisions[2:]
    await again.close()


async def first_of(batches: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for batch in batches:
        yield batch
        return


async def test_a_broken_page_of_the_file_hides_only_what_is_on_it(path: Path) -> None:
    store = SqliteStore(path, reserve_bytes=1 << 20)
    for number in range(60):
        await store.create(f"{PREFIX}{number:02}", b"x" * 900)  # four to a page
    await store.close()
    content = bytearray(path.read_bytes())
    place = content.index(f"{PREFIX}20".encode() + b"x" * 900) // 4096 * 4096  # the page of the table, not of the index
    content[place : place + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    store = SqliteStore(path, reserve_bytes=1 << 20)
    for revision in (0, await store.revision() - 1):
        page = await store.range(PREFIX, revision=revision)
        assert 1 <= len(page.damaged) <= 5
        assert f"{PREFIX}20" in page.damaged
        assert len(page.entries) + len(page.damaged) == (60 if revision == 0 else 59)
    with pytest.raises(Damaged):
        await store.get(PREFIX + "20")
    assert (await store.get(PREFIX + "00"))[0] is not None
    await store.create(PREFIX + "new", b"x")
    await store.close()


async def test_files_are_for_the_owner_only(path: Path, store: SqliteStore) -> None:
    await store.create(PREFIX + "a", b"secret")
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    names = ("store.db", "store.db-shm", "store.db-wal", "store.db.lock", "store.db.reserve")
    assert modes == dict.fromkeys(names, 0o600)


def test_commits_are_synchronous_and_go_through_the_log(tmp_path: Path) -> None:
    connection = sqlite_log.connect(str(tmp_path / "store.db"), read_only=False)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    connection.close()


async def test_another_process_is_refused_with_the_owners_pid(path: Path, store: SqliteStore) -> None:
    program = (
        "import asyncio, pathlib, sys\n"
        "from apiserver.storage.sqlite import SqliteStore\n"
        "async def main(): SqliteStore(pathlib.Path(sys.argv[1]))\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(path), stderr=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert b"is in use by another API server (process " in errors
    await store.create(PREFIX + "a", b"value")


async def test_a_file_that_is_no_store_is_refused_untouched(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database, but something somebody wants to keep" * 100)
    before = path.read_bytes()
    with pytest.raises(StoreError):
        SqliteStore(path)
    connection = apsw.Connection(str(path.with_name("other.db")))
    connection.execute("CREATE TABLE somebody (elses INTEGER)")
    connection.close()
    with pytest.raises(StoreError, match="not a Tiphys store"):
        SqliteStore(path.with_name("other.db"))
    assert path.read_bytes() == before


async def test_waiting_writes_share_commits(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = []
    deliver = store._writer._deliver

    def count(outcomes: Any, events: Any) -> None:
        commits.append(len(events))
        deliver(outcomes, events)

    monkeypatch.setattr(store._writer, "_deliver", count)
    revisions = await asyncio.gather(*(store.create(f"{PREFIX}{number}", b"x") for number in range(200)))
    assert sorted(revisions) == list(range(min(revisions), min(revisions) + 200))
    assert sum(commits) == 200
    assert len(commits) <= 20


async def test_a_watch_behind_the_events_in_memory_reads_the_file(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "TAIL_EVENTS", 10)
    written: list[int] = []
    seen: list[int] = []
    async with contextlib.aclosing(store.watch(PREFIX, 1)) as batches:
        written.append(await store.create(f"{PREFIX}first", b"x"))
        async for batch in batches:
            seen += [event.entry.revision for event in batch]
            while len(written) < 600:  # the watcher sleeps while the tail moves on
                written.append(await store.create(f"{PREFIX}{len(written)}", b"x"))
            if len(seen) >= 600:
                break
    assert seen == written
    assert store._tail.since(written[0]) is None


async def test_compaction_frees_what_nobody_can_read(path: Path, store: SqliteStore) -> None:
    revision = await store.create(PREFIX + "a", b"x")
    for _ in range(1200):
        revision = await store.update(PREFIX + "a", b"x", revision)
    gone = await store.create(PREFIX + "b", b"x")
    newest = await store.delete(PREFIX + "b", gone)
    await store.compact(newest)
    async with asyncio.timeout(10):
        while await store._read(count_rows) > 1:
            await asyncio.sleep(0.01)
    entry, _ = await store.get(PREFIX + "a")
    assert entry is not None
    assert entry.revision == revision


def count_rows(connection: Any) -> int:
    return int(connection.execute("SELECT count(*) FROM log").fetchone()[0])


async def test_a_sweep_cut_short_goes_on_after_a_restart(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore(path, reserve_bytes=1 << 20)
    revision = await store.create(PREFIX + "a", b"x")
    for _ in range(50):
        revision = await store.update(PREFIX + "a", b"x", revision)
    monkeypatch.setattr(sqlite_log, "sweep", lambda connection, limit: False)
    await store.compact(revision)
    assert await store._read(count_rows) == 51
    await store.close()
    monkeypatch.undo()
    store = SqliteStore(path, reserve_bytes=1 << 20)
    async with asyncio.timeout(10):
        while await store._read(count_rows) > 1:
            await asyncio.sleep(0.01)
    await store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MiB."""
    mount = tmp_path / "disk"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(mount)], check=True)
    yield mount
    subprocess.run(["umount", "--lazy", str(mount)], check=True)


async def test_on_a_full_disk_deletes_work_and_make_room(small_disk: Path) -> None:
    store = SqliteStore(small_disk / "store" / "store.db", reserve_bytes=3 << 20)
    written: dict[str, int] = {}
    with pytest.raises(NoSpace):
        for number in range(1000):
            key = f"{PREFIX}{number:04}"
            written[key] = await store.create(key, b"x" * 50_000)
    assert len(written) > 30
    with pytest.raises(NoSpace):
        await store.create(PREFIX + "more", b"x" * 50_000)
    with pytest.raises(NoSpace):
        await store.update(PREFIX + "0000", b"y", written[PREFIX + "0000"])
    entry, _ = await store.get(PREFIX + "0000")
    assert entry is not None
    assert len(entry.value) == 50_000
    with pytest.raises(Conflict):
        await store.delete(PREFIX + "0000", 1)
    for key, revision in written.items():
        newest = await store.delete(key, revision)
    await store.compact(newest)
    async with asyncio.timeout(20):
        while True:
            try:
                await store.create(PREFIX + "again", b"x" * 50_000)
                break
            except NoSpace:
                await asyncio.sleep(0.05)
    page = await store.range(PREFIX)
    assert [entry.key for entry in page.entries] == [PREFIX + "again"]
    await store.close()
    again = SqliteStore(small_disk / "store" / "store.db", reserve_bytes=3 << 20)
    assert len((await again.range(PREFIX)).entries) == 1
    await again.close()


class FailingFile(apsw.VFSFile):  # type: ignore[misc,unused-ignore]
    """A file whose fsync fails when told to."""

    broken = False

    def __init__(self, name: Any, flags: list[int]) -> None:
        super().__init__("", name, flags)

    def xSync(self, flags: int) -> None:
        if FailingFile.broken:
            raise apsw.IOError("fsync: Input/output error")
        super().xSync(flags)


class FailingDisk(apsw.VFS):  # type: ignore[misc,unused-ignore]
    def __init__(self) -> None:
        super().__init__("failing", "")

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        return FailingFile(name, flags)


async def test_a_failed_fsync_is_fatal_and_acknowledges_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = FailingDisk()
    fatal: list[BaseException] = []
    store = SqliteStore(path, reserve_bytes=1 << 20, on_fatal=fatal.append, vfs="failing")
    await store.create(PREFIX + "a", b"x")
    assert not fatal
    monkeypatch.setattr(FailingFile, "broken", True)
    with pytest.raises(StoreError):
        await store.create(PREFIX + "b", b"x")
    assert fatal
    monkeypatch.setattr(FailingFile, "broken", False)
    with pytest.raises(StoreError):  # nobody knows what the file holds: not even when the disk is well again
        await store.create(PREFIX + "c", b"x")
    await store.close()
    disk.unregister()


async def test_the_process_ends_on_a_failed_fsync(path: Path) -> None:
    program = (
        "import asyncio, pathlib, sys\n"
        "from apiserver.storage.sqlite import SqliteStore\n"
        "from tests.storage.test_sqlite import FailingDisk, FailingFile\n"
        "async def main():\n"
        "    disk = FailingDisk()\n"
        "    store = SqliteStore(pathlib.Path(sys.argv[1]), vfs='failing')\n"
        "    FailingFile.broken = True\n"
        "    await store.create('/registry/a', b'x')\n"
        "    print('acknowledged')\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        str(path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    output, errors = await process.communicate()
    assert (process.returncode, output) == (74, b""), errors


async def test_a_closed_store_answers_with_an_error(path: Path, store: SqliteStore) -> None:
    watching = asyncio.ensure_future(anext(store.watch(PREFIX, 1)))
    await asyncio.sleep(0)
    await store.close()
    for call in (store.create(PREFIX + "a", b""), store.get(PREFIX + "a"), store.range(PREFIX), watching):
        with pytest.raises(StoreError, match="closed"):
            await call
