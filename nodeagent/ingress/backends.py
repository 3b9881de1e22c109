"""Connections to endpoints: which endpoint is next, connections kept for the next request, and connect failures.

What must stay true: an endpoint that cannot be reached costs a request nothing but time while another one can; a
connection to an endpoint that is no longer in the table is never used again; a kept connection is younger than any
server's patience.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from nodeagent.ingress.routing import Address, Backend

CONNECT_SECONDS = 2.0
MOST_ENDPOINTS = 4  # that one request tries
KEPT_SECONDS = 4.0  # common servers close after five
KEPT_CONNECTIONS = 64  # per endpoint
AVOID_SECONDS = 3.0
BUFFER_BYTES = 65536


class Unreachable(Exception):
    """No endpoint could be connected to; `timed_out`: none of them answered at all."""

    def __init__(self, timed_out: bool) -> None:
        super().__init__("no endpoint could be reached")
        self.timed_out = timed_out


@dataclass(slots=True)
class BackendConnection:
    """`fresh` until its first answer; `since` it was given back (monotonic seconds)."""

    address: Address
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    fresh: bool = True
    since: float = 0.0

    def is_spoilt(self) -> bool:
        """Closed by the endpoint, or it has said more than was asked: the next answer would not be an answer."""
        unread = self.reader._buffer  # type: ignore[attr-defined]  # there is no public way to look
        return bool(unread) or self.reader.at_eof() or self.writer.is_closing()

    def close(self) -> None:
        self.writer.transport.abort()


class Backends:
    """`failed(address)` is told of connect failures."""

    def __init__(self, failed: Callable[[Address], None] = lambda address: None) -> None:
        self._failed = failed
        self._kept: dict[Address, list[BackendConnection]] = {}
        self._known: frozenset[Address] | None = None
        self._turns: dict[tuple[str, str, str], int] = {}
        self._avoid: dict[Address, float] = {}
        self._pruning: asyncio.TimerHandle | None = None

    def order(self, backend: Backend, client: str) -> list[Address]:
        """The endpoints in the order they are tried: in turn, or by the client's address; those that failed last."""
        endpoints = backend.endpoints
        if len(endpoints) < 2:
            return list(endpoints)
        key = (backend.namespace, backend.service, backend.port)
        turn = zlib.crc32(client.encode()) if backend.sticky else self._turns.get(key, 0)
        if not backend.sticky:
            self._turns[key] = (turn + 1) % 1_000_000_007
        start = turn % len(endpoints)
        order = [*endpoints[start:], *endpoints[:start]][:MOST_ENDPOINTS] if not self._avoid else None
        if order is None:
            now = asyncio.get_running_loop().time()
            self._avoid = {address: until for address, until in self._avoid.items() if until > now}
            order = sorted([*endpoints[start:], *endpoints[:start]], key=self._avoid.__contains__)[:MOST_ENDPOINTS]
        return order

    async def connect(
        self, order: Sequence[Address], *, kept: bool = True, youngest_seconds: float = KEPT_SECONDS
    ) -> BackendConnection:
        """To the first of `order` that can be reached.  Raises Unreachable."""
        timed_out = bool(order)
        for address in order:
            found = self._take(address, youngest_seconds) if kept else None
            if found is not None:
                return found
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    reader, writer = await asyncio.open_connection(*address, limit=BUFFER_BYTES)
                return BackendConnection(address, reader, writer)
            except OSError as error:  # TimeoutError is one
                timed_out = timed_out and isinstance(error, TimeoutError)
                self.avoid(address)
        raise Unreachable(timed_out)

    def avoid(self, address: Address) -> None:
        """Others first for a while."""
        self._avoid[address] = asyncio.get_running_loop().time() + AVOID_SECONDS
        self._failed(address)

    def _take(self, address: Address, youngest_seconds: float) -> BackendConnection | None:
        held = self._kept.get(address)
        now = asyncio.get_running_loop().time()
        while held:
            one = held.pop()
            if one.is_spoilt() or now - one.since > youngest_seconds:
                one.close()
                continue
            one.fresh = False
            return one
        return None

    def keep(self, connection: BackendConnection) -> None:
        """The answer was read to its end."""
        held = self._kept.setdefault(connection.address, [])
        unknown = self._known is not None and connection.address not in self._known
        if unknown or len(held) >= KEPT_CONNECTIONS or connection.is_spoilt():
            connection.close()
            return
        loop = asyncio.get_running_loop()
        connection.since = loop.time()
        held.append(connection)
        if self._pruning is None:
            self._pruning = loop.call_later(KEPT_SECONDS, self._prune)

    def retain(self, addresses: Iterable[Address]) -> None:
        """These are in the table now; idle connections to others end, busy ones end with their request."""
        self._known = frozenset(addresses)
        for address in [one for one in self._kept if one not in self._known]:
            self._drop(address)

    def _drop(self, address: Address) -> None:
        for connection in self._kept.pop(address, ()):
            connection.close()

    def _prune(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = loop.time() - KEPT_SECONDS
        for address, held in list(self._kept.items()):
            for connection in [one for one in held if one.since < oldest or one.is_spoilt()]:
                held.remove(connection)
                connection.close()
            if not held:
                del self._kept[address]
        self._pruning = loop.call_later(KEPT_SECONDS, self._prune) if self._kept else None

    def close(self) -> None:
        if self._pruning is not None:
            self._pruning.cancel()
            self._pruning = None
        for address in list(self._kept):
            self._drop(address)
