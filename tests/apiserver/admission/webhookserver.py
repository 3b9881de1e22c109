"""A real admission webhook for tests: HTTPS on this machine's own address, one function per path.

A function takes the request of an AdmissionReview and returns the response (`allowed` and what else it says); a
function registered as raw gets the HTTP handler itself, for what no honest webhook does.
"""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tiphys import pki
from tiphys.clock import SystemClock

Object = dict[str, Any]
Answering = Callable[[Object], Object]
Raw = Callable[[BaseHTTPRequestHandler], None]


def own_address() -> str:
    """An address of this machine that is not a loopback one: a webhook at a loopback address is never called."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
        except OSError:
            pass
        else:
            return str(probe.getsockname()[0])
    raise AssertionError("no network address: ip link add dummy0 type dummy; ip address add 10.99.0.1/24 dev dummy0")


@dataclass
class WebhookServer:
    address: str
    port: int
    ca_bundle: str  # base64, as a clientConfig wants it
    answering: dict[str, Answering] = field(default_factory=dict)
    raw: dict[str, Raw] = field(default_factory=dict)
    seen: list[tuple[str, Object]] = field(default_factory=list)  # (path with query, AdmissionReview)

    def url(self, path: str) -> Object:
        """A clientConfig."""
        return {"url": f"https://{self.address}:{self.port}{path}", "caBundle": self.ca_bundle}

    def requests(self, path: str) -> list[Object]:
        return [review["request"] for seen, review in self.seen if seen.partition("?")[0] == path]


def patch_of(*operations: Object) -> Object:
    encoded = base64.b64encode(json.dumps(operations).encode()).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": encoded}


def _handler_of(server: WebhookServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            review = json.loads(self.rfile.read(length))
            server.seen.append((self.path, review))
            path = self.path.partition("?")[0]
            if path in server.raw:
                self.close_connection = True
                server.raw[path](self)
                return
            response = server.answering[path](review["request"])
            answer = {
                "kind": "AdmissionReview",
                "apiVersion": review["apiVersion"],
                "response": {"uid": review["request"]["uid"], **response},
            }
            self.answer(json.dumps(answer).encode())

        do_GET = do_POST

        def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hangs up is what some tests are about."""


@contextmanager
def webhook_server(directory: Path, *service_names: str, address: str = "") -> Iterator[WebhookServer]:
    """`service_names` (NAME.NAMESPACE.svc) and the address are in its certificate."""
    address = address or own_address()
    identity = pki.Identity("webhook", "webhook", hosts=(address, *service_names))
    pki.ensure(directory, [identity], SystemClock())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "webhook.crt", directory / "webhook.key")
    bundle = base64.b64encode((directory / "ca.crt").read_bytes()).decode()
    server = WebhookServer(address, 0, bundle)
    http = _Quiet((address, 0), _handler_of(server))
    server.port = http.server_address[1]
    http.socket = context.wrap_socket(http.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
