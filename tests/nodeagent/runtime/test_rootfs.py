"""The overlay and its check, with images that try to lead out of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nodeagent.runtime import leftovers
from nodeagent.runtime.interface import Mount, RootfsUnsafe, RuntimeFailure
from nodeagent.runtime.rootfs import mount_overlay, prepare


class Root:
    """Layers to fill, a merged root to look at, a canary outside."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.canary = self.layer("canary")
        (self.canary / "file").write_text("untouched")
        self.source_dir = self.layer("source")
        self.source_file = directory / "source-file"
        self.source_file.write_text("ours")
        self.merged = self.layer("merged")

    def layer(self, name: str) -> Path:
        path = self.directory / name
        path.mkdir()
        return path

    def mount(self, *layers: Path) -> Path:
        mount_overlay(layers, self.layer("upper"), self.layer("work"), self.merged)
        return self.merged

    def assert_canary_untouched(self) -> None:
        assert [p.name for p in self.canary.iterdir()] == ["file"]
        assert (self.canary / "file").read_text() == "untouched"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    yield Root(tmp_path)
    leftovers.unmount_below(tmp_path)


def test_upper_layers_hide_lower_ones_and_writes_stay_in_the_upper_directory(root: Root) -> None:
    low, high = root.layer("low"), root.layer("high")
    (low / "a").write_text("low")
    (low / "b").write_text("low")
    (high / "a").write_text("high")
    merged = root.mount(low, high)
    assert ((merged / "a").read_text(), (merged / "b").read_text()) == ("high", "low")
    (merged / "b").write_text("changed")
    assert (low / "b").read_text() == "low"


def test_128_layers_with_awkward_names_can_be_mounted_and_no_more(root: Root) -> None:
    long_names = root.layer("x" * 200)
    layers = [long_names / f"{'y' * 200},lowerdir=:{number}\\" for number in range(129)]
    for number, layer in enumerate(layers):
        layer.mkdir()
        (layer / str(number)).touch()
    merged = root.mount(*layers[:128])
    assert sorted(int(p.name) for p in merged.iterdir()) == list(range(128))
    with pytest.raises(RootfsUnsafe, match="129 layers"):
        mount_overlay(layers, root.merged, root.merged, root.merged)


@pytest.mark.parametrize("name", ["dev", "proc", "sys", "etc"])
def test_links_in_place_of_kernel_directories_are_refused(root: Root, name: str) -> None:
    evil = root.layer("evil")
    (evil / name).symlink_to(root.canary)
    merged = root.mount(evil)
    with pytest.raises(RootfsUnsafe, match=f"/{name}"):
        prepare(merged, [Mount(str(root.source_file), "/etc/hosts")], "/")
    root.assert_canary_untouched()


def test_linked_files_of_ours_are_replaced_not_followed(root: Root) -> None:
    evil = root.layer("evil")
    (evil / "etc").mkdir()
    for name in ("hosts", "resolv.conf"):
        (evil / "etc" / name).symlink_to(f"../../../../{root.canary}/file")
    merged = root.mount(evil)
    mounts = [Mount(str(root.source_file), f"/etc/{name}") for name in ("hosts", "resolv.conf", "hostname")]
    assert prepare(merged, mounts, "/") == mounts
    for name in ("hosts", "resolv.conf", "hostname"):
        assert not (merged / "etc" / name).is_symlink()
        assert (merged / "etc" / name).read_text() == ""
    root.assert_canary_untouched()


def test_a_mount_target_behind_a_link_is_resolved_inside_the_root(root: Root) -> None:
    image = root.layer("image")
    (image / "var").mkdir()
    (image / "var/run").symlink_to("/run")
    (image / "out").symlink_to(root.canary)
    merged = root.mount(image)
    targets = ["/var/run/secrets/token", "/out/data", "/new/deep/dir", "/dev/shm/x"]
    made = prepare(merged, [Mount(str(root.source_dir), target) for target in targets], "/work/dir")
    inside = str(root.canary).lstrip("/")
    assert [m.target for m in made] == ["/run/secrets/token", f"/{inside}/data", "/new/deep/dir", "/dev/shm/x"]
    assert (merged / "run/secrets/token").is_dir() and (merged / inside / "data").is_dir()
    assert (merged / "work/dir").is_dir()
    root.assert_canary_untouched()


@pytest.mark.parametrize("target", ["/proc", "/proc/self", "/sys", "/sys/kernel", "/back/self"])
def test_volumes_over_kernel_file_systems_are_refused(root: Root, target: str) -> None:
    image = root.layer("image")
    (image / "back").symlink_to("/proc")
    merged = root.mount(image)
    with pytest.raises(RootfsUnsafe, match="leads into"):
        prepare(merged, [Mount(str(root.source_dir), target)], "/")


@pytest.mark.parametrize("target", ["/", "/../x", "/a/../../b", "/nul\0"])
def test_targets_that_are_no_paths_below_the_root_are_refused(root: Root, target: str) -> None:
    merged = root.mount(root.layer("image"))
    with pytest.raises(RuntimeFailure):
        prepare(merged, [Mount(str(root.source_dir), target)], "/")


def test_a_file_in_place_of_a_directory_is_an_error_that_names_the_path(root: Root) -> None:
    image = root.layer("image")
    (image / "app").write_text("a file")
    merged = root.mount(image)
    with pytest.raises(RuntimeFailure, match=r"mount path '/app/data' cannot be used: Not a directory"):
        prepare(merged, [Mount(str(root.source_dir), "/app/data")], "/")
    with pytest.raises(RuntimeFailure, match=r"working directory '/app' cannot be used"):
        prepare(merged, [], "/app")
    with pytest.raises(RuntimeFailure, match="mount source of '/x'"):
        prepare(merged, [Mount("/does/not/exist", "/x")], "/")
