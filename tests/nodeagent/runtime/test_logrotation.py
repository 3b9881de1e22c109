"""Logs that grow too long, with a real conmon writing and a reader at the other end."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nodeagent.runtime.engine import ConmonRuntime
from nodeagent.runtime.interface import ContainerSpec, ContainerStatus, RuntimeFailure
from nodeagent.runtime.logrotation import LogRotator, remove_logs, remove_with_log, rotated
from nodeagent.server.logfile import LogOptions
from nodeagent.server.logs import stream_log
from tiphys.clock import SystemClock

Make = Callable[..., ContainerSpec]


class Wall(SystemClock):
    """Another second whenever it is asked."""

    def __init__(self) -> None:
        self._now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def now(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


async def test_no_line_is_lost_by_rotation_and_a_follower_sees_each_once(runtime: ConmonRuntime, spec: Make) -> None:
    count = "n=0; while [ $n -lt 3000 ]; do n=$((n+1)); echo line $n; [ $((n % 300)) = 0 ] && sleep 0.1; done"
    made = spec(f"{count}; while ! test -e /go; do sleep 0.02; done")
    rotator = LogRotator(runtime, Wall(), max_bytes=20_000, max_files=20)
    await runtime.create(made)
    followed = bytearray()

    def on_exit(event: asyncio.Event) -> Callable[[], None]:
        return runtime.on_exit(lambda status: event.set())

    async def follow() -> None:
        alive = lambda: runtime._containers[made.id].end is None  # noqa: E731
        async for chunk in stream_log(made.log_path, LogOptions(follow=True), alive, on_exit):
            followed.extend(chunk)

    task = asyncio.create_task(follow())
    await runtime.start(made.id)
    turns = 0
    async with asyncio.timeout(30):
        while b"line 3000\n" not in followed:
            turns += bool(await rotator.check())
            await asyncio.sleep(0.005)
    await runtime.exec_sync(made.id, ["/bin/touch", "/go"])
    await asyncio.wait_for(task, 20)
    assert turns >= 2 and len(rotated(made.log_path)) >= 2
    assert followed.decode().splitlines() == [f"line {n}" for n in range(1, 3001)]
    whole = [chunk async for chunk in stream_log(made.log_path, LogOptions(), lambda: False, lambda _: lambda: None)]
    assert b"".join(whole) == bytes(followed)
    tail = LogOptions(tail_lines=2500)
    last = [chunk async for chunk in stream_log(made.log_path, tail, lambda: False, lambda _: lambda: None)]
    assert b"".join(last).decode().splitlines() == [f"line {n}" for n in range(501, 3001)]


class Held:
    """A runtime of one container whose log can or cannot be opened again."""

    def __init__(self, spec: ContainerSpec, works: bool = True) -> None:
        self.spec, self.works = spec, works

    async def list(self, pod_uid: str = "") -> list[ContainerStatus]:
        return [ContainerStatus(self.spec.id, self.spec, "running")]

    def reopen_log(self, container_id: str) -> None:
        if not self.works:
            raise RuntimeFailure("no conmon")
        self.spec.log_path.touch()


async def test_the_newest_rotated_file_stays_plain_older_ones_are_compressed_and_the_oldest_go(spec: Make) -> None:
    made = spec()
    rotator = LogRotator(Held(made), Wall(), max_bytes=10, max_files=4)
    for turn in range(6):
        made.log_path.write_text(f"2026-01-02T03:04:05Z stdout F turn {turn}\n")
        assert await rotator.check() == [made.id]
    assert await rotator.check() == []  # short again
    names = [file.name.removeprefix(made.log_path.name) for file in rotated(made.log_path)]
    assert names == [".20260102-030409.gz", ".20260102-030410.gz", ".20260102-030411"]
    assert b"turn 3" in gzip.decompress(rotated(made.log_path)[0].read_bytes())
    kept = [chunk async for chunk in stream_log(made.log_path, LogOptions(), lambda: False, lambda _: lambda: None)]
    assert b"".join(kept) == b"turn 3\nturn 4\nturn 5\n"
    remove_logs(made.log_path)
    assert list(made.log_path.parent.glob("*.log*")) == []


async def test_an_attempt_that_is_given_up_takes_its_log_along(runtime: ConmonRuntime, spec: Make) -> None:
    made, kept = spec("echo gone"), spec("echo kept")
    for one in (made, kept):
        await runtime.create(one)
        await runtime.start(one.id)
        await asyncio.wait_for(runtime.wait(one.id), 20)
    made.log_path.with_name(made.log_path.name + ".20260102-030405.gz").touch()
    await remove_with_log(runtime, made.id)
    await remove_with_log(runtime, made.id)
    await runtime.remove(kept.id)
    assert [file.name for file in made.log_path.parent.glob("*.log*")] == [kept.log_path.name]


async def test_a_log_that_cannot_be_reopened_keeps_its_name(spec: Make) -> None:
    made = spec()
    made.log_path.write_text("x" * 100)
    rotator = LogRotator(Held(made, works=False), Wall(), max_bytes=10)
    assert await rotator.check() == []
    assert made.log_path.read_text() == "x" * 100 and rotated(made.log_path) == []


async def test_planted_links_and_names_are_left_alone(spec: Make, tmp_path: Path) -> None:
    made = spec()
    secret = tmp_path / "secret"
    secret.write_text("host\n")
    made.log_path.write_text("2026-01-02T03:04:05Z stdout F mine\n")
    planted = made.log_path.with_name(made.log_path.name + ".20200101-000000")
    planted.symlink_to(secret)
    made.log_path.with_name(made.log_path.name + ".old").write_text("not ours")
    assert rotated(made.log_path) == [planted]
    kept = [chunk async for chunk in stream_log(made.log_path, LogOptions(), lambda: False, lambda _: lambda: None)]
    assert b"".join(kept) == b"mine\n"
    assert await LogRotator(Held(made), Wall(), max_bytes=10).check() == [made.id]
    assert secret.read_text() == "host\n" and not planted.is_symlink()
