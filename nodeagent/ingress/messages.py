"""Heads of HTTP/1.1 messages, read strictly.  Pure.

What must stay true: a message has exactly one meaning or it is refused: one framing (a length or chunks, never both,
never twice), one host, CRLF line ends only, no folded lines, no control characters, no space before a colon.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

Headers = list[tuple[bytes, bytes]]  # names as they came

MAX_HEADERS = 100
UNTIL_CLOSE, CHUNKED = -2, -1

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n")
_REQUEST = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]+) HTTP/1\.([01])")
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: (.*))?")
_HEADER = re.compile(rb"(" + _TOKEN + rb"):[ \t]*(.*?)[ \t]*")
_HOST = re.compile(rb"(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_QUERY = re.compile(r"[\x21\x24-\x7e\"]*")  # anything printable but # (checked apart) and the space
_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)
_FRAMING = frozenset((b"host", b"content-length"))


class Refused(ValueError):
    """`code` is the answer to a request like this; for a response it is always 502."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


@dataclass(slots=True)
class Request:
    """`length` of the body in bytes, or CHUNKED; `host` as it is routed, `authority` as it came."""

    method: str
    path: str
    query: str
    minor: int
    authority: str
    host: str
    headers: Headers
    length: int
    keep_alive: bool
    upgrade: bytes
    expects_continue: bool


@dataclass(slots=True)
class Response:
    """`length` of the body in bytes, or CHUNKED, or UNTIL_CLOSE, for a request that may have a body in its answer."""

    code: int
    reason: bytes
    headers: Headers
    length: int
    keep_alive: bool


def parse_request(head: bytes) -> Request:
    """`head` ends with an empty line.  Raises Refused.  The path is as it came: see paths.py."""
    first, headers = _lines(head, 400)
    match = _REQUEST.fullmatch(first)
    if match is None:
        raise Refused(505 if re.search(rb" HTTP/[2-9]", first) else 400, "malformed request line")
    minor = int(match[3])
    one = _by_name(headers)
    length = _length(one, 400, minor)
    method, target = match[1].decode(), match[2].decode()
    authority = _authority(one, minor)
    if target.startswith(("http://", "https://")):
        named, slash, rest = target.partition("://")[2].partition("/")
        if named.lower() != authority.lower():
            raise Refused(400, "the target and the Host header name different hosts")
        target = slash + rest or "/"
    if not target.startswith("/"):
        raise Refused(400, "malformed target")
    path, mark, query = target.partition("?")
    if "#" in target or not _QUERY.fullmatch(query):
        raise Refused(400, "malformed target")
    options = _options(one)
    expects = one.get(b"expect", [])
    if expects and (len(expects) > 1 or expects[0].lower() != b"100-continue"):
        raise Refused(417, "unknown expectation")
    upgrade = b"".join(one.get(b"upgrade", [])[:1]) if b"upgrade" in options and length == 0 and minor == 1 else b""
    return Request(
        method,
        path,
        mark + query,
        minor,
        authority,
        host_of(authority),
        headers,
        length,
        b"close" not in options and (minor == 1 or b"keep-alive" in options),
        b"" if upgrade.lower().startswith(b"h2") or b"," in upgrade else upgrade,
        bool(expects) and minor == 1,
    )


def parse_response(head: bytes) -> Response:
    """Raises Refused."""
    first, headers = _lines(head, 502)
    match = _STATUS.fullmatch(first)
    if match is None:
        raise Refused(502, "malformed status line")
    one = _by_name(headers)
    minor, code = int(match[1]), int(match[2])
    framed = b"transfer-encoding" in one or b"content-length" in one
    length = _length(one, 502, minor) if framed else UNTIL_CLOSE
    options = _options(one)
    keeps = b"close" not in options and (minor == 1 or b"keep-alive" in options)
    return Response(code, match[3] or b"", headers, length, keeps)


def host_of(authority: str) -> str:
    """In lower case, without a port or the dot of the root."""
    name = authority if authority.endswith("]") else authority.rpartition(":")[0] or authority
    return name.lower().removesuffix(".")


