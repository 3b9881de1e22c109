"""One kind's objects in the store: read, insert, read-modify-write, remove.

What must stay true: a change is made to the object that is in the store, never to a stale copy; the caller's `change`
runs again whenever somebody else was faster.  Reads come from the watch cache after it has caught up with the store.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from apiserver.registry.codec import encode_stored, with_revision
from apiserver.registry.deletion import is_finished
from apiserver.registry.strategy import Allocation, Strategy
from apiserver.storage.cacheitem import EVERYTHING, CacheItem, Filter
from apiserver.storage.resourcecache import Listing, Watch
from apiserver.storage.store import Conflict, Store
from tiphys.api.kinds import KindInfo
from tiphys.api.status import already_exists, not_found

Obj = dict[str, Any]

_OWN_WRITES = 256


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as it is (or, in a dry run, would be) in the store; `encoded` is the client's JSON."""

    obj: Obj
    encoded: bytes
    revision: int = 0
    removed: bool = False


Change = Callable[[Obj], Awaitable[Obj | None]]
"""(the current object, ours to change) -> the new object; None removes it.  Raises StatusError to refuse."""


class Objects(Protocol):
    """The objects of one resource as they are in memory now (`ResourceCache`)."""

    def __len__(self) -> int: ...

    def get(self, key: str) -> CacheItem | None: ...

    def list(self, view: Filter, start: str = "", limit: int = 0) -> Listing: ...


class ObjectCache(Protocol):
    """What verbs read from: the watch cache, or a view of it in one version of a custom resource."""

    async def get(self, key: str, revision: int | None = None) -> CacheItem | None: ...

    async def list(
        self,
        prefix: str,
        view: Filter = EVERYTHING,
        *,
        revision: int | None = None,
        exact: bool = False,
        start: str = "",
        limit: int = 0,
    ) -> Listing: ...

    async def watch(
        self, prefix: str, view: Filter = EVERYTHING, *, revision: int | None = None, initial: bool = False
    ) -> Watch: ...

    async def wait_until(self, revision: int, timeout_seconds: float = 3.0) -> None: ...

    def resource(self, prefix: str) -> Objects: ...


