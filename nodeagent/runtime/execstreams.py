"""A program started in a running container with its standard streams, or a terminal, in our hands (exec).

The OCI runtime stays as the program's parent: its exit code is the program's.  The program writes into pipes that we
made; with a terminal the OCI runtime sends us the master over a socket.

What must stay true: once `start` has begun, the program ends with the session.  So a caller that goes away while the
OCI runtime is still at it leaves a task that waits for the program to appear and kills it.  Everything in the
program's session is killed with it; what has made a session of its own (a daemon) lives on, as it does upstream.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import termios
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import orjson

from nodeagent.runtime.conmon import failure
from nodeagent.runtime.container import Container, in_cgroup
from nodeagent.runtime.descriptor import Descriptor
from nodeagent.runtime.facts import NodeFacts
from nodeagent.runtime.interface import RuntimeFailure
from nodeagent.runtime.process import wait_exit
from nodeagent.runtime.spec import process
from nodeagent.runtime.streams import ExecRequest, Output, Send, terminal_size
from nodeagent.runtime.syscalls import IN_CLOSE_WRITE, IN_MOVED_TO, inotify_add_watch, inotify_init

_READ_BYTES = 32 << 10
_LOG_LIMIT_BYTES = 64 << 10
_START_SECONDS = 60.0
_END_SECONDS = 5.0
_PIPE_BYTES = 64 << 10
_OUTPUTS: tuple[Output, ...] = ("stdout", "stderr")
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
_ORPHANS: set[asyncio.Task[None]] = set()  # sessions whose client went away while they started


async def start(
    oci: Sequence[str],
    container: Container,
    facts: NodeFacts,
    request: ExecRequest,
    members: Callable[[], set[int]],
) -> ExecStreams:
    """Start the program.  `members` lists the processes of the container's cgroup.

    Raises RuntimeFailure.  That the program itself cannot be executed is known only at the end: see `wait`.
    """
    opening = asyncio.ensure_future(_open(oci, container, facts, request, members))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        task = asyncio.ensure_future(_discard(opening))
        _ORPHANS.add(task)
        task.add_done_callback(_ORPHANS.discard)
        raise


async def _discard(opening: asyncio.Future[ExecStreams]) -> None:
    with suppress(RuntimeFailure, OSError):
        await (await opening).close()


async def _open(
    oci: Sequence[str],
    container: Container,
    facts: NodeFacts,
    request: ExecRequest,
    members: Callable[[], set[int]],
) -> ExecStreams:
    directory = container.record.directory / f"exec-{secrets.token_hex(6)}"
    directory.mkdir(mode=0o700)
    try:
        described = process(container.spec, facts, request.argv)
        if request.terminal:
            _with_terminal(described)
        (directory / "process.json").write_bytes(orjson.dumps(described))
        with ExitStack() as ours:  # what is closed if the start fails
            streams = await _launch(oci, container, request, directory, members, ours)
            ours.pop_all()
            return streams
    except BaseException as error:
        shutil.rmtree(directory, ignore_errors=True)
        if isinstance(error, OSError):
            raise RuntimeFailure(f"starting the command: {error}") from error
        raise


def _with_terminal(described: dict[str, Any]) -> None:
    described["terminal"] = True
    if not any(line.startswith("TERM=") for line in described["env"]):
        described["env"].append("TERM=xterm")


async def _launch(
    oci: Sequence[str],
    container: Container,
    request: ExecRequest,
    directory: Path,
    members: Callable[[], set[int]],
    ours: ExitStack,
) -> ExecStreams:
    pid_file, log_file = directory / "pid", directory / "log"
    words = [oci[0], f"--log={log_file}", *oci[1:], "exec", "--process", str(directory / "process.json")]
    words += ["--pid-file", str(pid_file)]
    with ExitStack() as theirs:  # the child's ends
        ends: dict[str, int] = {}
        listener = handle = None
        if request.terminal:
            # A socket's path has at most 108 bytes: it is named through a descriptor of its directory.
            handle = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            theirs.callback(os.close, handle)
            listener = theirs.enter_context(socket.socket(socket.AF_UNIX))
            listener.setblocking(False)
            listener.bind(f"/proc/self/fd/{handle}/console")
            listener.listen(1)
            words += ["--console-socket", f"/proc/self/fd/{handle}/console"]
        else:
            ends = _pipes(request, ours, theirs)
        watch = Descriptor(inotify_init())
        ours.callback(watch.close)
        inotify_add_watch(watch.fileno(), str(directory), IN_CLOSE_WRITE | IN_MOVED_TO)
        child = subprocess.Popen(  # noqa: ASYNC220 - a vfork; waiting is asynchronous
            [*words, container.spec.id],
            env=_ENVIRONMENT,
            stdin=ends.get("stdin child", subprocess.DEVNULL),
            stdout=ends.get("stdout child", subprocess.DEVNULL),
            stderr=ends.get("stderr child", subprocess.DEVNULL),
            pass_fds=[handle] if handle is not None else [],
        )
        streams = ExecStreams(request, child, directory, container.cgroups_path, members)
        try:
            async with asyncio.timeout(_START_SECONDS):
                if listener is not None:
                    streams.terminal = await _terminal(listener, streams.ended)
                await _appeared(pid_file, watch, streams.ended)
        except BaseException as error:
            await streams.close()
            if isinstance(error, TimeoutError):
                raise RuntimeFailure(f"starting the command timed out after {_START_SECONDS:g} s") from None
            raise
        finally:
            watch.close()
    streams.take(ends)
    return streams


def _pipes(request: ExecRequest, ours: ExitStack, theirs: ExitStack) -> dict[str, int]:
    """ "stdin", "stdin child", ... -> descriptor, for the streams that are wanted."""
    ends: dict[str, int] = {}
    for name in ("stdin", "stdout", "stderr"):
        if not getattr(request, name):
            continue
        read_end, write_end = os.pipe()
        mine, other = (write_end, read_end) if name == "stdin" else (read_end, write_end)
        ours.callback(os.close, mine)
        theirs.callback(os.close, other)
        ends[name], ends[f"{name} child"] = mine, other
    return ends


async def _terminal(listener: socket.socket, ended: asyncio.Future[None]) -> Descriptor | None:
    """The master that the OCI runtime sends; None if it ended without."""
    door = Descriptor(os.dup(listener.fileno()))
    try:
        await door.readable(ended)
        connection, _ = listener.accept()
    except BlockingIOError:
        return None
    finally:
        door.close()
    with connection:
        peer = Descriptor(os.dup(connection.fileno()))
        try:
            await peer.readable(ended)
            _, received, _, _ = socket.recv_fds(connection, 4096, 1, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return None
        finally:
            peer.close()
    return Descriptor(received[0]) if received else None


async def _appeared(file: Path, watch: Descriptor, ended: asyncio.Future[None]) -> None:
    """Returns once the file is written, or the OCI runtime has ended."""
    while not (_number(file) or ended.done()):
        await watch.read(4096, ended)


class ExecStreams:
    """See streams.Streams."""

    def __init__(
        self,
        request: ExecRequest,
        child: subprocess.Popen[bytes],
        directory: Path,
        cgroups_path: str,
        members: Callable[[], set[int]],
    ) -> None:
        self.terminal: Descriptor | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request, self._ends = request, dict[str, Descriptor]()
        self._child, self._directory, self._cgroups_path, self._members = child, directory, cgroups_path, members
        self._reaping = asyncio.ensure_future(self._reap())

    def take(self, ends: Mapping[str, int]) -> None:
        """Own the pipes' ends from here on."""
        self._ends = {name: Descriptor(fd) for name, fd in ends.items() if not name.endswith(" child")}
        if self.terminal is not None:
            wanted = [name for name in ("stdin", "stdout") if getattr(self._request, name)]
            self._ends = dict.fromkeys(wanted, self.terminal)

    async def copy_output(self, send: Send) -> None:
        async with asyncio.TaskGroup() as group:
            for output in _OUTPUTS:
                if output in self._ends:
                    group.create_task(self._copy(self._ends[output], output, send))

    async def _copy(self, end: Descriptor, output: Output, send: Send) -> None:
        # A background process may hold the pipe open: after the program's end, what the pipe can hold is the rest.
        rest = _PIPE_BYTES
        while rest > 0 and (data := await end.read(_READ_BYTES, self.ended)):
            if self.ended.done():
                rest -= len(data)
            await send(output, data)

    async def write(self, data: bytes) -> None:
        end = self._ends.get("stdin")
        if end is not None:
            with suppress(OSError):
                await end.write(data)

    def end_input(self) -> None:
        end = self._ends.get("stdin")
        if end is not None and not self._request.terminal:
            end.close()

    def resize(self, columns: int, rows: int) -> None:
        size = terminal_size(columns, rows)
        if size and self.terminal is not None and not self.terminal.closed:
            with suppress(OSError):
                fcntl.ioctl(self.terminal.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))

    async def wait(self) -> int:
        await asyncio.shield(self.ended)
        code = self._child.returncode
        complaint = _read(self._directory / "log")
        if complaint and code != 0:
            raise failure(complaint)
        return code if code >= 0 else 128 - code

    async def close(self) -> None:
        # Killing the OCI runtime would leave the program behind: the program is killed, the runtime follows.
        if not self.ended.done():
            self._kill_session()
        for end in self._ends.values():
            end.close()
        if self.terminal is not None:
            self.terminal.close()
        if not self.ended.done():
            await asyncio.wait({self._reaping}, timeout=_END_SECONDS)
            if not self.ended.done():
                self._child.kill()
                await self._reaping
        shutil.rmtree(self._directory, ignore_errors=True)

    async def _reap(self) -> None:
        await wait_exit(self._child.pid)
        self._child.wait()
        self.ended.set_result(None)

    def _kill_session(self) -> None:
        pid = _number(self._directory / "pid")
        if not pid or not in_cgroup(pid, self._cgroups_path):
            return
        with suppress(ProcessLookupError):
            session = os.getsid(pid)
            for member in {pid, *self._members()}:
                with suppress(ProcessLookupError):
                    if member == pid or os.getsid(member) == session:
                        os.kill(member, signal.SIGKILL)


def _number(file: Path) -> int:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 0


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return stream.read(_LOG_LIMIT_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
