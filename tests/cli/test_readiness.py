"""What `up` waits for, and what it says when that does not come."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiphys import pki
from tiphys.cli.cluster import Layout, Options
from tiphys.cli.errors import CommandError
from tiphys.cli.readiness import node_ready, wait_ready
from tiphys.cli.supervisor import take_lock, write_pid
from tiphys.clock import SystemClock

OPTIONS = Options("", "sqlite", "127.0.0.1", 1, False, 0, "n1")  # nobody listens on port 1


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    """Certificates and a held lock, as while a cluster starts."""
    layout = Layout(tmp_path)
    layout.make()
    pki.ensure(layout.pki, pki.cluster_identities(["127.0.0.1"]), SystemClock())
    write_pid(take_lock(layout.lock))
    yield layout


def test_a_component_that_keeps_ending_is_named_with_the_end_of_its_log(layout: Layout) -> None:
    (layout.logs / "scheduler.log").write_text("one\nthe cause\n")
    dying = '{"scheduler": {"pid": 0, "restarts": 3, "lastExit": "exit code 1"}}'
    threading.Timer(0.1, layout.components.write_text, [dying]).start()  # what happened before the start does not count
    with pytest.raises(CommandError, match=r"scheduler keeps ending \(exit code 1\)(.|\n)*the cause"):
        wait_ready(OPTIONS, layout, 5.0)


def test_when_time_runs_out_the_last_cause_is_told(layout: Layout) -> None:
    with pytest.raises(CommandError, match=r"not ready after 0 s: the API server is not ready: .*refused"):
        wait_ready(OPTIONS, layout, 0.05)


NODES: list[tuple[list[dict[str, str]], tuple[bool, str]]] = [
    ([], (False, "the node has not reported yet")),
    ([{"type": "Ready", "status": "False", "message": "no network"}], (False, "no network")),
    ([{"type": "DiskPressure", "status": "False"}, {"type": "Ready", "status": "True"}], (True, "")),
]


@pytest.mark.parametrize(("conditions", "want"), NODES)
def test_a_node_is_ready_when_its_condition_says_so(conditions: list[dict[str, str]], want: tuple[bool, str]) -> None:
    assert node_ready({"status": {"conditions": conditions}}) == want
