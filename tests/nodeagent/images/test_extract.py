"""Hostile and legitimate layers put below a directory.  Each attack is first shown to work on careless extraction."""

from __future__ import annotations

import os
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from nodeagent.images.extract import Extractor, Limits, RefusedEntryError, keeps_xattr
from nodeagent.images.layout import LayerBuilder
from nodeagent.images.tarstream import Source, TarError
from tests.nodeagent.images.naive import apply_naively, fingerprint


@pytest.fixture(autouse=True)
def plain_umask() -> Iterator[None]:
    old = os.umask(0)
    yield
    os.umask(old)


def extract(tar: bytes, root: Path, limits: Limits | None = None) -> Extractor:
    """In this process: without the child's chroot, so that the rules alone must hold."""
    root.mkdir(parents=True, exist_ok=True)
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    extractor = Extractor(fd, limits)
    try:
        source = Source(iter([tar]))
        extractor.run(source)
        source.drain()
    finally:
        extractor.close()
        os.close(fd)
    return extractor


Attack = Callable[[LayerBuilder, Path], object]
LEAVES = "leads out of the layer"
ATTACKS: dict[str, tuple[Attack, str]] = {
    "parent entry": (lambda t, o: t.file("../outside/new", "x"), r"'\.\.'"),
    "parent entry inside": (lambda t, o: t.directory("a").file("a/../../outside/new", "x"), r"'\.\.'"),
    "absolute path": (lambda t, o: t.file(f"{o}/new", "x"), ""),
    "absolute link, write through": (lambda t, o: t.symlink("l", str(o)).file("l/new", "x"), LEAVES),
    "relative link, write through": (lambda t, o: t.symlink("l", "../outside").file("l/new", "x"), LEAVES),
    "chain of links": (
        lambda t, o: t.directory("a/b").symlink("a/b/up", "..").symlink("far", "a/b/up/../../outside")
        .file("far/new", "x"), LEAVES,
    ),
    "link to a file, overwritten": (lambda t, o: t.symlink("l", f"{o}/canary").file("l", "x"), "scoped by replacing"),
    "hard link to an absolute path": (lambda t, o: t.hardlink("h", f"{o}/canary"), "not in the layer"),
    "hard link to the parent": (lambda t, o: t.hardlink("h", "../outside/canary"), r"'\.\.'"),
    "hard link through a link": (lambda t, o: t.symlink("l", str(o)).hardlink("h", "l/canary"), LEAVES),
    "hard link to a link, then mode": (
        lambda t, o: t.symlink("l", f"{o}/canary").hardlink("h", "l", mode=0o777), "",
    ),
    "file becomes a link": (lambda t, o: t.file("d", "x").symlink("d", str(o)).file("d/new", "x"), LEAVES),
    "whiteout of the parent": (lambda t, o: t.file(".wh...", b""), "invalid whiteout"),
    "whiteout through a link": (lambda t, o: t.symlink("l", str(o)).file("l/.wh.canary", b""), LEAVES),
    "opaque mark in a linked directory": (lambda t, o: t.symlink("l", str(o)).file("l/.wh..wh..opq", b""), LEAVES),
    "directory through a link": (lambda t, o: t.symlink("l", str(o)).directory("l/new"), LEAVES),
    "device through a link": (
        lambda t, o: t.symlink("l", str(o)).entry("l/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3), LEAVES,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_has_no_effect_outside_the_layer(name: str, tmp_path: Path) -> None:
    attack, refusal = ATTACKS[name]
    naive, ours = tmp_path / "naive", tmp_path / "ours"
    for box in (naive, ours):
        (box / "outside").mkdir(parents=True)
        (box / "outside" / "canary").write_text("alive")
        (box / "outside" / "canary").chmod(0o600)
        (box / "root").mkdir()

    def tar(box: Path) -> bytes:
        layer = LayerBuilder()
        attack(layer, box / "outside")
        return layer.tar()

    before = fingerprint(naive, naive / "root")
    with suppress(OSError):
        apply_naively(tar(naive), naive / "root")
    assert fingerprint(naive, naive / "root") != before, "positive control: the attack works on careless extraction"

    before = fingerprint(ours, ours / "root")
    if refusal and not refusal.startswith("scoped"):
        with pytest.raises(RefusedEntryError, match=refusal):
            extract(tar(ours), ours / "root")
    else:
        extract(tar(ours), ours / "root")
    assert fingerprint(ours, ours / "root") == before


def test_an_absolute_name_counts_from_the_layers_root(tmp_path: Path) -> None:
    extract(LayerBuilder().file("/ko-app/app", "x").tar(), tmp_path)
    assert (tmp_path / "ko-app/app").read_text() == "x"


def test_a_link_that_stays_inside_is_followed(tmp_path: Path) -> None:
    tar = LayerBuilder().directory("usr").directory("usr/lib").symlink("lib", "usr/lib").file("lib/a/x", "1").tar()
    extract(tar, tmp_path)
    assert (tmp_path / "usr/lib/a/x").read_text() == "1"
    assert (tmp_path / "lib").is_symlink()


@pytest.mark.parametrize(
    ("kind", "device"), [(tarfile.BLKTYPE, (8, 0)), (tarfile.CHRTYPE, (1, 1)), (tarfile.CHRTYPE, (0, 0))]
)
def test_a_device_node_is_refused(kind: bytes, device: tuple[int, int], tmp_path: Path) -> None:
    tar = LayerBuilder().entry("dev/x", type=kind, devmajor=device[0], devminor=device[1]).tar()
    apply_naively(tar, tmp_path / "naive")
    assert (tmp_path / "naive/dev/x").lstat().st_rdev == os.makedev(*device), "positive control"
    with pytest.raises(RefusedEntryError, match=r"device .* is not allowed"):
        extract(tar, tmp_path / "ours")
    assert not (tmp_path / "ours/dev/x").exists()


def test_harmless_devices_and_pipes_are_made(tmp_path: Path) -> None:
    tar = LayerBuilder().entry("dev/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666)
    extract(tar.entry("pipe", type=tarfile.FIFOTYPE, mode=0o600).tar(), tmp_path)
    assert (tmp_path / "dev/null").lstat().st_rdev == os.makedev(1, 3)
    assert stat.S_ISFIFO((tmp_path / "pipe").lstat().st_mode)


def test_overlays_own_attributes_come_from_whiteouts_only(tmp_path: Path) -> None:
    pax = {f"SCHILY.xattr.{name}": "y" for name in ("trusted.overlay.opaque", "trusted.overlay.redirect", "user.mine")}
    tar = LayerBuilder().directory("d", pax_headers=pax).file("f", "x", pax_headers=pax).tar()
    apply_naively(tar, tmp_path / "naive")
    assert "trusted.overlay.redirect" in os.listxattr(tmp_path / "naive/f"), "positive control"
    extract(tar, tmp_path / "ours")
    assert os.listxattr(tmp_path / "ours/d") == os.listxattr(tmp_path / "ours/f") == ["user.mine"]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("user.x", True), ("security.capability", True), ("system.posix_acl_access", True),
        ("user.overlay.opaque", False), ("trusted.overlay.opaque", False), ("trusted.x", False),
        ("security.selinux", False), ("security.ima", False),
    ],
)  # fmt: skip
def test_which_extended_attributes_are_kept(name: str, kept: bool) -> None:
    assert keeps_xattr(name) is kept


def test_whiteouts_become_what_overlayfs_reads(tmp_path: Path) -> None:
    tar = LayerBuilder().directory("etc").file("etc/.wh.gone", b"").directory("opt").file("opt/.wh..wh..opq", b"")
    extract(tar.file(".wh.deep", b"").directory("deep").file("deep/new", "1").tar(), tmp_path)
    gone = (tmp_path / "etc/gone").lstat()
    assert stat.S_ISCHR(gone.st_mode) and gone.st_rdev == 0
    assert os.getxattr(tmp_path / "opt", "trusted.overlay.opaque") == b"y"
    assert os.getxattr(tmp_path / "deep", "trusted.overlay.opaque") == b"y", "what the whiteout hid stays hidden"
    assert (tmp_path / "deep/new").read_text() == "1"


def test_whiteouts_hide_lower_files_in_a_mounted_overlay(tmp_path: Path) -> None:
    lower = LayerBuilder().file("etc/gone", "1").file("etc/kept", "1").file("opt/old", "1").file("deep/old", "1").tar()
    upper = LayerBuilder().file("etc/.wh.gone", b"").file("opt/.wh..wh..opq", b"").file("opt/new", "2")
    extract(lower, tmp_path / "lower")
    extract(upper.file(".wh.deep", b"").tar(), tmp_path / "upper")
    merged = tmp_path / "merged"
    merged.mkdir()
    layers = f"lowerdir={tmp_path / 'upper'}:{tmp_path / 'lower'}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, merged], check=True)
    try:
        assert sorted(str(p.relative_to(merged)) for p in merged.rglob("*")) == ["etc", "etc/kept", "opt", "opt/new"]
    finally:
        subprocess.run(["umount", merged], check=True)


@pytest.mark.parametrize("name", [".wh.", ".wh..", "a/.wh..", "a/.wh..."])
def test_a_whiteout_without_a_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(RefusedEntryError, match="invalid whiteout name"):
        extract(LayerBuilder().file("a/kept", "1").file(name, b"").tar(), tmp_path)
    assert (tmp_path / "a/kept").exists()


def test_the_last_entry_of_a_name_wins(tmp_path: Path) -> None:
    tar = LayerBuilder().file("x", "1").directory("x").file("x/in", "2").symlink("x", "there").file("y", "3")
    extract(tar.directory("z").file("z/in", "1").file("z", "now a file").tar(), tmp_path)
    assert os.readlink(tmp_path / "x") == "there"  # noqa: PTH115
    assert (tmp_path / "z").read_text() == "now a file"


def pax(name: str = "f", **records: str) -> bytes:
    return LayerBuilder().file(name, "x", pax_headers=records).tar()


def forged(offset: int, value: bytes) -> bytes:
    """A header with a field changed and the checksum made right."""
    header = bytearray(LayerBuilder().file("f", "x").tar()[:512])
    header[offset : offset + len(value)] = value
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(1024)


@pytest.mark.parametrize(
    ("tar", "text"),
    [
        (LayerBuilder().file("a/" * 2100 + "x", "1").tar(), "path longer"),
        (LayerBuilder().file("a" * 256, "1").tar(), "name too long"),
        (pax(path="bad\0name"), "NUL"),
        (pax(size="-1"), "size"),
        (pax(size="9" * 30), "size"),
        (pax(uid="99999999999"), "owner out of range"),
        (pax(**{"GNU.sparse.major": "1", "GNU.sparse.realsize": str(1 << 50)}), "sparse"),
        (forged(156, b"S"), "sparse"),
        (forged(156, b"Z"), "unknown entry type"),
        (forged(124, b"\xff" * 12), "out of range"),
        (forged(124, b"\x80" + b"\xff" * 11), "out of range"),
        (forged(124, b"zzzzzzzzzzz\0"), "not a number"),
        (b"\x01" * 512, "invalid tar header"),
        (LayerBuilder().file("f", "x" * 5000).tar()[:2000], "unexpected EOF"),
        (b"garbage", "unexpected EOF"),
        (LayerBuilder().entry("", type=tarfile.SYMTYPE, linkname="/").tar(), "names the root"),
    ],
)
def test_a_malformed_archive_is_refused_with_the_reason(tar: bytes, text: str, tmp_path: Path) -> None:
    with pytest.raises((RefusedEntryError, TarError), match=text):
        extract(tar, tmp_path / "root")


def test_too_many_entries_are_refused(tmp_path: Path) -> None:
    tar = LayerBuilder()
    for number in range(30):
        tar.file(f"f{number}", b"")
    with pytest.raises(RefusedEntryError, match="more than 20 entries"):
        extract(tar.tar(), tmp_path, Limits(entries=20))


def test_odd_names_are_kept_as_they_are(tmp_path: Path) -> None:
    names = ["new\nline", "bytes-\udcff", " ", "ünï", "a" * 255, "...", "..x"]
    layer = LayerBuilder()
    for name in names:
        layer.file(name, "1")
    extract(layer.tar(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_a_legitimate_layer_extracts_as_gnu_tar_does(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    make_tree(tree)
    archive = tmp_path / "layer.tar"
    options = ["--format=posix", "--xattrs", "--xattrs-include=*", "--numeric-owner", "--sort=name"]
    subprocess.run(["tar", *options, "-C", tree, "-cf", archive, "."], check=True)
    expected = tmp_path / "expected"
    expected.mkdir()
    subprocess.run(["tar", "--xattrs", "--xattrs-include=*", "-p", "-C", expected, "-xf", archive], check=True)
    extract(archive.read_bytes(), tmp_path / "ours")
    assert describe(tmp_path / "ours") == describe(expected) == describe(tree)


@pytest.mark.parametrize("form", ["gnu", "posix", "ustar"])
def test_all_tar_formats_are_read(form: str, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    deep = tree / ("d" * 60) / ("e" * 60) if form == "ustar" else tree / ("d" * 120) / ("e" * 120)
    deep.mkdir(parents=True)
    (deep / "file").write_text("found")
    (tree / "link").symlink_to("x" * (90 if form == "ustar" else 200))
    archive = tmp_path / "a.tar"
    subprocess.run(["tar", f"--format={form}", "-C", tree, "-cf", archive, "."], check=True)
    extract(archive.read_bytes(), tmp_path / "ours")
    assert [row[:6] for row in describe(tmp_path / "ours")] == [row[:6] for row in describe(tree)]


def make_tree(tree: Path) -> None:
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/tool").write_bytes(os.urandom(70_000))
    (tree / "usr/bin/tool").chmod(0o4755)
    os.link(tree / "usr/bin/tool", tree / "usr/bin/alias")
    (tree / "bin").symlink_to("usr/bin")
    (tree / "dangling").symlink_to("/nowhere")
    os.chown(tree / "dangling", 7, 8, follow_symlinks=False)
    (tree / "tmp").mkdir(mode=0o1777)
    (tree / "tmp").chmod(0o1777)
    (tree / "secret").mkdir(mode=0o700)
    (tree / "secret/empty").touch(mode=0o600)
    os.chown(tree / "secret", 1000, 100)
    os.chown(tree / "secret/empty", 1000, 100)
    os.setxattr(tree / "secret/empty", "user.note", b"\x00binary\xff")
    capability = b"\x01\x00\x00\x02\x00\x04\x00\x00" + bytes(12)
    os.setxattr(tree / "usr/bin/tool", "security.capability", capability)
    os.mkfifo(tree / "pipe")
    for number, path in enumerate(sorted(tree.rglob("*"), reverse=True)):
        os.utime(path, ns=(0, 1_600_000_000_123_456_789 + number * 10**9), follow_symlinks=False)


def describe(tree: Path) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for path in sorted(tree.rglob("*")):
        info = path.lstat()
        link = os.readlink(path) if path.is_symlink() else ""  # noqa: PTH115
        content = path.read_bytes() if stat.S_ISREG(info.st_mode) else b""
        names = [] if path.is_symlink() else os.listxattr(path)
        xattrs = {name: os.getxattr(path, name) for name in names}
        files = info.st_nlink if not path.is_dir() else 0
        row = (str(path.relative_to(tree)), info.st_mode, info.st_uid, info.st_gid, files, content, link, xattrs)
        found.append((*row, info.st_mtime_ns))
    return found
