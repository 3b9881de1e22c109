"""The watch cache: every object in memory, encoded once, in front of either store.

One watch over the whole key space feeds all resources, so the cache's revision is the store's, and a bookmark of an
idle resource advances with everybody's writes.  Reads say how fresh they must be; a read that must be the newest asks
the store for its revision and waits until the cache has come that far (never for a progress notification), else reads
the store.  When history is lost the cache lists again and every open watch ends with Compacted: it never shows a gap.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
from collections.abc import Sequence

from apiserver.storage.cacheitem import EVERYTHING, CacheEvent, CacheItem, Describe, Filter
from apiserver.storage.resourcecache import Listing, ResourceCache, Watch
from apiserver.storage.store import Compacted, Damaged, Entry, Event, FutureRevision, Store, StoreError

logger = logging.getLogger(__name__)

FILL_PAGE = 1000  # entries per read of the first fill
EXACT_PAGE = 500  # entries per read when a selector thins out a page read from the store
FRESH_TIMEOUT_SECONDS = 3.0  # how long a read waits for the cache; upstream's "Too large resource version" after it
RETRY_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)


class WatchCache:
    """`await start()` fills it; close it before the store.

    A read's `revision`: None is the newest (linearizable), 0 whatever is here, N not older than N."""

    def __init__(self, store: Store, describe: Describe, *, prefix: str = "/registry/") -> None:
        self.store = store
        self._describe = describe
        self._prefix = prefix
        self._resources: dict[str, ResourceCache] = {}
        self._revision = 0
        self._floor = 0  # the revision of the last fill: there are no events before it
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._waited = 0
        self._follower: asyncio.Task[None] | None = None
        self._stalled_at = 0

    @property
    def revision(self) -> int:
        """The newest revision the cache has seen; 0 before `start` is done."""
        return self._revision

    async def start(self) -> None:
        """Read everything, then follow the store until `close`.  Raises StoreError when the store cannot be read."""
        await self._fill()
        self._follower = asyncio.create_task(self._follow(), name="watch-cache")

    async def close(self) -> None:
        follower, self._follower = self._follower, None
        if follower:
            follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await follower
        for resource in self._resources.values():
            resource.close()

    def resource(self, prefix: str) -> ResourceCache:
        """The resource below "/registry/<group>/<resource>/", empty when it has no objects."""
        found = self._resources.get(prefix)
        if found is None:
            found = self._resources[prefix] = ResourceCache(prefix, self._floor, lambda: self._revision)
        return found

    def prefixes(self) -> Sequence[str]:
        """The resources the cache knows, in order."""
        return sorted(self._resources)

    async def reload(self) -> None:
        """Read everything again; every open watch ends with Compacted.  Raises StoreError."""
        if self._follower:
            self._follower.cancel()  # first: what it applied after the read would be lost
        try:
            await self._fill()
        finally:
            self._follower = asyncio.create_task(self._follow(), name="watch-cache")

    async def get(self, key: str, revision: int | None = None) -> CacheItem | None:
        """Raises Damaged, FutureRevision, StoreError."""
        if not await self._fresh(revision):
            entry, _ = await self.store.get(key)
            return self._described(entry) if entry else None
        resource = self.resource(self._prefix_of(key))
        if key in resource.damaged:
            entry, _ = await self.store.get(key)  # raises Damaged, which names the revision to delete it by
            raise Damaged(key, entry.revision if entry else 0)
        return resource.get(key)

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
        """Objects of the resource at `prefix`, in key order, from key `start`, at most `limit`.

        `exact` asks for the state at exactly `revision` (a list's next page).  Raises Compacted, FutureRevision."""
        if exact and revision:
            await self.wait_until(revision)
            if revision != self._revision:
                return await self._list_store(prefix, view, revision, start, limit)
        elif not await self._fresh(revision):
            return await self._list_store(prefix, view, 0, start, limit)
        return self.resource(prefix).list(view, start, limit)

    async def watch(
        self, prefix: str, view: Filter = EVERYTHING, *, revision: int | None = None, initial: bool = False
    ) -> Watch:
        """A watch of the resource at `prefix`.

        With `initial` it begins with the state, as fresh as `revision` asks.  Without, it has the events after
        `revision`, or from now on where that is None or 0.  Raises Compacted, FutureRevision."""
        if not await self._fresh(revision) and revision is None:
            raise StoreError("the watch cache is behind the store")
        resource = self.resource(prefix)
        if initial:
            return Watch(resource, view, self._revision, resource.list(view).items)
        return Watch(resource, view, revision or self._revision)

    async def wait_until(self, revision: int, timeout_seconds: float = FRESH_TIMEOUT_SECONDS) -> None:
        """Return when the cache has seen `revision`.  Raises FutureRevision when it has not within the timeout."""
        if revision <= self._revision:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waited += 1
        heapq.heappush(self._waiting, (revision, self._waited, waiter))
        try:
            async with asyncio.timeout(timeout_seconds):
                await waiter
        except TimeoutError:
            raise FutureRevision(revision, self._revision) from None

    async def _fresh(self, revision: int | None) -> bool:
        """Make the cache as fresh as asked.  False: it must be the newest and the cache is behind; read the store."""
        if revision is not None:
            await self.wait_until(revision)
            return True
        newest = await self.store.revision()
        try:
            await self.wait_until(newest)
        except FutureRevision:
            self._check_stall(newest)
            return False
        return True

    def _check_stall(self, newest: int) -> None:
        """Start another store watch when this one has not moved while the store did."""
        logger.warning("the watch cache is behind the store revision=%d store_revision=%d", self._revision, newest)
        if self._stalled_at == self._revision and self._follower:
            self._follower.cancel()
            self._follower = asyncio.create_task(self._follow(), name="watch-cache")
        self._stalled_at = self._revision

    async def _list_store(self, prefix: str, view: Filter, revision: int, start: str, limit: int) -> Listing:
        """A page straight from the store, at `revision` (0: now)."""
        below = f"{prefix}{view.namespace}/" if view.namespace else prefix
        found: list[CacheItem] = []
        damaged: list[str] = []
        while True:
            size = (max(limit, EXACT_PAGE) if view.selects else limit) if limit else 0
            page = await self.store.range(below, start=start, limit=size, revision=revision)
            revision = page.revision
            damaged += page.damaged
            for entry in page.entries:
                try:
                    item = self._described(entry)
                except Damaged:
                    damaged.append(entry.key)
                    continue
                if not view.accepts(item):
                    continue
                if limit and len(found) == limit:
                    return Listing(found, revision, found[-1].key + "\0", 0, damaged)
                found.append(item)
            if not page.remaining:
                return Listing(found, revision, "", 0, damaged)
            start = page.last_key + "\0"
            if not view.selects:
                return Listing(found, revision, start, page.remaining, damaged)

    async def _fill(self) -> None:
        """Load the state of one revision into every resource."""
        items: dict[str, list[CacheItem]] = {prefix: [] for prefix in self._resources}
        damaged: dict[str, set[str]] = {}
        start, revision = "", 0
        while True:
            page = await self.store.range(self._prefix, start=start, limit=FILL_PAGE, revision=revision)
            revision = page.revision
            for key in page.damaged:
                damaged.setdefault(self._prefix_of(key), set()).add(key)
            for entry in page.entries:
                prefix = self._prefix_of(entry.key)
                try:
                    items.setdefault(prefix, []).append(self._described(entry))
                except Damaged:
                    damaged.setdefault(prefix, set()).add(entry.key)
            if not page.remaining:
                break
            start = page.last_key + "\0"
        self._floor = revision
        for prefix in items.keys() | damaged.keys():
            resource = self.resource(prefix)
            resource.damaged = damaged.get(prefix, set())
            resource.load(iter(items.get(prefix, [])), revision)
        self._revision = revision  # also where a restored store went back: every watch has ended anyway
        self._advance(revision)

    async def _follow(self) -> None:
        """Apply the store's events for ever; resume after errors, fill again when history is lost."""
        failures = 0
        while True:
            try:
                async with contextlib.aclosing(self.store.watch("", self._revision)) as batches:
                    async for batch in batches:
                        self._apply(batch)
                        failures = 0
            except StoreError as error:
                logger.warning("the store's watch failed, resuming revision=%d reason=%r", self._revision, str(error))
            except Exception as error:  # Compacted, FutureRevision; anything else may have left a batch half applied
                logger.warning("history lost, reading everything again reason=%r", str(error))
                await self._fill_again()
            await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
            failures += 1

    async def _fill_again(self) -> None:
        try:
            await self._fill()
        except (StoreError, Compacted, FutureRevision) as error:
            logger.warning("reading everything again failed reason=%r", str(error))

    def _apply(self, batch: Sequence[Event]) -> None:
        touched = set()
        for event in batch:
            if event.entry.revision <= self._revision or not event.entry.key.startswith(self._prefix):
                continue
            resource = self.resource(self._prefix_of(event.entry.key))
            self._apply_one(resource, event)
            touched.add(resource)
        self._advance(batch[-1].entry.revision)
        for resource in touched:
            resource.wake()

    def _apply_one(self, resource: ResourceCache, event: Event) -> None:
        key = event.entry.key
        item = None
        resource.damaged.discard(key)
        if not event.deleted:
            try:
                item = self._described(event.entry)
            except Damaged:
                resource.damaged.add(key)
        previous = resource.put(item) if item else resource.remove(key)
        if item or previous:
            resource.record(CacheEvent(event.entry.revision, item, previous, self._describe))

    def _advance(self, revision: int) -> None:
        self._revision = max(revision, self._revision)
        while self._waiting and self._waiting[0][0] <= self._revision:
            waiter = heapq.heappop(self._waiting)[2]
            if not waiter.done():
                waiter.set_result(None)

    def _described(self, entry: Entry) -> CacheItem:
        """The item.  Whatever goes wrong with one value is that object's trouble, never the cache's."""
        try:
            return self._describe(entry)
        except Exception as error:
            logger.error("an object cannot be read key=%r reason=%r", entry.key, str(error))
            raise Damaged(entry.key, entry.revision) from error

    def _prefix_of(self, key: str) -> str:
        """ "/registry/apps/deployments/ns/name" belongs to "/registry/apps/deployments/"."""
        return "/".join(key.split("/", 4)[:4]) + "/"
