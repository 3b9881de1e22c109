"""The atomic writer on real files."""

import os
from pathlib import Path

import pytest

from nodeagent.volumes.atomic import File, PayloadError, write
from tiphys.clock import SystemClock

CLOCK = SystemClock()


def shown(target: Path) -> dict[str, str]:
    """What a container sees below the volume, by path."""
    found = {}
    for directory, names, files in os.walk(target, followlinks=True):
        names[:] = [name for name in names if not name.startswith("..")]
        for name in files:
            path = Path(directory) / name
            found[str(path.relative_to(target))] = path.read_text()
    return found


def test_files_are_shown_through_the_data_link(tmp_path: Path) -> None:
    assert write(tmp_path, {"a": File(b"1"), "d/b": File(b"2", 0o400)}, CLOCK)
    assert shown(tmp_path) == {"a": "1", "d/b": "2"}
    assert str((tmp_path / "a").readlink()) == "..data/a"
    assert (tmp_path / "d/b").stat().st_mode & 0o777 == 0o400
    assert str((tmp_path / "..data").readlink()).startswith("..2")


def test_an_equal_payload_changes_nothing(tmp_path: Path) -> None:
    payload = {"a": File(b"1"), "d/b": File(b"2", 0o400)}
    write(tmp_path, payload, CLOCK)
    before = (tmp_path / "..data").readlink()
    assert not write(tmp_path, payload, CLOCK)
    assert (tmp_path / "..data").readlink() == before


def test_an_update_replaces_everything_at_once(tmp_path: Path) -> None:
    write(tmp_path, {"a": File(b"1"), "b": File(b"2")}, CLOCK)
    with (tmp_path / "a").open() as reader:
        assert write(tmp_path, {"a": File(b"3"), "c": File(b"4", 0o600)}, CLOCK)
        assert reader.read() == "1"
    assert shown(tmp_path) == {"a": "3", "c": "4"}
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.is_dir() and not entry.is_symlink()) == [
        str((tmp_path / "..data").readlink())
    ]


def test_a_changed_mode_alone_is_an_update(tmp_path: Path) -> None:
    write(tmp_path, {"a": File(b"1")}, CLOCK)
    assert write(tmp_path, {"a": File(b"1", 0o600)}, CLOCK)


def test_a_group_owns_and_reads_the_files(tmp_path: Path) -> None:
    write(tmp_path, {"a": File(b"1", 0o400)}, CLOCK, gid=1234)
    info = (tmp_path / "a").stat()
    assert (info.st_gid, info.st_mode & 0o777) == (1234, 0o440)
    assert not write(tmp_path, {"a": File(b"1", 0o400)}, CLOCK, gid=1234)


@pytest.mark.parametrize("path", ["../x", "/x", "a/../x", "..data", "", "a//b", "..x/y", "a/b/.."])
def test_paths_that_lead_out_are_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(PayloadError):
        write(tmp_path / "v", {path: File(b"1")}, CLOCK)
    assert not list(tmp_path.rglob("x"))


def test_a_planted_link_is_not_written_through(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("host")
    volume = tmp_path / "v"
    volume.mkdir()
    write(volume, {"a": File(b"1")}, CLOCK)
    (volume / "b").symlink_to(secret)
    write(volume, {"a": File(b"2"), "b": File(b"3")}, CLOCK)
    assert secret.read_text() == "host"
