"""Which headers go through a proxy.  Pure.

What must stay true: the client's credentials and what belongs to one hop never pass, in either direction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

BEARER_PROTOCOL = "base64url.bearer.authorization.k8s.io."
_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    }
)  # fmt: skip
_OURS = frozenset({"authorization", "host", "expect", "audit-id", "forwarded"})
_OUR_PREFIXES = ("impersonate-", "x-remote-", "x-forwarded-", "sec-websocket-")
Pairs = list[tuple[str, str]]


def items(headers: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """All pairs, repeated names included."""
    return headers.items()


def named_in_connection(headers: Mapping[str, str]) -> set[str]:
    """Header names that the Connection header declares to be of this hop."""
    return {word.strip().lower() for name, value in items(headers) if name.lower() == "connection"
            for word in value.split(",")}  # fmt: skip


def request_headers(headers: Mapping[str, str]) -> Pairs:
    """What of the client's headers the backend gets."""
    dropped = _HOP | _OURS | named_in_connection(headers)
    return [
        (name, value)
        for name, value in items(headers)
        if name.lower() not in dropped and not name.lower().startswith(_OUR_PREFIXES)
    ]


def response_headers(headers: Mapping[str, str]) -> Pairs:
    """What of the backend's headers the client gets."""
    dropped = _HOP | named_in_connection(headers)
    return [(name, value) for name, value in items(headers) if name.lower() not in dropped]


def is_websocket(headers: Mapping[str, str]) -> bool:
    return "upgrade" in named_in_connection(headers) and headers.get("Upgrade", "").lower() == "websocket"


def subprotocols(headers: Mapping[str, str]) -> list[str]:
    """What the client offers, without a token that may stand among them."""
    words = [word.strip() for name, value in items(headers) if name.lower() == "sec-websocket-protocol"
             for word in value.split(",")]  # fmt: skip
    return [word for word in words if word and not word.startswith(BEARER_PROTOCOL)]


def websocket_headers(headers: Mapping[str, str], *, extensions: bool) -> Pairs:
    """The handshake for the other side."""
    pairs = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
    names = ["Sec-WebSocket-Key", "Sec-WebSocket-Version"] + ["Sec-WebSocket-Extensions"] * extensions
    pairs += [(name, headers[name]) for name in names if name in headers]
    if offered := subprotocols(headers):
        pairs.append(("Sec-WebSocket-Protocol", ", ".join(offered)))
    return pairs
