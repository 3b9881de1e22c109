"""RuntimeClass handlers: which there are, what they can do, and what happens with any other name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nodeagent.runtime import release
from nodeagent.runtime.engine import ConmonRuntime
from nodeagent.runtime.handlers import find_handlers, node_status, path_of
from nodeagent.runtime.interface import ContainerSpec, NoSuchHandler, SandboxSpec
from nodeagent.runtime.sandbox import PodSandboxes

Make = Callable[..., ContainerSpec]


def test_the_first_that_is_installed_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_handlers() == {}
    for name in ("runc", "crun"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
        assert find_handlers()[""] == find_handlers()[name] == str(tmp_path / name)
    assert sorted(find_handlers()) == ["", "crun", "runc"]


@pytest.mark.parametrize(("release", "read_only"), [("6.18.4-x", True), ("5.12", True), ("5.4.0-1-cloud", False)])
def test_the_node_shows_what_its_kernel_can_do(release: str, read_only: bool) -> None:
    status = node_status(["runc", ""], user_namespaces=False, release=release)
    features = {"recursiveReadOnlyMounts": read_only, "userNamespaces": False}
    assert status["runtimeHandlers"] == [{"name": "", "features": features}, {"name": "runc", "features": features}]
    assert status["features"] == {"supplementalGroupsPolicy": True}


async def test_a_handler_that_is_not_here_is_refused_before_anything_is_made(
    runtime: ConmonRuntime, spec: Make, tmp_path: Path
) -> None:
    with pytest.raises(NoSuchHandler, match=r'^no runtime for "gvisor" is configured$'):
        path_of({"": "/usr/bin/crun"}, "gvisor")
    with pytest.raises(NoSuchHandler):
        await runtime.create(spec(runtime_handler="gvisor"))
    assert list(runtime.layout.containers.iterdir()) == []
    sandboxes = PodSandboxes(tmp_path / "run", None)
    await sandboxes.open()
    with pytest.raises(NoSuchHandler):
        await sandboxes.create(SandboxSpec("pod", "x", runtime_handler="gvisor"))
    assert list((tmp_path / "run").iterdir()) == []
    made = spec("exit 3", runtime_handler="crun")  # the control
    await runtime.create(made)
    await runtime.start(made.id)
    assert (await runtime.wait(made.id)).exit_code == 3
    assert (await sandboxes.create(SandboxSpec("pod", "x", runtime_handler="crun"))).runtime_handler == "crun"
    await sandboxes.teardown_all()


async def test_a_container_is_started_without_a_program_or_else_with_one(
    runtime: ConmonRuntime, spec: Make, tmp_path: Path
) -> None:
    made = spec("exec sleep 1000")
    await runtime.create(made)
    state = runtime.layout.oci / made.id
    assert release.waits(state)
    assert not release.release("/usr/bin/runc", state)  # which waits at the other end
    assert release.release(runtime.programs.oci, state) and not release.waits(state)
    assert not release.release(runtime.programs.oci, state)  # once only
    (tmp_path / "exec.fifo").write_text("")
    other = tmp_path / "link"
    other.mkdir()
    (other / "exec.fifo").symlink_to(tmp_path / "exec.fifo")
    assert not release.release(runtime.programs.oci, other)
    assert (tmp_path / "exec.fifo").read_text() == ""
