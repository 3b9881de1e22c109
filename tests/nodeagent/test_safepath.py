"""File system work below a root that somebody else filled: links, mounts, pipes and depth do not lead outside."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nodeagent.safepath import Links, Root, UnsafePathError, opened, remove_tree, split


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Path]:
    """root/ with links that lead to outside/, which holds a canary."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/canary").write_text("alive")
    root = tmp_path / "root"
    (root / "dir").mkdir(parents=True)
    (root / "absolute").symlink_to(tmp_path / "outside")
    (root / "relative").symlink_to("../outside")
    (root / "inside").symlink_to("dir")
    (root / "magic").symlink_to("/proc/self/root")
    (root / "file-link").symlink_to(tmp_path / "outside/canary")
    yield root
    assert (tmp_path / "outside/canary").read_text() == "alive"
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["canary"]
    assert stat.S_IMODE((tmp_path / "outside").stat().st_mode) == 0o755


CHANGES: dict[str, Callable[[Root, str], object]] = {
    "write": lambda root, at: root.write_bytes(f"{at}/new", b"x"),
    "create": lambda root, at: os.close(root.create(f"{at}/new")),
    "mkdir": lambda root, at: root.mkdir(f"{at}/new"),
    "symlink": lambda root, at: root.symlink("x", f"{at}/new"),
    "link": lambda root, at: root.link(f"{at}/canary", "stolen"),
    "mknod": lambda root, at: root.mknod(f"{at}/new", stat.S_IFIFO | 0o600),
    "chmod": lambda root, at: root.chmod(f"{at}/canary", 0o777),
    "chown": lambda root, at: root.chown(f"{at}/canary", 1, 1),
    "utime": lambda root, at: root.utime(f"{at}/canary", 1),
    "unlink": lambda root, at: root.unlink(f"{at}/canary"),
    "read": lambda root, at: root.read_bytes(f"{at}/canary", limit_bytes=100),
    "stat": lambda root, at: root.stat(f"{at}/canary"),
    "listdir": lambda root, at: root.listdir(at),
    "rename": lambda root, at: root.rename(f"{at}/canary", "stolen"),
}


@pytest.mark.parametrize("links", list(Links))
@pytest.mark.parametrize("at", ["absolute", "relative", "magic"])
@pytest.mark.parametrize("change", CHANGES)
def test_no_operation_goes_through_a_link_that_leads_outside(change: str, at: str, links: Links, box: Path) -> None:
    assert (box / "absolute/canary").read_text() == "alive", "positive control: the link works"
    with Root.at(box, links=links) as root, pytest.raises(OSError):
        CHANGES[change](root, at)


@pytest.mark.parametrize("path", ["../outside/canary", "dir/../../outside/canary", "a\0b"])
def test_a_path_that_climbs_is_refused(path: str, box: Path) -> None:
    with Root.at(box) as root, pytest.raises(UnsafePathError):
        root.stat(path)


def test_the_last_component_is_replaced_not_followed(box: Path) -> None:
    with Root.at(box) as root:
        root.write_bytes("file-link", b"mine", 0o640)
        assert root.read_bytes("file-link", limit_bytes=10) == b"mine"
        assert stat.S_IMODE(root.stat("file-link").st_mode) == 0o640
    assert not (box / "file-link").is_symlink()


def test_metadata_of_a_link_is_its_own(box: Path) -> None:
    with Root.at(box) as root:
        root.chown("file-link", 7, 8)
        assert root.stat("file-link").st_uid == 7
        with pytest.raises(OSError, match="symbolic link"):
            root.chmod("file-link", 0o777)


def test_missing_directories_are_made_where_a_container_would_see_them(box: Path) -> None:
    with Root.at(box) as root:
        os.close(root.makedirs("absolute/a/b", 0o750, uid=3, gid=4))
        made = box / str(box.parent / "outside").lstrip("/") / "a/b"
        assert made.is_dir() and (made.stat().st_uid, stat.S_IMODE(made.stat().st_mode)) == (3, 0o750)
        os.close(root.makedirs("inside/c"))
        assert (box / "dir/c").is_dir()
    with Root.at(box, links=Links.BENEATH) as root, pytest.raises(OSError):
        os.close(root.makedirs("relative/c"))


def test_links_in_a_circle_end(box: Path) -> None:
    (box / "one").symlink_to("two")
    (box / "two").symlink_to("one")
    with Root.at(box) as root, pytest.raises(OSError):
        os.close(root.makedirs("one/x"))


def test_a_pipe_does_not_hold_the_reader(box: Path) -> None:
    os.mkfifo(box / "pipe")
    with Root.at(box) as root, pytest.raises(OSError, match="not a regular file"):
        root.read_bytes("pipe", limit_bytes=10)


def test_a_file_beyond_the_limit_is_not_read(box: Path) -> None:
    (box / "big").write_bytes(bytes(11))
    with Root.at(box) as root, pytest.raises(OSError, match="longer than 10"):
        root.read_bytes("big", limit_bytes=10)


def test_removing_a_tree_removes_links_not_their_targets(box: Path) -> None:
    (box / "dir/link").symlink_to(box.parent / "outside")
    with Root.at(box) as root:
        root.remove_tree("dir")
        root.remove_tree("absolute")
        root.remove_tree("never there")
        assert not root.exists("dir") and not root.exists("absolute")


def test_removing_a_tree_stops_at_a_mount(box: Path) -> None:
    mount = box / "dir/mounted"
    mount.mkdir()
    (box / "dir/other").write_text("goes")
    subprocess.run(["mount", "--bind", box.parent / "outside", mount], check=True)
    try:
        assert (mount / "canary").exists(), "positive control: the mount leads outside"
        with Root.at(box) as root, pytest.raises(OSError):
            root.remove_tree("dir")
        assert not (box / "dir/other").exists()
        with Root.at(box) as root, pytest.raises(OSError):
            root.read_bytes("dir/mounted/canary", limit_bytes=10)
    finally:
        subprocess.run(["umount", mount], check=True)
    remove_tree(box / "dir")
    assert not (box / "dir").exists()


def test_a_very_deep_tree_is_removed_with_few_descriptors(tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    deep.mkdir()
    fd = os.open(deep, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    remove_tree(deep)
    assert not deep.exists()


@pytest.mark.parametrize(
    ("path", "parts"), [("/a//b/./c/", [b"a", b"b", b"c"]), ("", []), ("/", []), ("..a", [b"..a"])]
)
def test_paths_are_split_from_the_root(path: str, parts: list[bytes]) -> None:
    assert split(path) == parts


def test_no_descriptor_is_left_open(box: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with Root.at(box) as root:
        root.write_bytes("f", b"1")
        root.remove_tree("dir")
        with opened(root.open_dir("")):
            pass
        with pytest.raises(OSError):
            root.read_bytes("absolute/canary", limit_bytes=1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
