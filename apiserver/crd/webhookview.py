"""A view of the watch cache whose objects a conversion webhook brings into the version: asked once for many.

What must stay true: nobody is shown an object in another version than asked for; what has been converted is remembered
until it changes.  Field selectors are asked about the stored object, because they are asked before any webhook can be.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import orjson

from apiserver.crd.view import Obj, VersionView, ViewWatch
from apiserver.storage.cacheitem import EVERYTHING, CacheItem, Filter, WatchEvent
from apiserver.storage.resourcecache import Listing, Watch
from apiserver.storage.store import StoreError
from apiserver.storage.watchcache import WatchCache
from tiphys.api.kinds import KindInfo
from tiphys.api.status import StatusError

Objects = list[Obj]
Items = list[CacheItem]
Events = list[WatchEvent]
BringAll = Callable[[Objects], Awaitable[Objects]]


class WebhookView(VersionView):
    """`bring_all`: stored objects, ours to change, in the view's version."""

    def __init__(self, cache: WatchCache, prefix: str, info: KindInfo, bring_all: BringAll) -> None:
        super().__init__(cache, prefix, info, lambda obj: obj)
        self._bring_all = bring_all

    def show(self, item: CacheItem) -> CacheItem:
        """For looks that cannot wait: as converted before, else as stored."""
        known = self._shown.get(item.key)
        return known[1] if known is not None and known[0] is item else item

    async def show_all(self, items: Sequence[CacheItem], *, remember: bool = True) -> Items:
        """Raises StatusError where the conversion fails."""
        found = [self._shown.get(item.key) for item in items]
        unknown = [item for item, known in zip(items, found, strict=True) if known is None or known[0] is not item]
        objects = await self._bring_all([orjson.loads(item.data) for item in unknown])
        fresh = {id(item): self._as_item(item, obj) for item, obj in zip(unknown, objects, strict=True)}
        if remember:
            self._forget_some()
            self._shown.update({item.key: (item, fresh[id(item)]) for item in unknown})
        shown = []
        for item, known in zip(items, found, strict=True):
            shown.append(fresh[id(item)] if known is None or known[0] is not item else known[1])
        return shown

    def filter(self, view: Filter) -> Filter:
        matches = view.matches
        if matches is None or not self._fields:
            return view
        readers = self._fields

        def asked(item: CacheItem) -> bool:
            obj = orjson.loads(item.data)
            return matches(replace(item, fields={path: read(obj) for path, read in readers.items()}))

        return Filter(view.namespace, view.name, asked)

    async def get(self, key: str, revision: int | None = None) -> CacheItem | None:
        found = await self.cache.get(key, revision)
        return None if found is None else (await self.show_all([found]))[0]

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
        return replace(found, items=await self.show_all(found.items))

    async def watch(
        self, prefix: str, view: Filter = EVERYTHING, *, revision: int | None = None, initial: bool = False
    ) -> Watch:
        found = await self.cache.watch(prefix, self.filter(view), revision=revision, initial=initial)
        found.initial = await self.show_all(found.initial)
        return WebhookWatch(found, self)

    async def show_events(self, events: Sequence[WatchEvent]) -> Events:
        unknown = [one for one in events if (one.revision, one.type, one.item.key) not in self._events]
        gone = [one for one in unknown if one.type == "DELETED"]
        there = [one for one in unknown if one.type != "DELETED"]
        items = [*await self.show_all([one.item for one in gone], remember=False)]
        items += await self.show_all([one.item for one in there])
        fresh = {}
        for event, item in zip([*gone, *there], items, strict=True):
            key = (event.revision, event.type, event.item.key)
            fresh[key] = event if item is event.item else WatchEvent(event.type, item, event.revision)
        shown = []
        for event in events:
            key = (event.revision, event.type, event.item.key)
            shown.append(fresh[key] if key in fresh else self._events[key])
        for key, event in fresh.items():
            self._remember_event(key, event)
        return shown


class WebhookWatch(ViewWatch):
    """As `ViewWatch`, with events that a webhook converts."""

    def __init__(self, watch: Watch, view: WebhookView) -> None:
        initial = watch.initial
        super().__init__(watch, view)
        self.initial = initial
        self._webhook_view = view

    async def shown(self, events: Sequence[WatchEvent]) -> list[WatchEvent]:
        try:
            return await self._webhook_view.show_events(events)
        except StatusError as error:  # the client must list again, and is told there
            raise StoreError(error.message) from None
