"""The log reader on real files."""

import asyncio
import gzip
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nodeagent.server.app import BadOption, log_options
from nodeagent.server.authentication import decide
from nodeagent.server.logfile import LogOptions, last_lines, parse_entry
from nodeagent.server.logparts import successor
from nodeagent.server.logs import stream_log
from tiphys.clock import SystemClock


def line(number: int, text: str, stream: str = "stdout", tag: str = "F") -> str:
    return f"2026-01-02T03:04:{number:02d}.000000000Z {stream} {tag} {text}\n"


def never(event: asyncio.Event) -> Callable[[], None]:
    return lambda: None


async def read(path: Path, **options: Any) -> str:
    chunks = [chunk async for chunk in stream_log(path, LogOptions(**options), lambda: False, never)]
    return b"".join(chunks).decode()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "0.log"
    path.write_text(
        line(1, "one") + line(2, "tw", tag="P") + line(3, "o") + "garbage\n" + line(4, "err", "stderr") + line(5, "")
    )
    return path


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "one\ntwo\nerr\n\n"),
        ({"tail_lines": 2}, "err\n\n"),
        ({"tail_lines": 0}, ""),
        ({"tail_lines": 99}, "one\ntwo\nerr\n\n"),
        ({"limit_bytes": 5}, "one\nt"),
        ({"stream": "Stderr"}, "err\n"),
        ({"since": datetime(2026, 1, 2, 3, 4, 4, tzinfo=UTC)}, "err\n\n"),
        (
            {"timestamps": True, "tail_lines": 5},
            "2026-01-02T03:04:02.000000000Z two\n2026-01-02T03:04:04.000000000Z err\n2026-01-02T03:04:05.000000000Z \n",
        ),
    ],
)
async def test_options_of_a_log(log: Path, options: dict[str, Any], expected: str) -> None:
    assert await read(log, **options) == expected


async def test_a_large_log_is_read_whole_and_tailed_right(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_text("".join(line(n % 60, f"{n}" + "x" * 100) for n in range(5000)))
    assert len((await read(path)).splitlines()) == 5000
    assert [text.rstrip("x") for text in (await read(path, tail_lines=1500)).splitlines()] == [
        str(n) for n in range(3500, 5000)
    ]


async def test_following_ends_with_the_container_and_survives_rotation(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_text(line(1, "one"))
    alive = True
    events: list[asyncio.Event] = []
    seen: asyncio.Queue[bytes] = asyncio.Queue()

    def on_exit(event: asyncio.Event) -> Callable[[], None]:
        events.append(event)
        return events.clear

    async def follow() -> None:
        async for chunk in stream_log(path, LogOptions(follow=True), lambda: alive, on_exit):
            seen.put_nowait(chunk)

    task = asyncio.create_task(follow())
    async with asyncio.timeout(10):
        assert await seen.get() == b"one\n"
        with path.open("a") as writer:
            writer.write(line(2, "two")[:20])
            writer.flush()
            writer.write(line(2, "two")[20:])
        assert await seen.get() == b"two\n"
        path.rename(tmp_path / "0.log.old")
        path.write_text(line(3, "three"))
        assert await seen.get() == b"three\n"
        with path.open("a") as writer:
            writer.write(line(4, "last"))
        alive = False
        events[0].set()
        await task
    assert await seen.get() == b"last\n"
    assert not events


def test_a_slow_reader_passes_through_every_file_that_was_rotated_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    opened = []
    for number in range(1, 4):
        path.write_text(line(number, str(number)))
        os.utime(path, (1, 1))  # as coarse as file times may be
        opened.append(os.open(path, os.O_RDONLY))
        if number < 3:
            path.rename(tmp_path / f"0.log.20260102-00000{number}")
    for number, descriptor in enumerate(opened[:2], 1):
        following = successor(path, descriptor)
        assert following is not None and os.read(following, 100).decode() == line(number + 1, str(number + 1))
        opened.append(following)
    assert successor(path, opened[2]) is None
    path.unlink()
    assert successor(path, opened[0]) is None  # between the renaming and the new file
    for descriptor in opened:
        os.close(descriptor)


async def test_rotated_files_belong_to_the_log(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    with gzip.open(tmp_path / "0.log.20260102-000001.gz", "wb") as packed:
        packed.write((line(1, "a") + line(2, "b")).encode())
    (tmp_path / "0.log.20260102-000002").write_text(line(3, "c") + line(4, "d"))
    path.write_text(line(5, "e"))
    assert await read(path) == "a\nb\nc\nd\ne\n"
    assert await read(path, tail_lines=1) == "e\n"
    assert await read(path, tail_lines=2) == "d\ne\n"
    assert await read(path, tail_lines=4) == "b\nc\nd\ne\n"
    assert await read(path, limit_bytes=3) == "a\nb"
    assert await read(path, since=datetime(2026, 1, 2, 3, 4, 4, tzinfo=UTC)) == "d\ne\n"
    (tmp_path / "0.log.20260102-000000.gz").write_bytes(b"no gzip")
    assert await read(path) == "a\nb\nc\nd\ne\n"


async def test_a_link_in_place_of_a_log_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(line(1, "host"))
    (tmp_path / "0.log").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic link"):
        await read(tmp_path / "0.log")
    assert last_lines(tmp_path / "0.log", 10, 100) == b""
    assert last_lines(tmp_path / "secret", 10, 100) == b"host\n"  # the control


def test_the_last_lines_are_bounded(log: Path) -> None:
    assert last_lines(log, 2, 100) == b"err\n\n"
    assert last_lines(log, 10, 3) == b"r\n\n"


def test_lines_that_are_no_entries() -> None:
    assert parse_entry(b"x stdout F") is None
    assert parse_entry(b"x stdin F y") is None
    assert parse_entry(b"x stdout X y") is None


def test_utc_is_spelled_as_clients_know_it() -> None:
    entry = parse_entry(b"2026-01-02T03:04:05.123456789+00:00 stdout F y")
    assert entry is not None
    assert entry.time == "2026-01-02T03:04:05.123456789Z"


@pytest.mark.parametrize(
    "query", [{"tailLines": "-1"}, {"limitBytes": "0"}, {"limitBytes": str(2**63)}, {"sinceTime": "x"}]
)
def test_bad_options_are_refused(query: dict[str, str]) -> None:
    with pytest.raises(BadOption):
        log_options(query, SystemClock())


@pytest.mark.parametrize(
    ("name", "groups", "code"),
    [
        ("kube-apiserver-kubelet-client", ("system:masters",), 200),
        ("kubernetes-admin", ("system:masters",), 200),
        ("system:node:other", ("system:nodes",), 403),
        ("", (), 403),
    ],
)
def test_who_may_call(name: str, groups: tuple[str, ...], code: int) -> None:
    subject = ((("commonName", name),), *((("organizationName", group),) for group in groups))
    assert decide({"subject": subject}) == code
    assert decide(None) == 401
