"""The parent of a cluster's processes: forks them, restarts the ones that die, stops them in order.

The supervisor imports what every component needs before it forks, so the components share those pages and start in
milliseconds; for the same reason it must never start a thread or an event loop.  A child gets SIGTERM when the
supervisor dies, so two supervisors never run one cluster: the lock file decides.  Containers are no children of
anything here and outlive all of it.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tiphys.clock import Clock

FIRST_BACKOFF_SECONDS = 0.2
MAX_BACKOFF_SECONDS = 10.0
STABLE_SECONDS = 60.0  # a process that ran this long starts again at the first back-off
STOP_SECONDS = 15.0
LOG_KEEP_BYTES = 16 * 1024 * 1024
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_CLONE_NEWNET = 0x40000000
_SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}

SHARED_MODULES = (
    "aiohttp",
    "aiohttp.web",
    "orjson",
    "pydantic",
    "prometheus_client",
    "tiphys.api.core.pod",
    "tiphys.api.kinds",
    "tiphys.client.events",
    "tiphys.client.informer",
    "tiphys.client.kubeconfig",
    "tiphys.client.leaderelection",
    "tiphys.client.serving",
    "tiphys.logs",
)


@dataclass(frozen=True, slots=True)
class Program:
    """A component: `module` has main(arguments) -> exit code.  Stopped by `stage`, lowest first."""

    name: str
    module: str
    arguments: tuple[str, ...]
    stage: int
    namespace: str = ""  # a file that pins the network namespace to run in; "" for the machine's own


@dataclass(slots=True)
class Child:
    program: Program
    pid: int = 0
    started: float = 0.0  # clock.monotonic of the last start
    restarts: int = 0
    backoff_seconds: float = FIRST_BACKOFF_SECONDS
    due: float = 0.0  # start at this moment when pid is 0
    last_exit: str = ""


def next_backoff(previous_seconds: float, ran_seconds: float) -> float:
    """How long to wait before the next start of a process that ran for `ran_seconds`."""
    if ran_seconds >= STABLE_SECONDS:
        return FIRST_BACKOFF_SECONDS
    return min(previous_seconds * 2, MAX_BACKOFF_SECONDS)


def preload() -> None:
    """Import once what the components share, and keep the collector from touching those pages again."""
    for module in SHARED_MODULES:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()


class Supervisor:
    def __init__(self, programs: Sequence[Program], logs: Path, state_file: Path, clock: Clock) -> None:
        self._children = [Child(program) for program in programs]
        self._logs = logs
        self._state_file = state_file
        self._clock = clock
        self._stopping = False

    def run(self) -> int:
        """Keep the programs running until SIGTERM or SIGINT; then stop them and return 0."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        for child in self._children:
            self._start(child)
        self._save()
        while not self._stopping:
            received = signal.sigtimedwait(_SIGNALS, self._seconds_to_next_start())
            if received is not None and received.si_signo in (signal.SIGTERM, signal.SIGINT):
                self._stopping = True
                break
            self._reap()
            self._start_due()
        self._stop_all()
        self._state_file.unlink(missing_ok=True)
        return 0

    def _seconds_to_next_start(self) -> float:
        waiting = [child.due for child in self._children if child.pid == 0]
        return max(0.0, min(waiting) - self._clock.monotonic()) if waiting else 3600.0

    def _start_due(self) -> None:
        now = self._clock.monotonic()
        due = [child for child in self._children if child.pid == 0 and child.due <= now]
        for child in due:
            child.restarts += 1
            self._start(child)
        if due:
            self._save()

    def _start(self, child: Child) -> None:
        child.started = self._clock.monotonic()
        child.pid = fork_program(child.program, self._logs / f"{child.program.name}.log")

    def _reap(self) -> None:
        """Collect every child that has ended; orphans that were handed to us are collected too."""
        by_pid = {child.pid: child for child in self._children if child.pid}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if child := by_pid.pop(pid, None):
                now = self._clock.monotonic()
                child.pid = 0
                child.last_exit = describe_exit(status)
                child.due = now + child.backoff_seconds
                child.backoff_seconds = next_backoff(child.backoff_seconds, now - child.started)
                self._save()

    def _stop_all(self) -> None:
        for stage in sorted({child.program.stage for child in self._children}):
            group = [child for child in self._children if child.program.stage == stage and child.pid]
            for child in group:
                os.kill(child.pid, signal.SIGTERM)
            deadline = self._clock.monotonic() + STOP_SECONDS
            while any(child.pid for child in group):
                remaining = deadline - self._clock.monotonic()
                if remaining <= 0:
                    for child in group:
                        if child.pid:
                            os.kill(child.pid, signal.SIGKILL)
                    deadline += STOP_SECONDS
                    continue
                signal.sigtimedwait({signal.SIGCHLD}, remaining)
                self._reap()

    def _save(self) -> None:
        state = {
            child.program.name: {"pid": child.pid, "restarts": child.restarts, "lastExit": child.last_exit}
            for child in self._children
        }
        temporary = self._state_file.with_suffix(".tmp")
        temporary.write_text(json.dumps(state))
        temporary.rename(self._state_file)


def describe_exit(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exit code {os.WEXITSTATUS(status)}"


def fork_program(program: Program, log_file: Path) -> int:
    """Start `program` in a child process with its output in `log_file`; returns the pid."""
    if log_file.exists() and log_file.stat().st_size > LOG_KEEP_BYTES:
        log_file.rename(log_file.with_suffix(".log.1"))
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        _become(program, log_file, parent)
        main: Callable[[Sequence[str]], int] = importlib.import_module(program.module).main
        code = main(program.arguments)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:  # whatever it was, it belongs in the component's log and never in the supervisor's stack
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _become(program: Program, log_file: Path, parent: int) -> None:
    """Turn the fresh child into a process of its own: signals, name, output, and an end when the parent ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    if program.namespace:
        with Path(program.namespace).open("rb") as file:
            _enter_network(libc, file.fileno())
    libc.prctl(_PR_SET_NAME, f"tiphys-{program.name}".encode()[:15], 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    os.setpgid(0, 0)
    descriptor = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def _enter_network(libc: ctypes.CDLL, descriptor: int) -> None:
    """Enter a network namespace.  Raises OSError."""
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns failed")


def daemonize(lock_file: Path, output: Path) -> int | None:
    """Fork a session of its own that holds `lock_file`.  Returns None in the daemon, its pid in the caller.

    Raises BlockingIOError in the caller when another supervisor holds the lock.
    """
    descriptor = take_lock(lock_file)
    pid = os.fork()
    if pid:
        os.close(descriptor)  # the lock belongs to the open file, which the child keeps
        return pid
    os.setsid()
    write_pid(descriptor)
    null = os.open(os.devnull, os.O_RDONLY)
    log = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for target, source in ((0, null), (1, log), (2, log)):
        os.dup2(source, target)
    os.chdir("/")
    return None


def take_lock(lock_file: Path) -> int:
    """Lock for this process and its children until the last of them closes it; raises BlockingIOError."""
    descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    return descriptor


def write_pid(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