def request_head(request: Request, target: str, forwarded: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The head for a backend: the client's headers without what was between it and us, and ours."""
    drop = _dropped(request.headers)
    lines = [request.method.encode() + b" " + target.encode() + b" HTTP/1.1", b"Host: " + request.authority.encode()]
    for name, value in request.headers:
        lower = name.lower()
        if lower in drop or lower in (b"host", b"expect") or _is_ours(lower):
            continue
        lines.append(name + b": " + value)
    lines += [name + b": " + value for name, value in forwarded]
    if request.length == CHUNKED:
        lines.append(b"Transfer-Encoding: chunked")
    if request.upgrade:
        lines += [b"Connection: Upgrade", b"Upgrade: " + request.upgrade]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def response_head(response: Response, extra: Iterable[bytes]) -> bytes:
    """The head for a client; `extra` are whole lines of framing."""
    drop = _dropped(response.headers)
    lines = [b"HTTP/1.1 %d %s" % (response.code, response.reason)]
    lines += [name + b": " + value for name, value in response.headers if name.lower() not in drop]
    lines += extra
    return b"\r\n".join(lines) + b"\r\n\r\n"


def upgrade_head(response: Response) -> bytes:
    """The head of a 101: the two headers that are between neighbours go on."""
    kind = b"".join(value for name, value in response.headers if name.lower() == b"upgrade")
    return response_head(response, (b"Connection: Upgrade", b"Upgrade: " + kind))


def _is_ours(lower: bytes) -> bool:
    """Headers that only we may set, also in the spelling that some servers read as the same."""
    if not lower.startswith((b"x", b"f")):
        return False
    dashed = lower.replace(b"_", b"-")
    return dashed.startswith(b"x-forwarded-") or dashed in (b"forwarded", b"x-real-ip")


def _dropped(headers: Headers) -> set[bytes] | frozenset[bytes]:
    """Hop by hop headers, and those that Connection names; framing stays."""
    named: set[bytes] = set()
    for name, value in headers:
        if len(name) == 10 and name.lower() == b"connection":
            named.update(part.strip().lower() for part in value.split(b","))
    return (named - _FRAMING) | _HOP_BY_HOP if named else _HOP_BY_HOP


def _lines(head: bytes, code: int) -> tuple[bytes, Headers]:
    if _CONTROL.search(head):
        raise Refused(code, "control characters")
    first, *rest = head.removeprefix(b"\r\n")[:-4].split(b"\r\n")
    if len(rest) > MAX_HEADERS:
        raise Refused(431 if code == 400 else code, "too many headers")
    headers: Headers = []
    for line in rest:
        match = _HEADER.fullmatch(line)
        if match is None:
            raise Refused(code, "malformed header")
        headers.append((match[1], match[2]))
    return first, headers


def _by_name(headers: Headers) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value)
    return found


def _length(one: dict[bytes, list[bytes]], code: int, minor: int) -> int:
    codings, lengths = one.get(b"transfer-encoding"), one.get(b"content-length")
    if codings is not None:
        if lengths is not None:
            raise Refused(code, "both a length and chunks")
        if len(codings) != 1 or codings[0].lower() != b"chunked" or minor == 0:
            raise Refused(501 if code == 400 and minor else code, "unknown transfer coding")
        return CHUNKED
    if lengths is None:
        return 0
    if len(lengths) != 1 or not _LENGTH.fullmatch(lengths[0]):
        raise Refused(code, "malformed length")
    return int(lengths[0])


def _authority(one: dict[bytes, list[bytes]], minor: int) -> str:
    hosts = one.get(b"host", [])
    if not hosts and minor == 0:
        return ""
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        raise Refused(400, "malformed or missing Host header")
    return hosts[0].decode()


def _options(one: dict[bytes, list[bytes]]) -> frozenset[bytes]:
    values = one.get(b"connection")
    if not values:
        return frozenset()
    return frozenset(part.strip().lower() for value in values for part in value.split(b","))
