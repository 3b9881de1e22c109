"""The gRPC probe: one unary call of grpc.health.v1.Health/Check over HTTP/2, without TLS.

The little of HTTP/2 that one call needs: our side is written literally, of the other side only the frames' types and
the one message are read.  The header block of an answer is never decoded, so a server that answers without a message
is told apart by that alone.  At most 64 KiB are read.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_ACK, _END_STREAM, _END_HEADERS, _PADDED = 1, 1, 4, 8
_STATES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_MOST_BYTES = 64 * 1024
_LARGEST_FRAME = 16 * 1024


async def check(host: str, port: int, service: str, timeout_seconds: float) -> tuple[bool, str]:
    """(whether the service says SERVING, text for the event)."""
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    writer = None
    try:
        async with asyncio.timeout(timeout_seconds):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(_PREFACE + _frame(_SETTINGS, 0, 0, b"") + _request(shown, service))
            message = await _answer(reader, writer)
    except TimeoutError:
        where = "failed to connect service" if writer is None else "timeout: health rpc did not complete"
        return False, f'{where} "{shown}" within {timeout_seconds:g}s: context deadline exceeded'
    except (OSError, asyncio.IncompleteReadError, ValueError) as error:
        cause = os.strerror(error.errno).lower() if isinstance(error, OSError) and error.errno else str(error)
        if writer is None:
            return False, f'failed to connect service "{shown}": connect: {cause}'
        return False, f"health rpc failed: {cause}"
    finally:
        if writer is not None:
            writer.close()
    if message is None:
        text = (
            "health rpc failed: no health status (the service is unknown, or the server has no grpc.health.v1.Health)"
        )
        return False, text
    state = _status(message)
    if state == "SERVING":
        return True, f"service healthy (responded with {state!r})"
    return False, f'service unhealthy (responded with "{state}")'


def _request(authority: str, service: str) -> bytes:
    headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", authority),
        ("content-type", "application/grpc"),
        ("user-agent", "kube-probe/1.36"),
        ("te", "trailers"),
    ]
    block = b"".join(b"\0" + _text(name) + _text(value) for name, value in headers)  # literal, never indexed
    name = service.encode()
    body = b"\x0a" + _varint(len(name)) + name if name else b""
    message = b"\0" + struct.pack(">I", len(body)) + body
    return _frame(_HEADERS, _END_HEADERS, 1, block) + _frame(_DATA, _END_STREAM, 1, message)


def _text(value: str) -> bytes:
    """A string without Huffman code; HPACK's length has a prefix of seven bits."""
    data = value.encode()
    if len(data) < 127:
        return bytes([len(data)]) + data
    return b"\x7f" + _varint(len(data) - 127) + data


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes | None:
    """The one message of the answer; None when the stream ends without one.  ValueError when it is no HTTP/2."""
    data, total = b"", 0
    while True:
        head = await reader.readexactly(9)
        length, kind, flags = int.from_bytes(head[:3]), head[3], head[4]
        stream = int.from_bytes(head[5:]) & 0x7FFFFFFF
        total += length
        if length > _LARGEST_FRAME or total > _MOST_BYTES:
            raise ValueError("the answer is not gRPC, or too large")
        payload = await reader.readexactly(length)
        if kind == _SETTINGS and not flags & _ACK:
            writer.write(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            writer.write(_frame(_PING, _ACK, 0, payload))
        elif kind == _GOAWAY:
            raise ValueError("the server closed the connection")
        elif kind == _RESET and stream == 1:
            raise ValueError("the server reset the stream")
        elif kind == _DATA and stream == 1:
            data += payload[1 : len(payload) - payload[0]] if flags & _PADDED and payload else payload
            if len(data) >= 5 and len(data) >= 5 + int.from_bytes(data[1:5]):
                return data[5 : 5 + int.from_bytes(data[1:5])]
        if kind in (_DATA, _HEADERS) and stream == 1 and flags & _END_STREAM:
            return None


def _status(message: bytes) -> str:
    """HealthCheckResponse.status: field 1, an enum."""
    number = 0
    with contextlib.suppress(IndexError):
        if message and message[0] == 0x08:
            number = message[1]
    return _STATES.get(number, str(number))
