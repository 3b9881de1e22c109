"""The channel protocols of exec and attach: numbered streams in WebSocket messages, the first byte is the stream's.

    v5.channel.k8s.io   as v4, and the message 255,N ends stream N from the client's side
    v4.channel.k8s.io   the error stream carries one Status object at the end
    channel.k8s.io      the error stream carries text, and only for failures; also without any subprotocol
    *.base64.*          the same in text messages: a digit, then base64

What must stay true: a message is bounded, sending waits for the client, and no message of the client ends in an
exception: what makes no sense closes the connection.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import WSCloseCode, WSMsgType, web

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
PROTOCOLS = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
)
MESSAGE_LIMIT_BYTES = 1 << 20
_DROP_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Message:
    """What the client said: bytes for a stream, or with `end` that there are no more."""

    channel: int
    data: bytes = b""
    end: bool = False


def offered(request: web.BaseRequest) -> list[str]:
    """The subprotocols a client names, in its order."""
    lines = request.headers.getall("Sec-WebSocket-Protocol", [])
    return [word.strip() for line in lines for word in line.split(",") if word.strip()]


def is_websocket(request: web.BaseRequest) -> bool:
    words = {word.strip().lower() for word in request.headers.get("Connection", "").split(",")}
    return "upgrade" in words and request.headers.get("Upgrade", "").lower() == "websocket"


class ChannelSocket:
    """One client's connection.  `open` first; `protocol` is "" when the client named none."""

    def __init__(self) -> None:
        self._socket = web.WebSocketResponse(
            protocols=PROTOCOLS, compress=False, max_msg_size=MESSAGE_LIMIT_BYTES, timeout=2.0
        )
        self.protocol = ""
        self._base64 = False
        self._transport: asyncio.Transport | None = None

    @property
    def response(self) -> web.WebSocketResponse:
        return self._socket

    async def open(self, request: web.Request) -> None:
        self._transport = request.transport
        await self._socket.prepare(request)
        self.protocol = self._socket.ws_protocol or ""
        self._base64 = "base64" in self.protocol

    async def receive(self) -> Message | None:
        """The next message; None once the client has gone (or said what nobody understands)."""
        while True:
            message = await self._socket.receive()
            if message.type is WSMsgType.BINARY:
                raw = message.data
            elif message.type is WSMsgType.TEXT:
                raw = message.data.encode()
            else:
                return None
            if not raw:
                continue
            if not self._base64:
                return self._read(raw[0], raw[1:])
            try:
                return self._read(raw[0] - ord("0"), base64.b64decode(raw[1:], validate=True))
            except (binascii.Error, ValueError):
                await self._socket.close(code=WSCloseCode.INVALID_TEXT, message=b"not base64")
                return None

    def _read(self, channel: int, data: bytes) -> Message:
        if channel == CLOSE and self.protocol.startswith("v5.") and len(data) == 1:
            return Message(data[0], end=True)
        return Message(channel, data)

    async def send(self, channel: int, data: bytes) -> None:
        """Waits while the client does not read.  Raises ConnectionError when it has gone."""
        if self._base64:
            await self._socket.send_str(f"{channel}{base64.b64encode(data).decode()}")
        else:
            await self._socket.send_bytes(bytes((channel,)) + data)

    async def finish(self, status: dict[str, Any]) -> None:
        """The Status on the error stream, then the end."""
        if self.protocol.startswith("v"):
            await self.send(ERROR, orjson.dumps(status))
        elif status["status"] != "Success":
            await self.send(ERROR, status["message"].encode())
        await self._socket.close()

    async def drop(self) -> None:
        """End without a word, also for a client that does not read."""
        try:
            async with asyncio.timeout(_DROP_SECONDS):
                await self._socket.close(code=WSCloseCode.GOING_AWAY)
        except TimeoutError:
            if self._transport is not None:
                self._transport.abort()


def success() -> dict[str, Any]:
    return {"metadata": {}, "status": "Success"}


def exited(argv: tuple[str, ...], code: int) -> dict[str, Any]:
    """The Status of a program that ended with a code other than 0."""
    text = f"command terminated with non-zero exit code: error executing command [{' '.join(argv)}], exit code {code}"
    return {
        "metadata": {},
        "status": "Failure",
        "message": text,
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def failed(text: str) -> dict[str, Any]:
    """The Status of a program that never ran."""
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: {text}",
        "reason": "InternalError",
        "details": {"causes": [{"message": text}]},
        "code": 500,
    }


def terminal_size(data: bytes) -> tuple[int, int] | None:
    """(columns, rows) of a message on the resize stream; None for anything else."""
    try:
        size = orjson.loads(data)
        return int(size["Width"]), int(size["Height"])
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
