"""A real runtime in a temporary directory, with a busybox layer, a cgroup subtree and a pod network of its own.

Every fixture ends by asserting that nothing is left: no mount, cgroup, link, conmon or container process.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from nodeagent.runtime import leftovers, syscalls
from nodeagent.runtime.cgroups import Cgroups
from nodeagent.runtime.engine import ConmonRuntime, new_container_id
from nodeagent.runtime.interface import ContainerSpec

BUSYBOX = Path("/bin/busybox")
APPLETS = ("sh", "cat", "sleep", "id", "ls", "echo", "grep", "touch", "mkdir", "mount", "ping", "wget", "httpd")
APPLETS += ("hostname", "tail", "dd", "mknod", "unshare")
_numbers = itertools.count()


@pytest.fixture(scope="session", autouse=True)
def prerequisites() -> None:
    assert os.geteuid() == 0, "these tests need root"
    for program, package in (("conmon", "conmon"), ("crun", "crun"), ("nft", "nftables")):
        assert shutil.which(program), f"apt-get install {package}"
    assert BUSYBOX.exists(), "apt-get install busybox-static"


def busybox_layer(directory: Path) -> Path:
    """A layer with /bin/busybox and a link for each applet that the tests use."""
    (directory / "bin").mkdir(parents=True)
    shutil.copy(BUSYBOX, directory / "bin/busybox")
    for applet in APPLETS:
        (directory / "bin" / applet).symlink_to("busybox")
    return directory


@pytest.fixture(scope="session")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return busybox_layer(tmp_path_factory.mktemp("layer") / "base")


@pytest.fixture
def cgroups() -> Iterator[Cgroups]:
    cgroups = Cgroups(f"tiphys-test/{os.getpid()}-{next(_numbers)}")
    yield cgroups
    left = cgroups.pids(cgroups.root)
    cgroups.kill(cgroups.root)
    asyncio.run(leftovers.remove_cgroup(cgroups, cgroups.root))
    cgroups.remove("/tiphys-test")
    assert not left, f"processes left in {cgroups.root}"


@pytest.fixture
async def runtime(tmp_path: Path, cgroups: Cgroups) -> AsyncIterator[ConmonRuntime]:
    runtime = ConmonRuntime(tmp_path / "runtime", cgroups)
    await runtime.open()
    yield runtime
    await runtime.teardown_all()
    runtime.close()
    assert_nothing_left(tmp_path)


def assert_nothing_left(root: Path) -> None:
    mounts = leftovers.mounts_below(root / "runtime")
    leftovers.unmount_below(root / "runtime")
    assert mounts == []
    assert [words for words in _command_lines() if os.fsencode(root) in words] == []
    for name in ("containers", "oci", "exits", "trash"):
        directory = root / "runtime" / name
        assert not directory.exists() or list(directory.iterdir()) == [], name


def _command_lines() -> Iterator[bytes]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):  # it has ended meanwhile
                yield (entry / "cmdline").read_bytes()


@pytest.fixture
def spec(layer: Path, tmp_path: Path) -> Callable[..., ContainerSpec]:
    """spec("shell commands", field=value...) makes a ContainerSpec with a new id and a log file of its own."""

    def make(script: str = "exec sleep 1000", **fields: object) -> ContainerSpec:
        container_id = new_container_id()
        base = ContainerSpec(
            id=container_id,
            pod_uid="pod",
            name="main",
            argv=("/bin/sh", "-c", script),
            layers=(layer,),
            log_path=tmp_path / f"{container_id}.log",
        )
        return replace(base, **fields)  # type: ignore[arg-type]

    return make


def log_lines(spec: ContainerSpec) -> list[str]:
    """Contents of the CRI log: "TIME STREAM TAG TEXT" per line."""
    return [line.split(" ", 3)[3] for line in spec.log_path.read_text().splitlines()]


@pytest.fixture
def own_network() -> Iterator[None]:
    """The test runs in a network namespace of its own."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    syscalls.unshare(syscalls.CLONE_NEWNET)
    yield
    syscalls.setns(home, syscalls.CLONE_NEWNET)
    os.close(home)
