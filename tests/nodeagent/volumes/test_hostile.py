"""Volumes whose contents work against the node: links swapped while they are mounted, planted names, odd sub-paths."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nodeagent.runtime.syscalls import mount
from nodeagent.volumes import atomic, subpath
from nodeagent.volumes.atomic import File
from nodeagent.volumes.payload import VolumeError
from nodeagent.volumes.teardown import mounts_below, remove_tree, unmount_below
from tiphys.clock import SystemClock

ROUNDS = 300
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def _exchange_for_ever(one: bytes, other: bytes) -> None:
    libc = ctypes.CDLL(None)
    while True:
        libc.renameat2(_AT_FDCWD, one, _AT_FDCWD, other, _RENAME_EXCHANGE)


@contextmanager
def swapping(one: Path, other: Path) -> Iterator[None]:
    """Another process exchanges two names as fast as it can."""
    process = multiprocessing.get_context("spawn").Process(
        target=_exchange_for_ever, args=(os.fsencode(one), os.fsencode(other)), daemon=True
    )
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A volume with a directory and a link to a canary outside, below a place that is cleaned of mounts."""
    canary = tmp_path / "canary"
    canary.mkdir()
    (canary / "secret").write_text("host")
    inside = tmp_path / "volume"
    (inside / "sub").mkdir(parents=True)
    (inside / "sub/own").touch()
    (inside / "link").symlink_to(canary)
    yield inside
    unmount_below(tmp_path)
    assert not mounts_below(tmp_path)
    assert (canary / "secret").read_text() == "host" and len(list(canary.iterdir())) == 1


def test_a_swapped_link_is_never_what_gets_mounted(volume: Path, tmp_path: Path) -> None:
    """The control: resolving the name in two steps, as strings do it, is led out within the same number of rounds."""
    refused = led_out = pinned = rounds = 0
    with swapping(volume / "sub", volume / "link"):
        while rounds < ROUNDS or ((not led_out or not refused or not pinned) and rounds < 100 * ROUNDS):
            rounds += 1
            if not (volume / "sub").is_symlink():  # looked at, and then ...
                led_out += (volume / "sub/secret").exists()
            try:
                place = subpath.pin(volume, "sub", tmp_path / "pins" / str(rounds))
            except VolumeError:
                refused += 1
                continue
            pinned += 1
            assert [one.name for one in place.iterdir()] == ["own"]
            unmount_below(place)
    assert led_out and refused and pinned


@pytest.mark.parametrize("path", ["..", "a/../..", "/../x", "a\0b", "sub/../../canary"])
def test_a_sub_path_that_climbs_is_refused(volume: Path, tmp_path: Path, path: str) -> None:
    with pytest.raises(VolumeError):
        subpath.pin(volume, path, tmp_path / "pin")
    assert (subpath.pin(volume, "sub", tmp_path / "pin") / "own").exists()


def test_a_missing_sub_path_has_the_mode_of_its_volume(volume: Path, tmp_path: Path) -> None:
    volume.chmod(0o777)
    subpath.pin(volume, "new/er", tmp_path / "pin")
    assert {(volume / one).stat().st_mode & 0o777 for one in ("new", "new/er")} == {0o777}
    with pytest.raises(VolumeError, match="leads out"):
        subpath.pin(volume, "link/made", tmp_path / "other")


def test_a_file_that_was_replaced_is_pinned_anew(tmp_path: Path) -> None:
    clock, volume, pin = SystemClock(), tmp_path / "volume", tmp_path / "pin"
    volume.mkdir()
    try:
        for text in (b"1", b"2", b"2"):
            atomic.write(volume, {"key": File(text)}, clock)
            assert subpath.pin(volume, "key", pin).read_bytes() == text
        assert len(mounts_below(tmp_path)) == 1
    finally:
        remove_tree(pin)


def test_a_name_planted_in_a_volume_of_files_is_not_written_through(tmp_path: Path) -> None:
    canary, volume = tmp_path / "canary", tmp_path / "volume"
    canary.write_text("host")
    volume.mkdir()
    for name in ("..data_tmp", "key"):
        (volume / name).symlink_to(canary)
    atomic.write(volume, {"key": File(b"new"), "other": File(b"x")}, SystemClock())
    assert canary.read_text() == "host"
    assert (volume / "other").read_text() == "x"


@pytest.mark.parametrize(
    "name", [b"plain", b"with space", "caf\u00e9".encode(), b"\xff\xfe", b"line\nbreak", b"back\\040slash"]
)
def test_a_mount_on_any_name_is_found_and_taken_down(tmp_path: Path, name: bytes) -> None:
    """A container with bidirectional propagation chooses the names under which mounts appear on the node."""
    place = os.fsencode(tmp_path) + b"/volume/" + name
    Path(os.fsdecode(place)).mkdir(parents=True)
    mount("tmpfs", os.fsdecode(place), "tmpfs")
    assert len(mounts_below(tmp_path)) == 1
    remove_tree(tmp_path / "volume")
    assert not mounts_below(tmp_path)
    assert not (tmp_path / "volume").exists()
