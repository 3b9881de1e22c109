"""The store on etcd, for more than one API server.

Messages are aetcd's; they go through a channel of ours (aetcd's client has no TLS and loses revisions, and grpcio costs
more than all else in a write), watches through a second one so that large reads cannot starve them.  Debian's etcd 3.4
repeats watch events, loses some at a compacted revision and sends progress notifications that are not in step with the
events: so events at or below the position are dropped, a watch starts only after the revision before its start proved
readable, and progress is never asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aetcd import rpc

from apiserver.storage import http2
from apiserver.storage.grpc_channel import Channel
from apiserver.storage.http2 import RpcError
from apiserver.storage.store import (
    Compacted,
    Conflict,
    Entry,
    Event,
    FutureRevision,
    NoSpace,
    Page,
    StoreError,
    TooLarge,
    prefix_end,
)

logger = logging.getLogger(__name__)

REQUEST_SECONDS = 10.0
RANGE_PAGE = 1000  # keys per request of a long range
RETRY_SECONDS = (0.05, 0.2, 0.5, 1.0, 2.0)
ALL_KEYS = b"\0"
RANGE, TXN, COMPACT = "/etcdserverpb.KV/Range", "/etcdserverpb.KV/Txn", "/etcdserverpb.KV/Compact"
WATCH = "/etcdserverpb.Watch/Watch"
PASSING = frozenset(
    {http2.UNAVAILABLE, http2.DEADLINE_EXCEEDED, http2.CANCELLED, http2.INTERNAL, http2.UNKNOWN}
)  # worth another attempt


@dataclass(frozen=True, slots=True)
class EtcdTls:
    """PEM files: the CA that signed the servers, and this client's certificate and key."""

    ca: Path
    certificate: Path
    key: Path
    server_name: str = ""  # where the certificate names another host than the endpoint


