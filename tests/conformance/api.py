"""The tests' hand on the API: plain HTTP, objects as dictionaries, waiting for conditions with deadlines.

Nothing here knows a kind, and nothing retries a refused request except `update`, which reads again after a conflict.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

T = TypeVar("T")
Object = dict[str, Any]
WAIT_SECONDS = 20.0
PAUSE_SECONDS = 0.02
IDLE_SECONDS = 15.0
PATCHES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


def eventually(
    probe: Callable[[], T | None], what: str, seconds: float = WAIT_SECONDS, pause_seconds: float = PAUSE_SECONDS
) -> T:
    """The first answer of `probe` that is not None or False; AssertionError naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer is not None and answer is not False:
            return answer
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(pause_seconds)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """Of a Status object; the whole body where it is none."""
        try:
            return str(self.json.get("message", ""))
        except (ValueError, AttributeError):
            return self.body.decode(errors="replace")


class Api:
    """One client; threads may share it, each has a connection of its own."""

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        self.url = url
        self._address = urlsplit(url).netloc
        self.context = context
        self._local = threading.local()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        **query: str | int,
    ) -> Answer:
        """`body`: bytes as they are, anything else as JSON."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {**({"Content-Type": content_type} if data is not None else {}), **(headers or {})}
        return self._send(method, with_query(path, query), data, sent)

    def _send(self, method: str, target: str, data: bytes | None, headers: Mapping[str, str]) -> Answer:
        connection: http.client.HTTPSConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self.connection()
        elif time.monotonic() - getattr(self._local, "used", 0.0) > IDLE_SECONDS:
            connection.close()  # the server may be about to close it
        try:
            connection.request(method, target, data, dict(headers))
            answer = connection.getresponse()
            found = Answer(answer.status, dict(answer.getheaders()), answer.read())
            self._local.used = time.monotonic()
            return found
        except (http.client.HTTPException, OSError):
            connection.close()  # the next call opens it again
            raise

    def connection(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._address, context=self.context, timeout=WAIT_SECONDS)

    def must(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The JSON of an answer below 300; anything else is an AssertionError."""
        answer = self.call(method, path, body, **more)
        assert answer.status < 300, f"{method} {path}: {answer.status} {answer.message}"
        return answer.json

    def refused(self, code: int, method: str, path: str, body: Any = None, **more: Any) -> Object:
        """The Status object of a request that must be refused with `code`."""
        answer = self.call(method, path, body, **more)
        assert answer.status == code, f"{method} {path}: {answer.status} {answer.body.decode()[:500]}"
        found: Object = answer.json
        assert found["kind"] == "Status" and found["code"] == code
        return found

    def get(self, path: str, **query: str | int) -> Object:
        found: Object = self.must("GET", path, **query)
        return found

    def find(self, path: str) -> Object | None:
        """The object, or None for 404."""
        answer = self.call("GET", path)
        if answer.status == 404:
            return None
        assert answer.status == 200, f"GET {path}: {answer.status} {answer.message}"
        found: Object = answer.json
        return found

    def items(self, path: str, selector: str = "", **query: str | int) -> list[Object]:
        chosen = {"labelSelector": selector} if selector else {}
        found: list[Object] = self.get(path, **chosen, **query)["items"]
        return found

    def create(self, path: str, obj: Object, **query: str | int) -> Object:
        found: Object = self.must("POST", path, obj, **query)
        return found

    def replace(self, path: str, obj: Object, **query: str | int) -> Object:
        found: Object = self.must("PUT", path, obj, **query)
        return found

    def update(self, path: str, change: Callable[[Object], None], seconds: float = WAIT_SECONDS) -> Object:
        """Read, `change` in place, PUT; again after a conflict."""

        def attempt() -> Object | None:
            obj = self.get(path)
            change(obj)
            answer = self.call("PUT", path, obj)
            assert answer.status in (200, 409), f"PUT {path}: {answer.status} {answer.message}"
            found: Object = answer.json
            return found if answer.status == 200 else None

        return eventually(attempt, f"an update of {path} without a conflict", seconds)

    def patch(self, path: str, patch: Any, kind: str = "merge", **query: str | int) -> Object:
        found: Object = self.must("PATCH", path, patch, content_type=PATCHES[kind], **query)
        return found

    def apply(self, path: str, obj: Object | bytes, manager: str = "conformance", **query: str | int) -> Object:
        """Server-side apply."""
        return self.patch(path, obj, "apply", fieldManager=manager, **query)

    def delete(self, path: str, body: Object | None = None, **query: str | int) -> Object:
        found: Object = self.must("DELETE", path, body, **query)
        return found

    def gone(self, path: str, seconds: float = WAIT_SECONDS) -> None:
        """Wait until the object is gone."""
        eventually(lambda: self.find(path) is None, f"{path} is gone", seconds)

    @contextmanager
    def watch(self, path: str, **query: str | int) -> Iterator[Watch]:
        connection = self.connection()
        try:
            connection.request("GET", with_query(path, {**query, "watch": "true"}))
            answer = connection.getresponse()
            assert answer.status == 200, f"watch of {path}: {answer.status} {answer.read()[:500]!r}"
            yield Watch(answer)
        finally:
            connection.close()


class Watch:
    """The events of a watch, in order."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self._answer = answer

    def next(self) -> tuple[str, Object]:
        """(type, object) of the next event; AssertionError when none comes in time."""
        try:
            line = self._answer.readline()
        except TimeoutError:
            raise AssertionError(f"no event within {WAIT_SECONDS:.0f} s") from None
        assert line, "the watch ended"
        event = json.loads(line)
        return event["type"], event["object"]

    def wait(self, kind: str, name: str, holds: Callable[[Object], Any] = lambda obj: True) -> Object:
        """Read on to the event of `kind` about `name` whose object `holds`; what comes before is passed over."""
        deadline, seen = time.monotonic() + WAIT_SECONDS, []
        while time.monotonic() < deadline:
            found, obj = self.next()
            if (found, obj["metadata"]["name"]) == (kind, name) and holds(obj):
                return obj
            seen.append((found, obj["metadata"].get("name")))
        raise AssertionError(f"no {kind} of {name}, but {seen}")

    def must_be(self, kind: str, name: str) -> Object:
        """The very next event is `kind` of `name`."""
        found, obj = self.next()
        assert (found, obj["metadata"]["name"]) == (kind, name), f"{found} {obj['metadata']}"
        return obj


def with_query(path: str, query: Mapping[str, str | int]) -> str:
    if not query:
        return path
    return path + ("&" if "?" in path else "?") + urlencode(query)
