"""A compiled filter is used again for the same profile and for no other, and refuses the same calls."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nodeagent.runtime.engine import ConmonRuntime
from nodeagent.runtime.interface import ContainerSpec, Security
from nodeagent.runtime.seccompfilters import SeccompFilters
from tests.nodeagent.runtime.conftest import log_lines
from tests.nodeagent.runtime.test_engine import finished, proc_status

ANNOTATION = "run.oci.seccomp_bpf_data"
REFUSED = "unshare -U true 2>&1; echo $?"


def config_of(runtime: ConmonRuntime, spec: ContainerSpec) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((runtime.layout.containers / spec.id / "config.json").read_text())
    return config


async def test_the_second_container_of_a_profile_gets_the_first_ones_filter(
    runtime: ConmonRuntime, spec: Callable[..., ContainerSpec]
) -> None:
    first, second = spec(REFUSED), spec(REFUSED)
    for made in (first, second):
        await finished(runtime, made)
    assert "annotations" not in config_of(runtime, first)
    assert list(config_of(runtime, second)["annotations"]) == [ANNOTATION]
    compiled = [(runtime.layout.oci / made.id / "seccomp.bpf").read_bytes() for made in (first, second)]
    assert compiled[0] == compiled[1] != b""
    assert log_lines(first) == log_lines(second) and log_lines(first)[-1] == "1"

    running = spec()
    await runtime.create(running)
    seen = proc_status((await runtime.start(running.id)).pid)
    assert (seen["Seccomp"], seen["Seccomp_filters"]) == ("2", "1")
    inside = await runtime.exec_sync(running.id, ["/bin/unshare", "-U", "true"])
    assert inside.exit_code == 1


async def test_another_profile_or_none_gets_a_filter_of_its_own_or_none(
    runtime: ConmonRuntime, spec: Callable[..., ContainerSpec]
) -> None:
    await finished(runtime, spec("true"))
    open_one = spec(REFUSED, security=Security(seccomp="Unconfined"))
    admin = spec(REFUSED, security=Security(capabilities_add=("SYS_ADMIN",)))
    for made in (open_one, admin):
        await finished(runtime, made)
        assert "annotations" not in config_of(runtime, made)
        assert log_lines(made) == ["0"]  # the positive control: only the filter refuses the call


def test_what_is_no_filter_is_not_kept(tmp_path: Path) -> None:
    filters = SeccompFilters(tmp_path)
    key = filters.apply({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO"}}})
    assert filters.apply({"linux": {}}) == b""
    for body in (None, b"", b"1234567"):
        if body is not None:
            (tmp_path / "c").mkdir(exist_ok=True)
            (tmp_path / "c/seccomp.bpf").write_bytes(body)
        filters.learn(key, "c")
        again: dict[str, Any] = {"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO"}}}
        filters.apply(again)
        assert "annotations" not in again
