"""An informer: one resource, listed once and watched from there on, as an indexed cache with handlers.

What holds: the cache is the state of the resource at `revision`, never a mixture; `revision` only grows (a server that
was restored from an older snapshot is the one exception, after a new list); handlers see every change of the cache, in
order, from the event loop's own task, and must not block.

The start is a WatchList (sendInitialEvents) where the server has it, else a paged list and a watch.  A stream that
ends goes on from the last revision; a 410 lists again and the difference is handed to the handlers.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from itertools import count
from random import Random
from typing import Generic, TypeVar, cast

from tiphys.api.selectors import LabelSelectorExpr
from tiphys.client.cache import Cache, Change, IndexFunction, Key, key_of
from tiphys.client.errors import ApiError, ConnectionFailed
from tiphys.client.resources import ApiObject, Resource, resource_of
from tiphys.client.rest import Client
from tiphys.client.watch import WatchEvent
from tiphys.logs import fields

T = TypeVar("T", bound=ApiObject)
Handler = Callable[[T | None, T | None], None]

_log = logging.getLogger(__name__)

PAGE_LIMIT = 500
WATCH_TIMEOUT_SECONDS = 300  # each watch lasts once to twice this, so that reconnects spread out
BACKOFF_FIRST_SECONDS = 0.1
BACKOFF_LAST_SECONDS = 30.0


class Informer(Generic[T]):
    """`random` spreads reconnects; selectors and `namespace` narrow what is cached."""

    def __init__(
        self,
        client: Client,
        model: type[T] | Resource[T],
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        random: Random | None = None,
    ) -> None:
        self.client = client
        self.resource: Resource[T] = resource_of(model)
        self.namespace = namespace
        self._selectors = {"label_selector": label_selector, "field_selector": field_selector}
        self._random = random or Random()
        self.cache: Cache[T] = Cache()
        self.revision = 0
        self._handlers: list[Handler[T]] = []
        self._synced = asyncio.Event()
        self._waiters: list[tuple[int, int, Callable[[], None]]] = []  # heap by revision
        self._gone_waiters: dict[Key, list[tuple[str, Callable[[], None]]]] = {}
        self._order = count()
        self._watch_list = True  # until the server says it does not know it
        self._listed = False  # a watch from self.revision brings the cache up to date
        self._task: asyncio.Task[None] | None = None

    # Reading

    @property
    def synced(self) -> bool:
        """The cache has held the whole resource once."""
        return self._synced.is_set()

    @property
    def resource_version(self) -> str:
        """The revision the cache is at, as clients spell it; "" before the first sync."""
        return str(self.revision) if self.revision else ""

    def get(self, namespace: str, name: str) -> T | None:
        return self.cache.get(namespace, name)

    def list(self, namespace: str | None = None, selector: LabelSelectorExpr | None = None) -> list[T]:
        return self.cache.list(namespace, selector)

    def by_index(self, index: str, value: str) -> Sequence[T]:
        return self.cache.by_index(index, value)

    def add_index(self, name: str, function: IndexFunction[T]) -> None:
        self.cache.add_index(name, function)

    def add_handler(self, handler: Handler[T]) -> None:
        """Call `handler(old, new)` for every change from now on, and now once for each object already held."""
        self._handlers.append(handler)
        for obj in list(self.cache):
            self._call(handler, None, obj)

    # Waiting

    async def wait_synced(self) -> None:
        await self._synced.wait()

    async def wait_for(self, revision: int) -> None:
        """Return when the cache shows every write up to `revision`."""
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.when_reached(revision, lambda: None if reached.done() else reached.set_result(None))
        await reached

    def when_reached(self, revision: int, callback: Callable[[], None]) -> None:
        """Call `callback` once the cache is at `revision`: at once if it is there already."""
        if self.revision >= revision:
            callback()
        else:
            heapq.heappush(self._waiters, (revision, next(self._order), callback))

    def shows_gone(self, key: Key, uid: str) -> bool:
        """The cache knows that the object with `uid` was deleted or is being deleted ("" : whichever object it is)."""
        held = self.cache.get(*key)
        if held is None or held.metadata.deletionTimestamp:
            return True
        return bool(uid) and held.metadata.uid != uid

    def when_gone(self, key: Key, uid: str, callback: Callable[[], None]) -> None:
        """Call `callback` once `shows_gone`."""
        if self.shows_gone(key, uid):
            callback()
        else:
            self._gone_waiters.setdefault(key, []).append((uid, callback))

    # Running

    def start(self) -> None:
        """Run in a task of its own until `stop`."""
        if self._task is None:
            self._task = asyncio.create_task(self.run(), name=f"informer {self.resource}")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def run(self) -> None:
        """List and watch until cancelled; failures are logged and retried with back-off."""
        failures = 0
        while True:
            before = self.revision
            try:
                await self._run_once()
                failures = 0
                continue
            except ApiError as error:
                if not self._listed and self._watch_list and error.code in (400, 405, 422):
                    self._watch_list = False
                    continue
                self._listed = self._listed and not error.expired
                level = logging.INFO if error.expired else logging.WARNING
                _log.log(level, "watch refused", extra=fields(resource=self.resource, code=error.code, reason=error))
            except ConnectionFailed as error:
                _log.info("watch interrupted", extra=fields(resource=self.resource, reason=error))
            except Exception:
                _log.exception("watch crashed", extra=fields(resource=self.resource))
            failures = 1 if self.revision > before else failures + 1
            await asyncio.sleep(self._backoff_seconds(failures))

    async def _run_once(self) -> None:
        """The next step: the start in one of its two forms, or one more watch."""
        if self._listed:
            await self._follow(initial=False)
        elif self._watch_list:
            await self._follow(initial=True)
        else:
            await self._list()

    def _backoff_seconds(self, failures: int) -> float:
        most = min(BACKOFF_FIRST_SECONDS * 2.0 ** min(failures - 1, 16), BACKOFF_LAST_SECONDS)
        return most * (0.5 + self._random.random() / 2)

    async def _list(self) -> None:
        """The whole resource page by page at one revision."""
        objects: dict[Key, T] = {}
        token, revision = "", ""
        while True:
            page = await self.client.list(
                self.resource, self.namespace, limit=PAGE_LIMIT, continue_token=token, **self._selectors
            )
            objects.update((key_of(obj), obj) for obj in page.items)
            revision = page.resource_version
            token = page.continue_token
            if not token:
                break
        self._replace(objects, int(revision or 0))

    async def _follow(self, *, initial: bool) -> None:
        """One watch stream until it ends.  An initial one begins with the whole resource."""
        timeout_seconds = round(WATCH_TIMEOUT_SECONDS * (1 + self._random.random()))
        events = self.client.watch(
            self.resource,
            self.namespace,
            resource_version="" if initial else str(self.revision),
            send_initial_events=initial,
            timeout_seconds=timeout_seconds,
            **self._selectors,
        )
        async with aclosing(events) as stream:
            if initial and not await self._take_initial_events(stream):
                raise ConnectionFailed("the stream ended before its initial events did")
            async for event in stream:
                self._apply(event)

    async def _take_initial_events(self, stream: AsyncIterator[WatchEvent[T]]) -> bool:
        objects: dict[Key, T] = {}
        async for event in stream:
            if event.object is not None:
                objects[key_of(event.object)] = event.object
            elif event.initial_events_end:
                self._replace(objects, int(event.resource_version))
                return True
        return False

    # Changing the cache

    def _replace(self, objects: dict[Key, T], revision: int) -> None:
        changes = self.cache.replace(objects)
        self.revision = revision
        self._listed = True
        self._synced.set()
        self._tell(changes)

    def _apply(self, event: WatchEvent[T]) -> None:
        if event.resource_version:
            self.revision = max(self.revision, int(event.resource_version))
        if event.object is None:
            self._tell([])
        elif event.type == "DELETED":
            self._tell([self.cache.drop(key_of(event.object))])
        else:
            self._tell([self.cache.put(event.object)])

    def _tell(self, changes: Sequence[Change[T]]) -> None:
        for old, new in changes:
            if old is None and new is None:
                continue
            for handler in self._handlers:
                self._call(handler, old, new)
            self._tell_gone(cast("T", new or old))
        while self._waiters and self._waiters[0][0] <= self.revision:
            heapq.heappop(self._waiters)[2]()

    def _tell_gone(self, obj: T) -> None:
        key = key_of(obj)
        waiting = self._gone_waiters.pop(key, None)
        for uid, callback in waiting or ():
            self.when_gone(key, uid, callback)

    def _call(self, handler: Handler[T], old: T | None, new: T | None) -> None:
        try:
            handler(old, new)
        except Exception:
            _log.exception("handler failed", extra=fields(resource=self.resource))
