"""Running short-lived programs from the event loop: start by vfork, wait by pidfd, no thread, no shell.

What must stay true: a child gets exactly the descriptors named, standard input is /dev/null, and its output is
read to a limit while it runs, so that it can never block on us.  No asyncio.wait_for here: before Python 3.12 it loses
a cancellation that comes just as the child ends, and the cancelled task (a probe) would go on for good.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

_MINIMAL_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


@dataclass(frozen=True, slots=True)
class Finished:
    exit_code: int  # 128 + signal if killed
    stdout: bytes
    stderr: bytes
    timed_out: bool = False


class _Reader:
    """Collects a pipe's bytes to a limit and drops the rest; `done` is set at end of file."""

    def __init__(self, fd: int, limit_bytes: int) -> None:
        self.data = bytearray()
        self.done = asyncio.Event()
        self._fd, self._limit = fd, limit_bytes
        os.set_blocking(fd, False)
        asyncio.get_running_loop().add_reader(fd, self._ready)

    def _ready(self) -> None:
        try:
            chunk = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        if not chunk:
            self.close()
            return
        self.data += chunk[: self._limit - len(self.data)]

    def close(self) -> None:
        if not self.done.is_set():
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self.done.set()


async def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    timeout_seconds: float = 0,
    output_limit_bytes: int = 1 << 20,
    on_timeout: Callable[[], None] | None = None,
) -> Finished:
    """Run to the end.  At the timeout `on_timeout` is called, a second later (or at once) the child is killed.

    Raises FileNotFoundError if there is no such program.
    """
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    try:
        child = subprocess.Popen(  # noqa: ASYNC220 - a vfork; waiting is asynchronous
            argv, env=dict(env or _MINIMAL_ENVIRONMENT), stdin=subprocess.DEVNULL, stdout=out_write, stderr=err_write
        )
    except BaseException:
        os.close(out_read)
        os.close(err_read)
        raise
    finally:
        os.close(out_write)
        os.close(err_write)
    out, err = _Reader(out_read, output_limit_bytes), _Reader(err_read, output_limit_bytes)
    timed_out = False
    try:
        try:
            async with asyncio.timeout(timeout_seconds or None):
                await wait_exit(child.pid)
        except TimeoutError:
            timed_out = True
            await _end(child, on_timeout)
        for reader in (out, err):  # a grandchild may hold the pipe open: what is there by now counts
            try:
                async with asyncio.timeout(0.2):
                    await reader.done.wait()
            except TimeoutError:
                pass
    except BaseException:
        child.kill()
        raise
    finally:
        out.close()
        err.close()
        code = child.wait()
    return Finished(code if code >= 0 else 128 - code, bytes(out.data), bytes(err.data), timed_out)


async def _end(child: subprocess.Popen[bytes], on_timeout: Callable[[], None] | None) -> None:
    if on_timeout:
        on_timeout()
        try:
            async with asyncio.timeout(1.0):
                await wait_exit(child.pid)
            return
        except TimeoutError:
            pass
    child.kill()
    await wait_exit(child.pid)


async def wait_exit(pid: int) -> None:
    """Returns when the process has ended (it stays a zombie if it is our child).  Absent counts as ended."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        await wait_pidfd(fd)
    finally:
        os.close(fd)


async def wait_pidfd(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(fd, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(fd)
