"""A crowd of watchers in one process, so light that the server is what is measured.

After its handshake a watcher is a socket whose bytes are kept as they arrive, with nothing deciphered before the end;
so "something came" costs one system call.  What must stay true: every watcher's events are counted, none estimated.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.benchmarks.load import Endpoint

_QUIET_SECONDS = 0.5
_DEADLINE_SECONDS = 60.0


@dataclass(eq=False)
class _Watcher:
    socket: socket.socket
    tls: ssl.SSLObject
    incoming: ssl.MemoryBIO
    raw: list[bytes] = field(default_factory=list)

    def events(self) -> int:
        """How many came since the last count."""
        self.incoming.write(b"".join(self.raw))
        self.raw.clear()
        count = 0
        while True:
            try:
                count += self.tls.read(1 << 20).count(b'{"type":"')
            except ssl.SSLWantReadError:
                return count


class Crowd:
    """A watcher of each of `paths`, all of which have the answer's headers when this returns.  Close it."""

    def __init__(self, endpoint: Endpoint, paths: Sequence[str]) -> None:
        self._poll = select.epoll()
        self._by_number: dict[int, _Watcher] = {}
        for path in paths:
            watcher = _connected(endpoint, path)
            self._by_number[watcher.socket.fileno()] = watcher
            self._poll.register(watcher.socket, select.EPOLLIN)

    def __len__(self) -> int:
        return len(self._by_number)

    def until_all_have_something(self) -> float:
        """The time (perf_counter) at which the last watcher got bytes."""
        waiting = set(self._by_number)
        limit = time.perf_counter() + _DEADLINE_SECONDS
        while waiting:
            assert time.perf_counter() < limit, f"{len(waiting)} watchers got nothing"
            waiting -= self._receive(1.0)
        return time.perf_counter()

    def until_quiet(self, busy: Callable[[], bool]) -> None:
        """Receive while `busy()`, and then until nothing comes any more."""
        while self._receive(_QUIET_SECONDS) or busy():
            pass

    def _receive(self, seconds: float) -> set[int]:
        ready = {number for number, _ in self._poll.poll(seconds, len(self._by_number))}
        for number in ready:
            watcher = self._by_number[number]
            data = watcher.socket.recv(1 << 20)
            assert data, "a watch ended"
            watcher.raw.append(data)
        return ready

    def events(self) -> list[int]:
        """Per watcher, how many events came since this was asked last."""
        return [watcher.events() for watcher in self._by_number.values()]

    def close(self) -> None:
        self._poll.close()
        for watcher in self._by_number.values():
            watcher.socket.close()


def _connected(endpoint: Endpoint, path: str) -> _Watcher:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = endpoint.context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    line = socket.create_connection(("127.0.0.1", endpoint.port))
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n".encode()
    steps: list[Callable[[], object]] = [tls.do_handshake, lambda: tls.write(request)]
    while steps:
        try:
            steps[0]()
            steps.pop(0)
        except ssl.SSLWantReadError:
            line.sendall(outgoing.read())
            incoming.write(line.recv(1 << 16))
    line.sendall(outgoing.read())
    answer = b""
    while b"\r\n\r\n" not in answer:
        try:
            answer += tls.read(1 << 16)
        except ssl.SSLWantReadError:
            incoming.write(line.recv(1 << 16))
    if not answer.startswith(b"HTTP/1.1 200"):
        raise ValueError(f"GET {path}: {answer[:300]!r}")
    return _Watcher(line, tls, incoming)
