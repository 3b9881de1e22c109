"""A stream of ours as WebSocket messages: what `pods/log` answers to a client that upgrades.

    binary.k8s.io, or no subprotocol    each piece a binary message
    base64.binary.k8s.io                each piece base64 in a text message

What must stay true: nothing the client sends means anything but, at its end, that it has gone.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, suppress
from typing import Any

from apiserver.request import Chunk, Duplex, StreamingResponse, UpgradeResponse
from apiserver.streaming.headers import subprotocols
from tiphys.api.status import bad_request

_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_PROTOCOLS = ("binary.k8s.io", "base64.binary.k8s.io")
_TEXT, _BINARY, _CLOSE = 1, 2, 8
_NORMAL = struct.pack(">H", 1000)


def check_handshake(headers: Mapping[str, str]) -> str:
    """The subprotocol agreed on, or "".  Raises 400."""
    offered = subprotocols(headers)
    agreed = next((name for name in offered if name in _PROTOCOLS), "")
    if offered and not agreed:
        raise bad_request(f"unable to negotiate a subprotocol: the client offers {offered}, served are {_PROTOCOLS}")
    if headers.get("Sec-WebSocket-Version") != "13" or not _is_key(headers.get("Sec-WebSocket-Key", "")):
        raise bad_request("the WebSocket handshake is not version 13 with a key")
    return agreed


def as_messages(stream: StreamingResponse, headers: Mapping[str, str], agreed: str) -> UpgradeResponse:
    """The stream's pieces as messages, then a normal close."""
    answer = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": accept_key(headers["Sec-WebSocket-Key"]),
        **({"Sec-WebSocket-Protocol": agreed} if agreed else {}),
    }

    async def run(client: Duplex) -> None:
        sending = asyncio.create_task(_send(stream.chunks, client, text=agreed.startswith("base64.")))
        leaving = asyncio.create_task(_drain(client))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)

    return UpgradeResponse(run, lambda: None, answer)


async def _send(chunks: AsyncIterator[Chunk], client: Duplex, *, text: bool) -> None:
    inner: Any = chunks
    with suppress(OSError):
        async with aclosing(inner):
            async for chunk in inner:
                if chunk:
                    await client.write(message(base64.b64encode(chunk), _TEXT) if text else message(chunk, _BINARY))
        await client.write(message(_NORMAL, _CLOSE))


async def _drain(client: Duplex) -> None:
    with suppress(OSError):
        while await client.read():
            pass


def accept_key(key: str) -> str:
    return base64.b64encode(hashlib.sha1((key + _MAGIC).encode(), usedforsecurity=False).digest()).decode()


def message(data: bytes, opcode: int) -> bytes:
    """One frame from a server: final and unmasked."""
    if len(data) < 126:
        head = struct.pack(">BB", 0x80 | opcode, len(data))
    elif len(data) < 1 << 16:
        head = struct.pack(">BBH", 0x80 | opcode, 126, len(data))
    else:
        head = struct.pack(">BBQ", 0x80 | opcode, 127, len(data))
    return head + data


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == 16
    except ValueError:
        return False
