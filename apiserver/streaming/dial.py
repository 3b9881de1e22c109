"""The upgrade request to the other side.

What must stay true: the client's bytes are not touched until the other side has answered 101; any other answer ends
both connections; a redirect is never followed.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

from apiserver.request import Response, UpgradeResponse
from apiserver.streaming.addresses import Target, allowed, refused
from apiserver.streaming.tunnel import Tunnel
from tiphys.api.status import StatusError

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
_HEAD_LIMIT_BYTES = 64 << 10
_BODY_LIMIT_BYTES = 1 << 20
_PASSED = ("Upgrade", "Connection", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions")


class DialError(Exception):
    """The other side cannot be reached, or does not speak HTTP; the text says which."""


@dataclass(frozen=True, slots=True)
class Head:
    status: int
    headers: dict[str, str]  # names in lower case


async def dial(target: Target, path: str, headers: Sequence[tuple[str, str]]) -> UpgradeResponse | Response:
    """GET `path` (encoded, with query) with these headers: the upgraded connection, or the other side's refusal.

    Raises DialError; StatusError 403 for an address that is not allowed, 502 for a redirect.
    """
    reader, writer = await _connect(target)
    try:
        lines = [f"GET {path} HTTP/1.1", f"Host: {target.authority}", *(f"{name}: {value}" for name, value in headers)]
        if any("\r" in line or "\n" in line for line in lines):
            raise DialError("a header contains a line break")
        writer.write("\r\n".join([*lines, "", ""]).encode())
        async with asyncio.timeout(ANSWER_SECONDS):
            head = parse_head(await reader.readuntil(b"\r\n\r\n"))
            if head.status == 101 and head.headers.get("upgrade", "").lower() == "websocket":
                tunnel = Tunnel(reader, writer)
                passed = {name: head.headers[name.lower()] for name in _PASSED if name.lower() in head.headers}
                return UpgradeResponse(tunnel.run, tunnel.close, passed)
            if 300 <= head.status < 400:
                text = "the backend attempted to redirect this request, which is not permitted"
                raise StatusError(502, "", text, details={})
            answer = await _refusal(reader, head)
    except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValueError) as error:
        writer.transport.abort()
        raise DialError(f"upgrading the connection: {error or type(error).__name__}") from None
    except BaseException:
        writer.transport.abort()
        raise
    writer.transport.abort()
    return answer


async def _connect(target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if not target.trusted and not allowed(target.host):
        raise refused()
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(
                target.host,
                target.port,
                ssl=target.tls,
                server_hostname=target.server_name or None,
                limit=_HEAD_LIMIT_BYTES,
            )
    except (OSError, ssl.SSLError) as error:
        raise DialError(f"dial tcp {target.authority}: {error or type(error).__name__}") from None
    peer = writer.get_extra_info("peername")
    if not target.trusted and not (peer and allowed(peer[0])):
        writer.transport.abort()
        raise refused()
    return reader, writer


def parse_head(raw: bytes) -> Head:
    """Raises ValueError."""
    first, *lines = raw.decode("latin-1").split("\r\n")
    version, code, *_ = first.split(" ", 2)
    if not version.startswith("HTTP/1.") or not (code.isascii() and code.isdigit() and len(code) == 3):
        raise ValueError("the answer is not HTTP")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return Head(int(code), headers)


async def _refusal(reader: asyncio.StreamReader, head: Head) -> Response:
    """What the other side said instead of 101, to a limit."""
    length = head.headers.get("content-length", "")
    known = int(length) if length.isascii() and length.isdigit() else _BODY_LIMIT_BYTES
    body = b""
    try:
        while len(body) < min(known, _BODY_LIMIT_BYTES) and (piece := await reader.read(_HEAD_LIMIT_BYTES)):
            body += piece
    except (OSError, TimeoutError):
        pass  # what there is, is the answer
    body = body[: min(known, _BODY_LIMIT_BYTES)]
    # An answer that says "switching" to something else, or goes on with 1xx, is no answer to pass on.
    status = head.status if 200 <= head.status < 600 else 502
    content_type = head.headers.get("content-type", "text/plain; charset=utf-8")
    return Response(status, body, content_type, {"Connection": "close"})
