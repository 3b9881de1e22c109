"""A program for the supervisor's tests (`main`), and a supervisor of it (`python -m tests.cli.supervised DIR`)."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tiphys.cli.supervisor import Program, Supervisor
from tiphys.clock import SystemClock


def main(arguments: Sequence[str]) -> int:
    """`exit N`: end at once with N; `raise`: fail; `wait`: end well on SIGTERM; `stubborn`: do not end on SIGTERM."""
    print("started", *arguments, os.getpid(), flush=True)
    if arguments[0] == "exit":
        return int(arguments[1])
    if arguments[0] == "raise":
        raise RuntimeError("this program is broken")
    signal.sigwait({signal.SIGUSR1} if arguments[0] == "stubborn" else _blocked_term())
    print("stopped", *arguments, flush=True)
    return 0


def _blocked_term() -> set[signal.Signals]:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    return {signal.SIGTERM}


def supervise(directory: Path) -> int:
    module = "tests.cli.supervised"
    programs = [
        Program("dies", module, ("exit", "3"), 1),
        Program("fails", module, ("raise",), 1),
        Program("waits", module, ("wait",), 1),
        Program("last", module, ("wait", "last"), 2),
    ]
    return Supervisor(programs, directory, directory / "components.json", SystemClock()).run()


if __name__ == "__main__":
    sys.exit(supervise(Path(sys.argv[1])))
