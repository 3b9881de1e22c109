"""The watch cache as seen in another version than the stored one: a custom resource's, or events.k8s.io's of events.

Most objects look the same in the cache and in the view, and are handed on as they are; the others are converted once
and remembered.  When a definition changes, its views are closed and new ones made: a watch on a closed view goes on,
unless the kind is gone, when it ends.

What must stay true: selectors are asked about the object as the view shows it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from apiserver.storage.cacheitem import EMPTY, EVERYTHING, CacheItem, Filter, WatchEvent
from apiserver.storage.resourcecache import Listing, ResourceCache, Watch
from apiserver.storage.store import Compacted, StoreError
from apiserver.storage.watchcache import WatchCache
from tiphys.api.kinds import KindInfo
from tiphys.api.status import StatusError

Obj = dict[str, Any]

_EVENTS_KEPT = 512


class VersionView:
    """An `ObjectCache` for one version of one kind."""

    def __init__(self, cache: WatchCache, prefix: str, info: KindInfo, bring: Callable[[Obj], Obj]) -> None:
        """`prefix`: of the stored objects' keys; `bring`: a stored object, ours to change, in the view's version."""
        self.cache = cache
        self.closed = False
        self._bring = bring
        self._objects = cache.resource(prefix)
        self._fields = dict(info.selectable_fields)
        self._shown: dict[str, tuple[CacheItem, CacheItem]] = {}  # key -> (as cached, as shown)
        self._events: OrderedDict[tuple[int, str, str], WatchEvent] = OrderedDict()

    def show(self, item: CacheItem) -> CacheItem:
        """Raises StatusError where the conversion fails."""
        known = self._shown.get(item.key)
        if known is not None and known[0] is item:
            return known[1]
        shown = self._converted(item)
        self._forget_some()
        self._shown[item.key] = (item, shown)
        return shown

    def _forget_some(self) -> None:
        if len(self._shown) > 2 * len(self._objects) + _EVENTS_KEPT:
            self._shown.clear()  # most of it is about objects that are gone

    def _converted(self, item: CacheItem) -> CacheItem:
        return self._as_item(item, self._bring(orjson.loads(item.data)))

    def _as_item(self, item: CacheItem, obj: Obj) -> CacheItem:
        data = orjson.dumps(obj)
        fields: Mapping[str, str] = {path: read(obj) for path, read in self._fields.items()} if self._fields else EMPTY
        if data == item.data and fields == item.fields:
            return item
        return replace(item, data=item.data if data == item.data else bytes(memoryview(data)), fields=fields)

    def show_event(self, event: WatchEvent) -> WatchEvent:
        key = (event.revision, event.type, event.item.key)
        known = self._events.get(key)
        if known is None:
            # What was deleted is not remembered as what is there.
            shown = self._converted(event.item) if event.type == "DELETED" else self.show(event.item)
            if event.type == "DELETED":
                self._shown.pop(event.item.key, None)
            known = event if shown is event.item else WatchEvent(event.type, shown, event.revision)
            self._remember_event(key, known)
        return known

    def _remember_event(self, key: tuple[int, str, str], event: WatchEvent) -> None:
        self._events[key] = event
        if len(self._events) > _EVENTS_KEPT:
            self._events.popitem(last=False)

    def filter(self, view: Filter) -> Filter:
        """A filter of the cache's items that asks about the items of the view."""
        if view.matches is None or not self._fields:
            return view
        matches = view.matches
        return Filter(view.namespace, view.name, lambda item: matches(self.show(item)))

    async def get(self, key: str, revision: int | None = None) -> CacheItem | None:
        found = await self.cache.get(key, revision)
        return None if found is None else self.show(found)

    async def list(
        self,
        prefix: str,
        view: Filter = EVERYTHING,
        *,
        revision: int | None = None,
        exact: bool = False,
        start: str = "",
        limit: int = 0,
    ) -> Listing:
        view = self.filter(view)
        found = await self.cache.list(prefix, view, revision=revision, exact=exact, start=start, limit=limit)
        return replace(found, items=[self.show(item) for item in found.items])

    async def watch(
        self, prefix: str, view: Filter = EVERYTHING, *, revision: int | None = None, initial: bool = False
    ) -> Watch:
        found = await self.cache.watch(prefix, self.filter(view), revision=revision, initial=initial)
        return ViewWatch(found, self)

    async def wait_until(self, revision: int, timeout_seconds: float = 3.0) -> None:
        await self.cache.wait_until(revision, timeout_seconds)

    def resource(self, prefix: str) -> ViewObjects:
        return ViewObjects(self.cache.resource(prefix), self.show)


class ViewObjects:
    """The objects in memory, in the version of a view."""

    def __init__(self, objects: ResourceCache, show: Callable[[CacheItem], CacheItem]) -> None:
        self._objects = objects
        self._show = show

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, key: str) -> CacheItem | None:
        found = self._objects.get(key)
        return None if found is None else self._show(found)

    def list(self, view: Filter, start: str = "", limit: int = 0) -> Listing:
        found = self._objects.list(view, start, limit)
        return replace(found, items=[self._show(item) for item in found.items])


class ViewWatch(Watch):
    """A watch whose events are in the version of a view; ends when the view's kind is served no longer."""

    direct = False

    def __init__(self, watch: Watch, view: VersionView) -> None:
        self.initial: Sequence[CacheItem] = [view.show(item) for item in watch.initial]
        self.initial_revision = watch.initial_revision
        self._watch = watch
        self._shown_by = view

    @property
    def position(self) -> int:
        return self._watch.position

    async def next(self, timeout_seconds: float | None = None) -> list[WatchEvent]:
        try:
            events = [] if self._shown_by.closed else await self._watch.next(timeout_seconds)
            if self._shown_by.closed and not events:
                raise StoreError("the resource is served no longer")
            return await self.shown(events)
        except Compacted:
            if self._shown_by.closed:
                raise StoreError("the resource is served no longer") from None
            raise
        except StatusError as error:  # a conversion failed: the client must list again, and is told there
            raise StoreError(error.message) from None

    async def shown(self, events: Sequence[WatchEvent]) -> list[WatchEvent]:
        return [self._shown_by.show_event(event) for event in events]
