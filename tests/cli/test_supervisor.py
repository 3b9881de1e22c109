"""The supervisor restarts what dies, later each time, and stops everything in order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.waiting import until
from tiphys.cli.cluster import Layout
from tiphys.cli.supervisor import (
    FIRST_BACKOFF_SECONDS,
    MAX_BACKOFF_SECONDS,
    STABLE_SECONDS,
    describe_exit,
    next_backoff,
    take_lock,
    write_pid,
)

BACKOFFS = [
    (0.2, 0.1, 0.4),
    (0.4, 5.0, 0.8),
    (8.0, 1.0, MAX_BACKOFF_SECONDS),
    (MAX_BACKOFF_SECONDS, 1.0, MAX_BACKOFF_SECONDS),
    (MAX_BACKOFF_SECONDS, STABLE_SECONDS, FIRST_BACKOFF_SECONDS),
]


@pytest.mark.parametrize(("previous", "ran", "want"), BACKOFFS)
def test_the_wait_doubles_up_to_a_limit_and_starts_again_after_a_stable_run(
    previous: float, ran: float, want: float
) -> None:
    assert next_backoff(previous, ran) == pytest.approx(want)


def test_an_exit_is_told_in_words() -> None:
    assert describe_exit(3 << 8) == "exit code 3"
    assert describe_exit(signal.SIGKILL) == "killed by SIGKILL"


class Supervised:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        command = [sys.executable, "-m", "tests.cli.supervised", str(directory)]
        self.process = subprocess.Popen(command, cwd=Path(__file__).parents[2])

    def states(self) -> dict[str, dict[str, Any]]:
        try:
            found: dict[str, dict[str, Any]] = json.loads((self.directory / "components.json").read_text())
        except FileNotFoundError:
            return {}
        return found

    def log(self, name: str) -> str:
        path = self.directory / f"{name}.log"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    running = Supervised(tmp_path)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def test_a_program_that_dies_is_started_again(supervised: Supervised) -> None:
    until(lambda: supervised.states().get("dies", {}).get("restarts", 0) >= 2, "two restarts")
    assert supervised.states()["dies"]["lastExit"] == "exit code 3"
    assert supervised.log("dies").count("started exit 3") >= 2


def test_a_failure_stands_in_the_programs_log(supervised: Supervised) -> None:
    until(lambda: "RuntimeError: this program is broken" in supervised.log("fails"), "the traceback")
    until(lambda: supervised.states().get("fails", {}).get("lastExit") == "exit code 1", "the exit")


def test_a_killed_program_comes_back_with_another_pid(supervised: Supervised) -> None:
    first = until(lambda: supervised.states().get("waits", {}).get("pid"), "the pid")
    until(lambda: "started wait" in supervised.log("waits"), "the start")
    os.kill(first, signal.SIGKILL)
    until(lambda: supervised.states()["waits"]["pid"] not in (0, first), "another pid")
    assert supervised.states()["waits"]["restarts"] == 1
    assert supervised.states()["waits"]["lastExit"] == "killed by SIGKILL"


def test_sigterm_stops_everything_in_order(supervised: Supervised) -> None:
    until(lambda: "started" in supervised.log("waits") and "started" in supervised.log("last"), "the start")
    supervised.process.send_signal(signal.SIGTERM)
    assert supervised.process.wait(timeout=20) == 0
    assert supervised.log("waits").endswith("stopped wait\n")
    assert supervised.log("last").endswith("stopped wait last\n")
    assert not (supervised.directory / "components.json").exists()


def test_programs_end_when_their_supervisor_is_killed(supervised: Supervised) -> None:
    until(lambda: "started wait" in supervised.log("waits"), "the start")
    supervised.process.kill()
    until(lambda: "stopped wait" in supervised.log("waits"), "the end of the program")


def test_only_one_supervisor_holds_the_lock(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert layout.supervisor_pid() is None
    descriptor = take_lock(layout.lock)
    write_pid(descriptor)
    try:
        with pytest.raises(BlockingIOError):
            take_lock(layout.lock)
        assert layout.supervisor_pid() == os.getpid()
    finally:
        os.close(descriptor)
    assert layout.supervisor_pid() is None


DAEMON = """
import os, sys, time
from pathlib import Path
from tiphys.cli.supervisor import daemonize
if daemonize(Path(sys.argv[1]), Path(sys.argv[2])) is None:
    print("here", os.getpid(), os.getsid(0), os.getcwd(), flush=True)
    sys.stdin.read()
    time.sleep(60)
"""


def test_a_daemon_leaves_its_session_and_terminal_and_keeps_the_lock(tmp_path: Path) -> None:
    layout, output = Layout(tmp_path), tmp_path / "output"
    subprocess.run([sys.executable, "-c", DAEMON, str(layout.lock), str(output)], check=True, timeout=20)
    try:
        words = until(lambda: output.read_text().split() if output.exists() else [], "the daemon's first line")
        assert layout.supervisor_pid() == int(words[1])
        assert words[1] == words[2]  # the leader of its own session
        assert words[3] == "/"
    finally:
        os.kill(layout.supervisor_pid() or 0, signal.SIGKILL)
    until(lambda: layout.supervisor_pid() is None, "the lock's release")