class ResourceStore:
    def __init__(self, info: KindInfo, strategy: Strategy, store: Store, cache: ObjectCache) -> None:
        self.info = info
        self.strategy = strategy
        self.cache = cache
        self._store = store
        group, plural = info.storage
        self.prefix = f"/registry/{group or 'core'}/{plural}/"
        self._cached = cache.resource(self.prefix)
        self._own: dict[str, tuple[bytes, int]] = {}  # our newest writes, for as long as the cache may not show them

    def __len__(self) -> int:
        """How many objects there are."""
        return len(self._cached)

    def key(self, namespace: str, name: str) -> str:
        return f"{self.prefix}{namespace}/{name}" if self.info.namespaced else f"{self.prefix}{name}"

    def to_storage(self, value: bytes) -> bytes:
        """Stored bytes in this kind's version as they are kept; custom resources have a version of their own there."""
        return value

    def from_storage(self, value: bytes) -> bytes:
        """The opposite, for whatever version is there."""
        return value

    async def stored_form(self, value: bytes) -> bytes:
        """`to_storage` where somebody else may have to be asked: conversion webhooks."""
        return self.to_storage(value)

    async def shown_form(self, value: bytes) -> bytes:
        """`from_storage`, likewise."""
        return self.from_storage(value)

    async def cached(self, key: str) -> CacheItem | None:
        """What the cache has at this moment, in this kind's version."""
        return self._cached.get(key)

    def missing(self, name: str) -> Exception:
        return not_found(self.info.group, self.info.plural, name)

    async def get(self, namespace: str, name: str, *, stale: bool = False) -> Stored:
        """The object as of now (`stale`: whatever the cache has).  Raises 404."""
        found = await self.cache.get(self.key(namespace, name), 0 if stale else None)
        if found is None:
            raise self.missing(name)
        return Stored(orjson.loads(found.data), found.data, found.revision)

    async def get_encoded(self, namespace: str, name: str, *, revision: int | None = None) -> bytes:
        """The client's bytes without decoding them; `revision` as the watch cache means it.  Raises 404."""
        found = await self.cache.get(self.key(namespace, name), revision)
        if found is None:
            raise self.missing(name)
        return found.data

    def peek(self, namespace: str, name: str) -> Obj | None:
        """The object as the cache has it at this moment, or None."""
        found = self._cached.get(self.key(namespace, name))
        return None if found is None else orjson.loads(found.data)

    def peek_all(self, namespace: str = "") -> list[Obj]:
        """Every object (of a namespace) as the cache has it at this moment."""
        return [orjson.loads(item.data) for item in self._cached.list(Filter(namespace)).items]

    async def insert(self, obj: Obj, *, dry_run: bool = False) -> Stored:
        """Create; raises 409 AlreadyExists.  In a dry run the object has no resourceVersion."""
        metadata = obj["metadata"]
        metadata.pop("resourceVersion", None)
        key = self.key(metadata.get("namespace", ""), metadata["name"])
        value = encode_stored(obj)
        if dry_run:
            if self._cached.get(key) is not None:
                raise already_exists(self.info.group, self.info.plural, metadata["name"])
            return Stored(obj, value)
        try:
            revision = await self._store.create(key, await self.stored_form(value))
        except Conflict:
            raise already_exists(self.info.group, self.info.plural, metadata["name"]) from None
        metadata["resourceVersion"] = str(revision)
        encoded = with_revision(value, revision)
        self._note(key, encoded, revision)
        return Stored(obj, encoded, revision)

    async def change(
        self, namespace: str, name: str, change: Change, *, dry_run: bool = False, taken: list[Allocation] | None = None
    ) -> Stored:
        """Read, let `change` have it, write; again when somebody else wrote in between.  Raises 404.

        What `change` appends to `taken` is kept when its object was written and given back otherwise."""
        taken = [] if taken is None else taken
        try:
            stored = await self._change(self.key(namespace, name), name, change, dry_run=dry_run, taken=taken)
        except BaseException:
            await _give_back(taken)
            raise
        if dry_run:
            await _give_back(taken)
        for one in taken:
            await one.keep()
        return stored

    async def _change(self, key: str, name: str, change: Change, *, dry_run: bool, taken: list[Allocation]) -> Stored:
        found = await self.cached(key)
        if found is not None:
            encoded, revision, fresh = found.data, found.revision, False
        else:
            encoded, revision, fresh = *await self._read(key, name), True
        while True:
            current = orjson.loads(encoded)
            await _give_back(taken)  # of the last attempt
            try:
                new = await change(orjson.loads(encoded))
            except Exception:
                if fresh:
                    raise
                latest, latest_revision = await self._read(key, name)
                if latest_revision == revision:
                    raise
                encoded, revision, fresh = latest, latest_revision, True
                continue
            if new is not None and _same(new, current):
                if not fresh:
                    latest, latest_revision = await self._read(key, name)
                    if latest_revision != revision:
                        encoded, revision, fresh = latest, latest_revision, True
                        continue
                return Stored(current, encoded, revision)
            remove = new is None or is_finished(new, current, self.strategy)
            try:
                return await self._write(key, current, new, revision, remove=remove, dry_run=dry_run)
            except Conflict as conflict:
                if conflict.current is None:
                    raise self.missing(name) from None
                found_now = conflict.current
                value = await self.shown_form(found_now.value)
                encoded, revision, fresh = with_revision(value, found_now.revision), found_now.revision, True

    def _newest_known(self, key: str) -> tuple[bytes, int] | None:
        """What the cache shows, or what we wrote after it: with etcd its watch is a little behind our own writes."""
        found, own = self._cached.get(key), self._own.get(key)
        if own is not None and (found is None or found.revision < own[1]):
            return own
        if own is not None:
            del self._own[key]
        return None if found is None else (found.data, found.revision)

    def _note(self, key: str, encoded: bytes, revision: int) -> None:
        if len(self._own) >= _OWN_WRITES:
            self._own.clear()  # it only saves a second attempt
        self._own[key] = (encoded, revision)

    async def _write(
        self, key: str, current: Obj, new: Obj | None, revision: int, *, remove: bool, dry_run: bool
    ) -> Stored:
        last = current if new is None else new
        if remove:
            if not dry_run:
                deleted_at = await self._store.delete(key, revision)
                self._own.pop(key, None)
                last["metadata"]["resourceVersion"] = str(deleted_at)
                if self.strategy.release is not None:
                    await self.strategy.release(last)
            return Stored(last, orjson.dumps(last), removed=True)
        value = encode_stored(last)
        if dry_run:
            last["metadata"]["resourceVersion"] = str(revision)
            return Stored(last, with_revision(value, revision), revision)
        written = await self._store.update(key, await self.stored_form(value), revision)
        last["metadata"]["resourceVersion"] = str(written)
        return Stored(last, with_revision(value, written), written)

    async def _read(self, key: str, name: str) -> tuple[bytes, int]:
        entry, _ = await self._store.get(key)
        if entry is None:
            raise self.missing(name)
        return with_revision(await self.shown_form(entry.value), entry.revision), entry.revision


async def _give_back(taken: list[Allocation]) -> None:
    while taken:
        await taken.pop().give_back()


def _same(new: Obj, old: Obj) -> bool:
    """Equal, or equal but for the times in managedFields; then `old` stays, so that a no-op is one."""
    if new == old:
        return True
    new_meta, old_meta = new["metadata"], old["metadata"]
    if any(new.get(key) != old.get(key) for key in new.keys() | old.keys() if key != "metadata"):
        return False
    if any(
        new_meta.get(key) != old_meta.get(key) for key in new_meta.keys() | old_meta.keys() if key != "managedFields"
    ):
        return False
    return _without_times(new_meta) == _without_times(old_meta)


def _differ(new: Obj, old: Obj, but: str) -> bool:
    return any(new.get(key) != old.get(key) for key in new.keys() | old.keys() if key != but)


def _without_times(metadata: Obj) -> list[Obj]:
    return [
        {key: value for key, value in entry.items() if key != "time"} for entry in metadata.get("managedFields", [])
    ]
