"""One request and its answer as the filters and verbs see them: no HTTP library in sight.

What must stay true: `Request.info` is the only description of the target, and `Request.user` is set by the
authentication filter before anything else reads it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from apiserver.requestinfo import Query, RequestInfo


@dataclass(frozen=True, slots=True)
class User:
    """Who asks.  `extra` carries what the credential says beyond the name (pod of a bound token, ...)."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_WARNINGS_LIMIT = 100  # more than fit in the header; an object may have a million unknown fields

ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))


@dataclass(slots=True)
class Request:
    method: str
    info: RequestInfo
    query: Query
    headers: Mapping[str, str]  # case-insensitive
    read_body: Callable[[], Awaitable[bytes]]  # raises 413 beyond the limit
    peer: Mapping[str, Any] | None = None  # the verified client certificate as ssl reports it
    user: User = ANONYMOUS
    audit_id: str = ""
    warnings: list[str] = field(default_factory=list)  # become Warning headers
    served: bool = False  # the dispatcher knows the resource; until then its name is raw input
    raw_query: str = ""  # as it was sent, for proxies
    stream_body: Callable[[], AsyncIterator[bytes] | None] = lambda: None  # without a limit, for proxies; None: no body

    @property
    def path(self) -> str:
        return self.info.path

    def warn(self, text: str) -> None:
        if len(self.warnings) < _WARNINGS_LIMIT and text not in self.warnings:
            self.warnings.append(text)


@dataclass(slots=True)
class Response:
    """A complete answer."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


class Wire(Protocol):
    """The connection below a stream."""

    def write(self, data: bytes) -> bool:
        """Send without waiting.  False: enough for now, `drain` first."""

    async def drain(self) -> None:
        """Until there is room.  Raises ConnectionError when the client has gone."""


class Push(Protocol):
    """A part of a stream that writes by itself, for as long as `run` lasts: nobody has to wake up per piece."""

    async def run(self, wire: Wire) -> None: ...


Chunk = bytes | Push


@dataclass(slots=True)
class StreamingResponse:
    """An answer that goes on: a watch, a followed log.  `chunks` is closed when the client goes away.

    `repeated`: headers of a proxied answer as they came, names may occur again; then `content_type` is "".
    `finite`: a large answer in pieces, not an endless one: compressed where the client takes it, timed like others.
    Only bytes are pieces of it then.
    """

    chunks: AsyncIterator[Chunk]
    content_type: str = "application/json"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    repeated: Sequence[tuple[str, str]] = ()
    finite: bool = False


class StreamBroken(Exception):
    """The source of a stream ended in the middle: the client must not take what it has for the whole."""


class Duplex(Protocol):
    """The client's bytes after an upgrade."""

    async def read(self) -> bytes:
        """Some bytes; b"" when the client has gone."""

    async def write(self, data: bytes) -> None:
        """Waits while the client does not read.  Raises ConnectionError when it has gone."""


@dataclass(slots=True)
class UpgradeResponse:
    """101: the connection belongs to `run` until it returns.  `close` is called in any case, last."""

    run: Callable[[Duplex], Awaitable[None]]
    close: Callable[[], None]
    headers: dict[str, str]
    status: int = 101


AnyResponse = Response | StreamingResponse | UpgradeResponse
Handler = Callable[[Request], Awaitable[AnyResponse]]
Filter = Callable[[Request, Handler], Awaitable[AnyResponse]]


def chain(filters: list[Filter], handler: Handler) -> Handler:
    """The handler behind all filters, the first filter outermost."""
    for one in reversed(filters):
        handler = _bind(one, handler)
    return handler


def _bind(one: Filter, following: Handler) -> Handler:
    async def run(request: Request) -> AnyResponse:
        return await one(request, following)

    return run
