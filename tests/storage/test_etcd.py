"""What only the etcd store promises: it defends itself against an old etcd, and its own member against strangers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import stat
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from aetcd import rpc

from apiserver.storage.etcd import EtcdStore
from apiserver.storage.local_etcd import LocalEtcd, start_local_etcd
from apiserver.storage.open_store import open_store
from apiserver.storage.sqlite import SqliteStore
from apiserver.storage.store import Event, NoSpace, StoreError, TooLarge
from tiphys.clock import SystemClock

PREFIX = "/registry/core/pods/"


class OldEtcd:
    """A gRPC server that answers as etcd 3.4.23 does on a bad day: watch events twice, reads from the past."""

    def __init__(self, batches: Sequence[Sequence[int]], revisions: Sequence[int] = ()) -> None:
        self._batches = batches
        self._revisions = list(revisions)

    async def __aenter__(self) -> str:
        self._server = grpc.aio.server()
        watch = grpc.stream_stream_rpc_method_handler(
            self._watch, rpc.WatchRequest.FromString, rpc.WatchResponse.SerializeToString
        )
        read = grpc.unary_unary_rpc_method_handler(
            self._range, rpc.RangeRequest.FromString, rpc.RangeResponse.SerializeToString
        )
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler("etcdserverpb.Watch", {"Watch": watch}),
                grpc.method_handlers_generic_handler("etcdserverpb.KV", {"Range": read}),
            )
        )
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return f"127.0.0.1:{port}"

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(None)

    async def _watch(self, requests: AsyncIterator[Any], _context: object) -> AsyncIterator[Any]:
        await anext(requests)
        yield rpc.WatchResponse(created=True)
        for batch in self._batches:
            events = [
                rpc.Event(kv=rpc.KeyValue(key=PREFIX.encode(), value=b"x", mod_revision=revision)) for revision in batch
            ]
            yield rpc.WatchResponse(events=events)
        await asyncio.sleep(3600)

    async def _range(self, request: Any, _context: object) -> Any:
        revision = self._revisions.pop(0) if self._revisions and not request.revision else 10
        return rpc.RangeResponse(header=rpc.ResponseHeader(revision=revision))


async def take(store: EtcdStore, revision: int, count: int) -> list[Event]:
    found: list[Event] = []
    async with asyncio.timeout(20), contextlib.aclosing(store.watch(PREFIX, revision)) as batches:
        async for batch in batches:
            found += batch
            if len(found) >= count:
                break
    return found


async def test_events_that_etcd_repeats_are_dropped() -> None:
    async with OldEtcd([[4, 5], [6], [5, 6, 7], [7], [7, 8]]) as endpoint:
        store = EtcdStore([endpoint])
        assert [event.entry.revision for event in await take(store, 4, 4)] == [5, 6, 7, 8]
        await store.close()


async def test_a_read_from_the_past_is_asked_again() -> None:
    async with OldEtcd([], revisions=[9, 7, 7, 9]) as endpoint:
        store = EtcdStore([endpoint])
        assert [await store.revision(), await store.revision()] == [9, 9]
        await store.close()


@pytest.fixture
async def member(tmp_path: Path) -> AsyncIterator[LocalEtcd]:
    assert shutil.which("etcd"), "this test needs etcd: apt-get install etcd-server"
    found = LocalEtcd(tmp_path / "etcd", SystemClock())
    found.start()
    await found.wait_ready()
    yield found
    found.stop()


async def test_a_watch_resumes_when_etcd_was_killed_and_came_back(member: LocalEtcd) -> None:
    store = EtcdStore([member.endpoint], member.tls)
    written = [await store.create(PREFIX + "0", b"x")]
    watching = asyncio.create_task(take(store, written[0] - 1, 6))
    for number in range(1, 6):
        if number % 2:
            member.kill()
            with pytest.raises(StoreError):
                await store.create(PREFIX + "lost", b"x")
            member.start()
            await member.wait_ready()
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(StoreError):
                    written.append(await store.create(f"{PREFIX}{number}", b"x"))
                    break
    assert [event.entry.revision for event in await watching] == written
    await store.close()


async def test_a_client_without_a_certificate_is_refused(member: LocalEtcd) -> None:
    plain = EtcdStore([member.endpoint])
    with pytest.raises(StoreError):
        await plain.revision()
    await plain.close()
    store = EtcdStore([member.endpoint], member.tls)  # the control: with one it works
    assert await store.revision() >= 1
    await store.close()
    assert stat.S_IMODE(member.directory.stat().st_mode) == 0o700


async def test_a_value_that_is_too_large_is_refused_and_the_store_goes_on(member: LocalEtcd) -> None:
    store = EtcdStore([member.endpoint], member.tls)
    with pytest.raises(TooLarge):
        await store.create(PREFIX + "a", b"x" * (5 << 20))
    revision = await store.create(PREFIX + "a", b"x" * (3 << 20))
    entry, _ = await store.get(PREFIX + "a")
    assert entry is not None
    assert (entry.revision, len(entry.value)) == (revision, 3 << 20)
    await store.close()


async def test_when_the_quota_is_used_up_deletes_still_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apiserver.storage.local_etcd.QUOTA_BYTES", 1 << 20)
    store = await start_local_etcd(tmp_path / "etcd", SystemClock())
    revision = 0
    with pytest.raises(NoSpace):
        for number in range(100):
            revision = await store.create(f"{PREFIX}{number}", b"x" * 100_000)
    with pytest.raises(NoSpace):
        await store.update(PREFIX + "0", b"x", 2)
    assert await store.delete(PREFIX + "0", 2) == revision + 1
    await store.close()


async def test_a_member_that_dies_is_started_again_and_ends_with_the_store(tmp_path: Path) -> None:
    store = await open_store("etcd", tmp_path, SystemClock())
    revision = await store.create(PREFIX + "a", b"x")
    member = store._member  # type: ignore[attr-defined]
    first = member.pid
    member.kill()
    async with asyncio.timeout(30):
        while not member.pid or member.pid == first:
            await asyncio.sleep(0.05)
        await member.wait_ready()
        while True:
            with contextlib.suppress(StoreError):
                assert await store.revision() == revision
                break
    last = member.pid
    await store.close()
    with pytest.raises(ProcessLookupError):
        os.kill(last, 0)


async def test_the_member_of_a_killed_owner_ends_and_the_next_owner_has_its_data(tmp_path: Path) -> None:
    program = (
        "import asyncio, pathlib, sys\n"
        "from apiserver.storage.open_store import open_store\n"
        "from tiphys.clock import SystemClock\n"
        "async def main():\n"
        "    store = await open_store('etcd', pathlib.Path(sys.argv[1]), SystemClock())\n"
        f"    await store.create({PREFIX + 'a'!r}, b'kept')\n"
        "    print(store._member.pid, flush=True)\n"
        "    await asyncio.sleep(3600)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        str(tmp_path),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    first = int(await process.stdout.readline())
    process.kill()
    await process.wait()
    store = await open_store("etcd", tmp_path, SystemClock())
    entry, _ = await store.get(PREFIX + "a")
    assert entry is not None
    assert entry.value == b"kept"
    await store.close()
    async with asyncio.timeout(20):
        while is_running(first):
            await asyncio.sleep(0.05)


def is_running(pid: int) -> bool:
    """Whether the process runs; one that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("mysql", 'no store "mysql"'),
        ("etcd://", "is not HOST:PORT"),
        ("etcd://localhost", "is not HOST:PORT"),
        ("etcd://a:1,b", '"b" in'),
        ("etcd://a:1?ca=/x", "ca, cert and key together"),
        ("etcd://a:1?ca=/x&cert=/x&key=/x", "/x: no such file"),
        ("etcd://a:1?password=x", '"password" in'),
    ],
)
async def test_a_store_that_cannot_be_read_is_explained(tmp_path: Path, spec: str, complaint: str) -> None:
    with pytest.raises(StoreError, match=complaint.replace("?", ".")):
        await open_store(spec, tmp_path, SystemClock())


async def test_the_word_sqlite_opens_the_file_below_the_data_directory(tmp_path: Path) -> None:
    store = await open_store("sqlite", tmp_path, SystemClock())
    assert isinstance(store, SqliteStore)
    await store.close()
    assert (tmp_path / "store" / "store.db").exists()


async def test_an_etcd_url_with_certificates_opens_the_cluster(member: LocalEtcd, tmp_path: Path) -> None:
    files = f"ca={member.tls.ca}&cert={member.tls.certificate}&key={member.tls.key}"
    store = await open_store(f"etcd://{member.endpoint}?{files}", tmp_path, SystemClock())
    assert await store.create(PREFIX + "a", b"x") >= 2
    await store.close()
    two = await open_store(f"etcd://127.0.0.1:1,{member.endpoint}?{files}", tmp_path, SystemClock())
    assert await two.revision() >= 2  # whichever endpoint answers
    await two.close()
