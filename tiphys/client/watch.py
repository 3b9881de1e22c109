"""A watch as a stream of events: line-delimited JSON from the server, in revision order.

The stream ends when the server ends it (its timeout) or the caller stops iterating; both are normal, and the caller
goes on from the last revision it saw.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson

from tiphys.client.connection import Connection
from tiphys.client.errors import ConnectionFailed, error_of_status
from tiphys.client.resources import ApiObject, Resource
from tiphys.logs import fields

T = TypeVar("T", bound=ApiObject)

_log = logging.getLogger(__name__)

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
IDLE_MARGIN_SECONDS = 30.0  # how much later than its own timeout a silent server may end the stream


@dataclass(frozen=True, slots=True)
class WatchEvent(Generic[T]):
    """`object` is None for a bookmark only; `initial_events_end` marks the bookmark that ends a WatchList's start."""

    type: str  # ADDED, MODIFIED, DELETED, BOOKMARK
    object: T | None
    resource_version: str
    initial_events_end: bool = False


async def watch_events(
    connection: Connection, resource: Resource[T], namespace: str, query: Mapping[str, str], timeout_seconds: int
) -> AsyncGenerator[WatchEvent[T], None]:
    """Decoded events of GET ...?watch=true.  Raises ApiError (also for ERROR events) and ConnectionFailed."""
    asked = {"watch": "true", "allowWatchBookmarks": "true", **query}
    idle = timeout_seconds + IDLE_MARGIN_SECONDS if timeout_seconds else None
    async with connection.stream(
        resource.path(namespace),
        query=asked,
        headers={"Accept": resource.accept("watch")},
        idle_timeout_seconds=idle,
    ) as chunks:
        async for line in split_lines(chunks):
            event = decode_event(line, resource)
            if event is not None:
                yield event


async def split_lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Whole lines of a chunked body, however long; an unfinished line at the end is dropped (it will come again)."""
    parts: list[bytes] = []
    async for chunk in chunks:
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            parts.append(chunk[start:end])
            line = b"".join(parts) if len(parts) > 1 else parts[0]
            parts.clear()
            start = end + 1
            if line:
                yield line
        if start < len(chunk):
            parts.append(chunk[start:])


def decode_event(line: bytes, resource: Resource[T]) -> WatchEvent[T] | None:
    """One line of the stream; None for an object our model cannot hold: one odd object must not blind a controller.

    Raises the ApiError an ERROR event carries, ConnectionFailed for a line that is no event."""
    try:
        event: dict[str, Any] = orjson.loads(line)
        kind, obj = event["type"], event["object"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise ConnectionFailed(f"watch of {resource}: not an event: {line[:80]!r}") from error
    if kind == "ERROR":
        raise error_of_status(obj)
    metadata = obj["metadata"]
    revision = str(metadata.get("resourceVersion", ""))
    if kind == "BOOKMARK":
        ended = (metadata.get("annotations") or {}).get(INITIAL_EVENTS_END) == "true"
        return WatchEvent(kind, None, revision, ended)
    try:
        return WatchEvent(kind, resource.decode(obj), revision)
    except ValueError:
        name = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
        _log.exception("object not understood", extra=fields(resource=resource, name=name))
        return None
