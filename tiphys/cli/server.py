"""The command's connection to the API server: one kept HTTP/1.1 connection, blocking.

A command asks a handful of questions and prints; http.client starts in a fifth of the time an event loop takes.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from tiphys.cli.errors import CommandError, ConnectionFailed, ServerError
from tiphys.cli.terminal import neutral
from tiphys.client.config import ClientConfig

TIMEOUT_SECONDS = 60.0
Query = Mapping[str, str]


def connect(arguments: argparse.Namespace) -> Server:
    """The server that --kubeconfig, --context and $KUBECONFIG name.  Raises CommandError."""
    from tiphys.cli.duration import seconds
    from tiphys.client.kubeconfig import KubeconfigError, load_kubeconfig

    try:
        timeout = seconds(arguments.request_timeout) or TIMEOUT_SECONDS
        config = load_kubeconfig(arguments.kubeconfig, arguments.context)
    except (KubeconfigError, argparse.ArgumentTypeError) as error:
        raise CommandError(str(error)) from error
    return Server(config, impersonate=arguments.impersonate, timeout_seconds=timeout)


class Server:
    def __init__(
        self, config: ClientConfig, *, impersonate: str = "", timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self.config = config
        self._impersonate = impersonate or config.impersonate_user
        self._timeout_seconds = timeout_seconds
        self._connection: http.client.HTTPConnection | None = None

    def json(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: object = None,
        *,
        accept: str = "application/json",
        content_type: str = "application/json",
    ) -> tuple[int, Any]:
        """Status code and decoded answer.  Raises ServerError for a refusal; prints the server's warnings."""
        headers = {"Accept": accept}
        payload = None
        if body is not None:
            payload = json.dumps(body).encode()
            headers["Content-Type"] = content_type
        response = self._send(method, path, query or {}, payload, headers)
        text = response.read()
        for warning in response.headers.get_all("Warning") or []:
            print(f"Warning: {neutral(_warning_text(warning))}", file=sys.stderr)
        if response.status >= 400:
            raise ServerError(_status(text, response.status), response.status)
        return response.status, json.loads(text) if text else None

    def get(self, path: str, query: Query | None = None, *, accept: str = "application/json") -> Any:
        return self.json("GET", path, query, accept=accept)[1]

    def stream(self, path: str, query: Query, *, accept: str = "application/json") -> http.client.HTTPResponse:
        """An answer that goes on: read it in pieces.  Takes a connection of its own."""
        connection = self._open()
        if connection.sock is not None:
            connection.sock.settimeout(None)
        response = self._request(connection, "GET", path, query, None, {"Accept": accept})
        if response.status >= 400:
            raise ServerError(_status(response.read(), response.status), response.status)
        return response

    def watch(self, path: str, query: Query, *, accept: str = "application/json") -> Iterator[dict[str, Any]]:
        """Watch events until the server ends the stream."""
        response = self.stream(path, {**query, "watch": "true"}, accept=accept)
        for line in response:
            event = json.loads(line)
            if event["type"] == "ERROR":
                raise ServerError(event["object"], event["object"].get("code", 500))
            yield event

    def _send(
        self, method: str, path: str, query: Query, payload: bytes | None, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        """One request on the kept connection; a connection the server has closed meanwhile is opened again."""
        if self._connection is not None:
            try:
                return self._request(self._connection, method, path, query, payload, headers)
            except ConnectionFailed:
                if method != "GET":
                    raise
        self._connection = self._open()
        return self._request(self._connection, method, path, query, payload, headers)

    def _open(self) -> http.client.HTTPConnection:
        address = urlsplit(self.config.server)
        host = address.hostname or ""
        try:
            context = self.config.ssl_context()
        except (OSError, ValueError) as error:
            raise CommandError(f"the kubeconfig's certificates cannot be used: {error}") from error
        connection: http.client.HTTPConnection
        if context is None:
            connection = http.client.HTTPConnection(host, address.port, timeout=self._timeout_seconds)
        else:
            connection = http.client.HTTPSConnection(host, address.port, context=context, timeout=self._timeout_seconds)
        try:
            connection.connect()
        except ConnectionRefusedError as error:
            raise ConnectionFailed(
                f"The connection to the server {address.netloc} was refused - did you specify the right host or port?\n"
                "Is the cluster running?  Try: tiphys status"
            ) from error
        except OSError as error:
            raise ConnectionFailed(f"Unable to connect to the server {address.netloc}: {error}") from error
        return connection

    def _request(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        query: Query,
        payload: bytes | None,
        headers: dict[str, str],
    ) -> http.client.HTTPResponse:
        target = urlsplit(self.config.server).path.rstrip("/") + path
        if query:
            target += "?" + urlencode(query, quote_via=quote)
        try:
            connection.request(method, target, payload, {**headers, **self.identity()})
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            cause = str(error) or type(error).__name__
            raise ConnectionFailed(f"Unable to connect to the server {self.config.server}: {cause}") from error

    def identity(self) -> dict[str, str]:
        """The headers that say who asks."""
        headers = {"User-Agent": self.config.user_agent}
        if self.config.token:
            headers["Authorization"] = f"Bearer {self.config.token}"
        elif self.config.username:
            pair = base64.b64encode(f"{self.config.username}:{self.config.password}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        if self._impersonate:
            headers["Impersonate-User"] = self._impersonate
        return headers


def _status(text: bytes, code: int) -> dict[str, Any]:
    try:
        status = json.loads(text)
    except ValueError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        return status
    return {"message": text.decode(errors="replace").strip() or f"the server answered HTTP {code}"}


def _warning_text(header: str) -> str:
    """The text of `299 - "text"`."""
    text = header.partition('"')[2].rpartition('"')[0]
    return text.replace('\\"', '"').replace("\\\\", "\\")
