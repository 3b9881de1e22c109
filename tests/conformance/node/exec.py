"""Commands in containers over the WebSocket of pods/exec, as kubectl does it since v1.30."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import websocket

STDOUT, STDERR, ERROR = 1, 2, 3
SECONDS = 30.0
FIRST = "channel.k8s.io"  # this protocol has no Status at the end


@dataclass(frozen=True, slots=True)
class Output:
    """`status` is the Status object that ends the session."""

    out: str
    err: str
    status: dict[str, object]

    @property
    def succeeded(self) -> bool:
        return self.status.get("status") == "Success"


def connect(
    url: str, path: str, query: list[tuple[str, str]], context: ssl.SSLContext, protocol: str
) -> websocket.WebSocket:
    """An open WebSocket to `path` of the API server at `url`."""
    address = f"wss://{urlsplit(url).netloc}{path}?{urlencode(query)}"
    sslopt = {"context": context}
    return websocket.create_connection(address, sslopt=sslopt, subprotocols=[protocol], timeout=SECONDS)


def frames(connection: websocket.WebSocket) -> list[bytes]:
    """Every message up to the end of the connection."""
    found = []
    try:
        while (message := connection.recv()) != "":  # the text "" is the end; an empty binary message is none
            found.append(message if isinstance(message, bytes) else message.encode())
    except websocket.WebSocketConnectionClosedException:
        pass
    finally:
        connection.close()
    return found


def run(
    url: str,
    context: ssl.SSLContext,
    pod_path: str,
    argv: tuple[str, ...],
    container: str = "",
    protocol: str = "v5.channel.k8s.io",
) -> Output:
    """Run `argv`; `pod_path` is the pod's, container "" the only one."""
    query = [("command", word) for word in argv] + [("stdout", "true"), ("stderr", "true")]
    if container:
        query.append(("container", container))
    channels: dict[int, bytes] = {STDOUT: b"", STDERR: b"", ERROR: b""}
    for message in frames(connect(url, f"{pod_path}/exec", query, context, protocol)):
        if message:
            channels[message[0]] = channels.get(message[0], b"") + message[1:]
    status = json.loads(channels[ERROR]) if protocol != FIRST and channels[ERROR] else {}
    return Output(channels[STDOUT].decode(), channels[STDERR].decode(), status)
