"""watch: the events after a revision, as a stream of frames: lines of JSON, or protobuf with their lengths.

What must stay true: no gap, no repetition, no reordering, or the stream ends with an ERROR event that says 410; a
bookmark's resourceVersion is one from which a new watch misses nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson

from apiserver.encoding import dump
from apiserver.negotiation import JSON, PROTOBUF, Accepted, negotiate
from apiserver.protobuf import encode_item, encode_object, speaks, watch_frame
from apiserver.request import Chunk, Request, StreamingResponse, Wire
from apiserver.requestinfo import first, integer, truthy
from apiserver.storage.cacheitem import CacheItem, WatchEvent
from apiserver.storage.fanout import Told
from apiserver.storage.resourcecache import Watch
from apiserver.storage.store import Compacted, StoreError
from apiserver.verbs import Scope
from apiserver.verbs.freshness import check_watch, read_revision, too_old, translate
from apiserver.verbs.render import in_version, include_object
from apiserver.verbs.selection import selection
from tiphys.api.status import StatusError
from tiphys.api.table import build_table, partial_metadata

BOOKMARK_SECONDS = 60.0
_SHORTEST_DEFAULT_SECONDS = 1800
_INITIAL_FRAME = 200  # objects per write of the initial state

Frame = Callable[[WatchEvent], bytes]


async def watch(request: Request, scope: Scope) -> StreamingResponse:
    if request.method not in ("GET", "HEAD"):  # the old paths below /watch/ are watches by their name
        text = "the server does not allow this method on the requested resource"
        raise StatusError(405, "MethodNotAllowed", text, details={})
    accepted = negotiate(request.headers.get("Accept", ""))
    if accepted.media_type == PROTOBUF and not speaks(scope.info):
        accepted = Accepted()
    if accepted.media_type not in (JSON, PROTOBUF):
        raise StatusError(406, "NotAcceptable", f"only the following media types are accepted: {JSON}", details={})
    query = request.query
    check_watch(query)
    namespace = request.info.namespace if scope.info.namespaced else ""
    view = selection(query, scope.info, namespace, request.info.name)
    revision = read_revision(first(query, "resourceVersion"))
    asks_initial = truthy(query, "sendInitialEvents")
    initial = asks_initial or (not query.get("sendInitialEvents") and not revision)
    bookmarks = truthy(query, "allowWatchBookmarks")
    frames = Frames(request, scope, accepted)
    try:
        with translate(scope.info):
            events = await scope.store.cache.watch(scope.store.prefix, view, revision=revision, initial=initial)
    except StatusError as error:
        if error.code != 410:
            raise
        return StreamingResponse(_once(frames.error(error)), frames.content_type)
    timeout_seconds = _timeout(integer(query, "timeoutSeconds"))
    chunks = _stream(events, frames, timeout_seconds, bookmarks=bookmarks, mark_end=asks_initial and bookmarks)
    return StreamingResponse(chunks, frames.content_type)


def _timeout(asked: int | None) -> float:
    return float(asked) if asked and asked > 0 else _SHORTEST_DEFAULT_SECONDS * (1 + random.random())


async def _once(frame: bytes) -> AsyncIterator[bytes]:
    yield frame


async def _stream(
    events: Watch, frames: Frames, timeout_seconds: float, *, bookmarks: bool, mark_end: bool
) -> AsyncIterator[Chunk]:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_seconds
    for start in range(0, len(events.initial), _INITIAL_FRAME):
        page = events.initial[start : start + _INITIAL_FRAME]
        yield b"".join([frames.event(WatchEvent("ADDED", item, item.revision)) for item in page])
    if mark_end:
        yield frames.bookmark(events.initial_revision, initial_end=True)
    elif not events.initial:
        yield b""  # send the headers: the client may be waiting for them before it writes
    try:
        while (left := deadline - loop.time()) > 0:
            pause = min(left, BOOKMARK_SECONDS)
            if events.direct:
                pushed = Pushed(events, frames, pause)
                yield pushed
                if pushed.error is not None:
                    raise pushed.error
            elif batch := await events.next(pause):
                yield b"".join([frames.event(event) for event in batch])
                continue
            if bookmarks:
                yield frames.bookmark(events.position)
    except Compacted as error:
        yield frames.error(too_old(error.revision, error.compacted))
    except StoreError:
        return  # the server is stopping: the client watches again elsewhere


class Pushed:
    """A stretch of a watch that goes from the cache to the connection by itself; `error` is what ended it early."""

    def __init__(self, events: Watch, frames: Frames, seconds: float) -> None:
        self.error: Compacted | StoreError | None = None
        self._events = events
        self._frames = frames
        self._seconds = seconds

    async def run(self, wire: Wire) -> None:
        try:
            await self._events.deliver(_Framed(self._frames, wire), self._seconds)
        except (Compacted, StoreError) as error:
            self.error = error


class _Framed:
    """The sink of a watcher."""

    def __init__(self, frames: Frames, wire: Wire) -> None:
        self._shared = frames.shared
        self._frames = frames
        self._wire = wire

    def send(self, told: Told) -> bool:
        if self._shared:
            return self._wire.write(told.lines)
        return self._wire.write(b"".join([self._frames.event(event) for event in told.events]))

    async def drain(self) -> None:
        await self._wire.drain()


class Frames:
    """Events in the representation the client asked for; plain JSON is shared between watchers."""

    def __init__(self, request: Request, scope: Scope, accepted: Accepted) -> None:
        self._info = scope.info
        self._clock = scope.clock
        self._accepted = accepted
        self._include = include_object(request) if accepted.transform == "Table" else ""
        self._headers_due = True
        self._protobuf = accepted.media_type == PROTOBUF
        self.shared = not self._protobuf and not accepted.transform

    @property
    def content_type(self) -> str:
        return f"{PROTOBUF};stream=watch" if self._protobuf else self._accepted.content_type

    def error(self, error: StatusError) -> bytes:
        return self._frame("ERROR", error.to_dict())

    def _frame(self, event_type: str, obj: dict[str, Any]) -> bytes:
        body = encode_object(obj) if self._protobuf else None
        if body is not None:
            return watch_frame(event_type, body)
        return b'{"type":"%b","object":%b}\n' % (event_type.encode(), dump(obj))

    def event(self, event: WatchEvent) -> bytes:
        if self._protobuf:
            return watch_frame(event.type, encode_item(self._info, event.item))
        if not self._accepted.transform:
            return event.line
        return self._frame(event.type, self._transform(event.item))

    def _transform(self, item: CacheItem) -> dict[str, Any]:
        obj: dict[str, Any] = orjson.loads(item.data)
        if self._accepted.transform != "Table":
            return in_version(partial_metadata(obj), self._accepted)
        version = {"resourceVersion": obj["metadata"]["resourceVersion"]}
        headers, self._headers_due = self._headers_due, False
        now = self._clock.now()
        shown = build_table(self._info, [obj], version, now, include_object=self._include, headers=headers)
        return in_version(shown, self._accepted)

    def bookmark(self, revision: int, *, initial_end: bool = False) -> bytes:
        metadata: dict[str, Any] = {"resourceVersion": str(revision), "creationTimestamp": None}
        if initial_end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        kind, api_version = self._info.kind, self._info.api_version
        obj: dict[str, Any] = {"kind": kind, "apiVersion": api_version, "metadata": metadata}
        if self._accepted.transform == "Table":
            obj = {
                "kind": "Table",
                "apiVersion": f"meta.k8s.io/{self._accepted.version}",
                "metadata": metadata,
                "columnDefinitions": None,
                "rows": [{"cells": [], "object": {**obj, "kind": "PartialObjectMetadata"}}] if initial_end else [],
            }
        elif self._accepted.transform:
            obj.update(kind="PartialObjectMetadata", apiVersion=f"meta.k8s.io/{self._accepted.version}")
        return self._frame("BOOKMARK", obj)
