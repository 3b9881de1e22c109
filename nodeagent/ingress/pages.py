"""What a client sees when no backend answers: one line of plain text, never anything of the request."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus


def page(code: int, why: str, *, method: str = "GET", keep_alive: bool = False, extra: Iterable[bytes] = ()) -> bytes:
    """A whole answer.  `why` is ours, never the client's text."""
    phrase = HTTPStatus(code).phrase
    text = f"{code} {phrase}: {why}\n".encode()
    lines = [
        f"HTTP/1.1 {code} {phrase}".encode(),
        b"Content-Type: text/plain; charset=utf-8",
        b"X-Content-Type-Options: nosniff",
        b"Content-Length: %d" % len(text),
        *extra,
        b"Connection: keep-alive" if keep_alive else b"Connection: close",
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + (b"" if method == "HEAD" else text)
