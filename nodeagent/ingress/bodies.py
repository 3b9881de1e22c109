"""Bodies on their way through: never held whole, never faster than the reader, never framed as they came.

What must stay true: chunk lines are read strictly and written anew; extensions and trailers end here; a body that ends
early is an error, never a short success.
"""

from __future__ import annotations

import asyncio
import re

from nodeagent.ingress.messages import CHUNKED, UNTIL_CLOSE, Refused

PIECE_BYTES = 65536
MAX_TRAILER_BYTES = 8192
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")


class Body:
    """One body: `read` gives its next piece, b"" at the end.  `code`: 400 for a client's, 502 for an endpoint's.

    Raises Refused; TimeoutError and EOFError for an endpoint's; OSError."""

    def __init__(
        self, reader: asyncio.StreamReader, length: int, idle_seconds: float, code: int, most_bytes: int = 0
    ) -> None:
        self._reader, self._length, self._idle, self._code = reader, length, idle_seconds, code
        self._most = most_bytes
        self._left = 0 if length == CHUNKED else length
        self._begun = False
        self._seen = 0
        self.done = length == 0

    async def read(self) -> bytes:
        if self.done:
            return b""
        try:
            if self._length > 0 and self._reader._buffer:  # type: ignore[attr-defined]  # nothing to wait for
                piece = await self._next()
            else:
                async with asyncio.timeout(self._idle):
                    piece = await self._next()
        except TimeoutError as error:
            raise self._fault(error, 408, "the body took too long") from error
        except EOFError as error:
            raise self._fault(error, 400, "the body ended early") from error
        self._seen += len(piece)
        if self._most and self._seen > self._most:
            raise Refused(413, "the body is too large")
        return piece

    def _fault(self, error: Exception, code: int, why: str) -> Exception:
        """A client's fault has a code of its own; an endpoint's goes on as it is."""
        return Refused(code, why) if self._code == 400 else error

    async def _next(self) -> bytes:
        if self._length == UNTIL_CLOSE:
            piece = await self._reader.read(PIECE_BYTES)
            self.done = not piece
            return piece
        if self._length == CHUNKED and self._left == 0:
            await self._chunk_line()
            if self.done:
                return b""
        piece = await self._reader.read(min(self._left, PIECE_BYTES))
        if not piece:
            raise EOFError("the body ended early")
        self._left -= len(piece)
        if self._length != CHUNKED:
            self.done = self._left == 0
        return piece

    async def _chunk_line(self) -> None:
        if self._begun and await self._reader.readexactly(2) != b"\r\n":
            raise Refused(self._code, "malformed chunk")
        self._begun = True
        match = _CHUNK_LINE.fullmatch(await self._line(1024))
        if match is None:
            raise Refused(self._code, "malformed chunk")
        self._left = int(match[1], 16)
        if self._left == 0:
            await self._trailers()

    async def _trailers(self) -> None:
        left = MAX_TRAILER_BYTES
        while (line := await self._line(left)) != b"\r\n":
            left -= len(line)
        self.done = True

    async def _line(self, most: int) -> bytes:
        try:
            line = await self._reader.readuntil(b"\r\n")
        except asyncio.LimitOverrunError as error:
            raise Refused(self._code, "malformed chunk") from error
        if len(line) > most:
            raise Refused(self._code, "malformed chunk")
        return line


async def pour(body: Body, writer: asyncio.StreamWriter, chunked: bool, idle_seconds: float) -> int:
    """Everything that `body` has, as it comes.  How many bytes.

    A reader that takes nothing for `idle_seconds` is a TimeoutError.
    """
    total = 0
    piece = await body.read()
    while piece:
        total += len(piece)
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if not (body.done and not chunked):
            async with asyncio.timeout(idle_seconds):
                await writer.drain()
        piece = await body.read()
    if chunked:
        writer.write(b"0\r\n\r\n")
    async with asyncio.timeout(idle_seconds):
        await writer.drain()
    return total