class EtcdStore:
    """`Store` on the cluster at `endpoints` ("127.0.0.1:2379", ...).  Make it inside the running event loop."""

    def __init__(self, endpoints: Sequence[str], tls: EtcdTls | None = None) -> None:
        self._requests = _channel(endpoints, tls)
        self._watches = _channel(endpoints, tls)  # and the checks that belong to a watch
        self._newest = 0  # the newest revision any answer told us
        self._closed = False

    async def create(self, key: str, value: bytes) -> int:
        return await self._put(key, value, 0)

    async def update(self, key: str, value: bytes, expected: int) -> int:
        _check_expected(key, expected)
        return await self._put(key, value, expected)

    async def _put(self, key: str, value: bytes, expected: int) -> int:
        try:
            put = rpc.PutRequest(key=key.encode(), value=value)
            return await self._swap(key, expected, rpc.RequestOp(request_put=put))
        except NoSpace:
            found, _ = await self.get(key)  # etcd does the write that crosses its quota, and says it did not
            if found and found.revision != expected and found.value == value:
                return found.revision
            raise

    async def delete(self, key: str, expected: int) -> int:
        _check_expected(key, expected)
        delete = rpc.DeleteRangeRequest(key=key.encode())
        return await self._swap(key, expected, rpc.RequestOp(request_delete_range=delete))

    async def _swap(self, key: str, expected: int, write: Any) -> int:
        """Write where the key's modification revision is `expected`; else Conflict with what is there."""
        compare = rpc.Compare(result=rpc.Compare.EQUAL, target=rpc.Compare.MOD, key=key.encode(), mod_revision=expected)
        read = rpc.RequestOp(request_range=rpc.RangeRequest(key=key.encode()))
        request = rpc.TxnRequest(compare=[compare], success=[write], failure=[read])
        answer = rpc.TxnResponse.FromString(await self._call(TXN, request))
        self._newest = max(self._newest, answer.header.revision)
        if answer.succeeded:
            return int(answer.header.revision)
        found = answer.responses[0].response_range.kvs
        raise Conflict(key, _entry(found[0]) if found else None)

    async def get(self, key: str, revision: int = 0) -> tuple[Entry | None, int]:
        answer = await self._range(rpc.RangeRequest(key=key.encode(), revision=revision), revision)
        return (_entry(answer.kvs[0]) if answer.kvs else None), int(answer.header.revision)

    async def range(self, prefix: str, *, start: str = "", limit: int = 0, revision: int = 0) -> Page:
        entries: list[Entry] = []
        start = max(prefix, start)
        while True:
            size = min(limit - len(entries), RANGE_PAGE) if limit else RANGE_PAGE
            answer = await self._range(
                rpc.RangeRequest(
                    key=start.encode() or ALL_KEYS,
                    range_end=prefix_end(prefix).encode() or ALL_KEYS,
                    limit=size,
                    revision=revision,
                ),
                revision,
            )
            revision = revision or int(answer.header.revision)  # later pages show the state of the first
            entries += [_entry(found) for found in answer.kvs]
            remaining = int(answer.count) - len(answer.kvs)
            if not remaining or not answer.kvs or len(entries) == limit:
                return Page(entries, revision, remaining)
            start = entries[-1].key + "\0"

    async def revision(self) -> int:
        answer = await self._range(rpc.RangeRequest(key=ALL_KEYS, count_only=True), 0)
        return int(answer.header.revision)

    async def compact(self, revision: int) -> None:
        try:
            await self._call(COMPACT, rpc.CompactionRequest(revision=revision))
        except _OutOfRange as error:
            raise await self._explain(revision, error) from None

    async def watch(self, prefix: str, revision: int) -> AsyncGenerator[Sequence[Event], None]:
        position, failures = revision, 0
        while True:
            self._check_open()
            try:
                async with contextlib.aclosing(self._watch_once(prefix, position)) as batches:
                    async for batch in batches:
                        position, failures = batch[-1].entry.revision, 0
                        yield batch
            except RpcError as error:
                self._check_open()
                if error.code not in PASSING:
                    raise StoreError(f"etcd: {error.details}") from error
                logger.info("watch interrupted, resuming revision=%d reason=%r", position, error.details)
            await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
            failures += 1

    async def _watch_once(self, prefix: str, revision: int) -> AsyncGenerator[Sequence[Event], None]:
        """One stream from `revision` until it breaks."""
        create = rpc.WatchCreateRequest(
            key=prefix.encode() or ALL_KEYS,
            range_end=prefix_end(prefix).encode() or ALL_KEYS,
            start_revision=revision + 1,
            prev_kv=True,
        )
        position = revision
        async with contextlib.aclosing(self._watch_answers(create)) as answers:
            async for answer in answers:
                if answer.compact_revision:
                    raise Compacted(position, int(answer.compact_revision))
                if answer.canceled:
                    raise StoreError(f"etcd ended the watch: {answer.cancel_reason}")
                if answer.created:
                    await self._check_history(revision)
                batch = [_event(event) for event in answer.events if event.kv.mod_revision > position]
                if batch:
                    position = batch[-1].entry.revision
                    yield batch

    async def _watch_answers(self, create: Any) -> AsyncGenerator[Any, None]:
        request = rpc.WatchRequest(create_request=create).SerializeToString()
        async with contextlib.aclosing(self._watches.stream(WATCH, request)) as answers:
            async for answer in answers:
                yield rpc.WatchResponse.FromString(answer)

    async def _check_history(self, revision: int) -> None:
        """Raise Compacted or FutureRevision unless the state at `revision` is readable: a watch may start after it."""
        probe = rpc.RangeRequest(key=ALL_KEYS, count_only=True, revision=max(revision, 1))
        try:
            await self._watches.call(RANGE, probe.SerializeToString(), REQUEST_SECONDS)
        except RpcError as error:
            if error.code == http2.OUT_OF_RANGE:
                raise await self._explain(revision, _OutOfRange(error.details)) from None
            raise

    async def _range(self, request: Any, revision: int) -> Any:
        """A linearizable read.  A member that was paused may answer with an older state: ask again."""
        known = self._newest
        for delay in (*RETRY_SECONDS, 0.0):
            try:
                answer = rpc.RangeResponse.FromString(await self._call(RANGE, request))
            except _OutOfRange as error:
                raise await self._explain(revision, error) from None
            if answer.header.revision >= known:
                self._newest = max(self._newest, answer.header.revision)
                return answer
            await asyncio.sleep(delay)
        raise StoreError(f"etcd answers with revision {answer.header.revision} after it answered with {known}")

    async def _explain(self, revision: int, error: _OutOfRange) -> Exception:
        """The error our callers know, with the revision that makes it useful."""
        if "future revision" in str(error):
            return FutureRevision(revision, await self.revision())
        return Compacted(revision, await self._compacted())

    async def _compacted(self) -> int:
        """The compaction revision: etcd tells it only to a watch that starts before it."""
        create = rpc.WatchCreateRequest(key=b"\1", start_revision=1)
        try:
            async with asyncio.timeout(REQUEST_SECONDS), contextlib.aclosing(self._watch_answers(create)) as answers:
                async for answer in answers:
                    if answer.compact_revision:
                        return int(answer.compact_revision)
        except (RpcError, TimeoutError):
            pass  # the number is for the message only
        return 0

    async def _call(self, path: str, request: Any) -> bytes:
        self._check_open()
        try:
            return await self._requests.call(path, request.SerializeToString(), REQUEST_SECONDS)
        except RpcError as error:
            raise _translate(error) from error

    async def close(self) -> None:
        self._closed = True
        await self._watches.close()
        await self._requests.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("the store is closed")


class _OutOfRange(Exception):
    """etcd's answer for revisions that are compacted or have not happened."""


def _channel(endpoints: Sequence[str], tls: EtcdTls | None) -> Channel:
    """A channel to whichever endpoint answers.  Raises StoreError."""
    if tls is None:
        return Channel(endpoints, None)
    try:
        context = ssl.create_default_context(cafile=str(tls.ca))
        context.load_cert_chain(tls.certificate, tls.key)
    except OSError as error:
        raise StoreError(f"the certificates for etcd: {error}") from error
    context.set_alpn_protocols(["h2"])
    return Channel(endpoints, context, tls.server_name)


def _translate(error: RpcError) -> Exception:
    if error.code == http2.OUT_OF_RANGE:
        return _OutOfRange(error.details)
    if error.code == http2.RESOURCE_EXHAUSTED and "space exceeded" in error.details:
        return NoSpace(f"etcd: {error.details}")
    if "request is too large" in error.details or "larger than max" in error.details:
        return TooLarge(f"etcd: {error.details}")
    return StoreError(f"etcd: {error.details}")


def _check_expected(key: str, expected: int) -> None:
    if expected <= 0:
        raise ValueError(f"write to {key} without the revision it expects")


def _entry(found: Any) -> Entry:
    return Entry(found.key.decode(), found.value, found.mod_revision, found.create_revision)


def _event(event: Any) -> Event:
    previous = _entry(event.prev_kv) if event.prev_kv.mod_revision else None
    if event.type == rpc.Event.DELETE:
        return Event(Entry(event.kv.key.decode(), b"", event.kv.mod_revision, 0), previous, True)
    return Event(_entry(event.kv), previous)
