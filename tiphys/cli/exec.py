"""`tiphys exec`: run a program in a container, with this terminal as its terminal where asked.

An event loop is worth its start here: three streams and a window size at once.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

from tiphys.cli import flags
from tiphys.cli.errors import CommandError
from tiphys.cli.server import Server, connect

_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_PIECE_BYTES = 32 * 1024
_USAGE = "expected 'exec POD [-c CONTAINER] [-it] -- COMMAND [args...]'"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", metavar="POD -- COMMAND [args...]")
    parser.set_defaults(command_words=[])
    flags.add_connection(parser)
    flags.add_namespace(parser)
    parser.add_argument("-c", "--container", default="", metavar="NAME")
    parser.add_argument("-i", "--stdin", action="store_true", help="pass standard input on")
    parser.add_argument("-t", "--tty", action="store_true", help="standard input is a terminal")


def run(arguments: argparse.Namespace) -> int:
    command: list[str] = arguments.command_words
    if len(arguments.words) != 1 or not command:
        raise CommandError(_USAGE)
    server = connect(arguments)
    namespace, name = flags.namespace_of(arguments, server), arguments.words[0].removeprefix("pod/")
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(name, safe='')}"
    pod = server.get(path)  # says what is wrong in words, which a refused upgrade cannot
    if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        phase = pod["status"]["phase"]
        raise CommandError(f"cannot exec into a container in a completed pod; current phase is {phase}")
    terminal = arguments.tty and arguments.stdin and sys.stdin.isatty()
    query = [("container", arguments.container or _default_container(pod)), ("stdout", "true")]
    query += [("stdin", "true")] * arguments.stdin + [("tty", "true") if terminal else ("stderr", "true")]
    query += [("command", word) for word in command]
    target = f"{server.config.server}{path}/exec?{urlencode(query)}"
    with _raw_terminal() if terminal else contextlib.nullcontext():
        status = asyncio.run(_session(server, target, stdin=arguments.stdin, terminal=terminal))
    return _exit_code(status)


def _default_container(pod: dict[str, Any]) -> str:
    annotations = pod["metadata"].get("annotations", {})
    return str(annotations.get("kubectl.kubernetes.io/default-container") or pod["spec"]["containers"][0]["name"])


async def _session(server: Server, url: str, *, stdin: bool, terminal: bool) -> dict[str, Any]:
    """The whole conversation; returns the Status of the end.  Raises CommandError."""
    import aiohttp
    import orjson
    from yarl import URL

    tls = server.config.ssl_context()
    async with aiohttp.ClientSession(headers=server.identity()) as session:
        try:
            socket = await session.ws_connect(
                URL(url, encoded=True), protocols=_PROTOCOLS, ssl=tls or True, max_msg_size=0
            )
        except aiohttp.ClientError as error:
            raise CommandError(f"the connection was not upgraded: {error}") from error
        status: dict[str, Any] = {}
        tasks: list[asyncio.Task[None]] = []
        if stdin:
            _pass_input(socket)
        if terminal:
            asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, lambda: tasks.append(_tell_size(socket)))
            tasks.append(_tell_size(socket))
        async with socket:
            async for message in socket:
                channel, data = message.data[0], message.data[1:]
                if channel in (_STDOUT, _STDERR):
                    _write(channel, data)
                elif channel == _ERROR:
                    status = orjson.loads(data)
        for task in tasks:
            task.cancel()
        return status


def _tell_size(socket: Any) -> asyncio.Task[None]:
    size = os.get_terminal_size(sys.stdin.fileno())
    text = b'{"Width":%d,"Height":%d}' % (size.columns, size.lines)
    return asyncio.ensure_future(socket.send_bytes(bytes([_RESIZE]) + text))


def _pass_input(socket: Any) -> None:
    """In a thread that nobody waits for: it may stand in `read` when the program has ended."""
    loop, file = asyncio.get_running_loop(), sys.stdin.fileno()

    def send(data: bytes) -> None:
        asyncio.run_coroutine_threadsafe(socket.send_bytes(data), loop).result()

    def copy() -> None:
        with contextlib.suppress(OSError, RuntimeError):
            while data := os.read(file, _PIECE_BYTES):
                send(bytes([_STDIN]) + data)
            if socket.protocol == _PROTOCOLS[0]:
                send(bytes([_CLOSE, _STDIN]))

    threading.Thread(target=copy, name="stdin", daemon=True).start()


def _write(channel: int, data: bytes) -> None:
    out = sys.stdout.buffer if channel == _STDOUT else sys.stderr.buffer
    out.write(data)
    out.flush()


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """Every key goes to the program; the terminal is as it was afterwards."""
    import termios
    import tty

    file = sys.stdin.fileno()
    before = termios.tcgetattr(file)
    tty.setraw(file)
    try:
        yield
    finally:
        termios.tcsetattr(file, termios.TCSADRAIN, before)


def _exit_code(status: dict[str, Any]) -> int:
    """Of the program.  Raises CommandError when there is none."""
    if status.get("status") == "Success":
        return 0
    for cause in status.get("details", {}).get("causes", []):
        if cause.get("reason") == "ExitCode":
            print(f"command terminated with exit code {cause['message']}", file=sys.stderr)
            return int(cause["message"])
    raise CommandError(status.get("message", "the connection ended without a status"))
