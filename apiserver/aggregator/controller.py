"""Aggregated APIs as a whole: who answers for what now, and the objects and documents that say so.

One loop, level-triggered: events say which APIService to look at again, `_check` looks at everything about it.  An
extension server is asked again every 30 seconds, because nobody else would tell that it is gone; without APIServices
that name a service nothing happens but on events.

What must stay true: `entry_of` is what the proxy, discovery and authorization all go by.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from apiserver.aggregator.apiservices import GROUP, PLURAL, Entry, by_group_version, entry_of, in_order
from apiserver.aggregator.availability import PASSED, Condition, assess, failed, with_condition
from apiserver.aggregator.backends import Backends, OpenApiDocument, Unanswered
from apiserver.aggregator.documents import BadDocument
from apiserver.aggregator.proxy import AggregatedProxy
from apiserver.aggregator.registration import plan, wanted
from apiserver.bootstrap import Bootstrap
from apiserver.outbound import OutboundError
from apiserver.registry.store import ResourceStore
from apiserver.request import AnyResponse, Request
from apiserver.requestinfo import RequestInfo
from apiserver.resources import Resources
from apiserver.storage.store import Compacted, StoreError
from tiphys.api.apply import update_managed_fields
from tiphys.api.status import StatusError
from tiphys.api.times import format_time
from tiphys.clock import Clock
from tiphys.logs import fields

_log = logging.getLogger(__name__)
Obj = dict[str, Any]
GroupVersion = tuple[str, str]

RECHECK_SECONDS = 30.0
RETRY_SECONDS = 1.0
_MANAGER = "kube-apiserver"
_SERVICE_NAME = "kubernetes.io/service-name"


class Aggregator:
    """`changed(group)` is called whenever what is listed of a group has changed."""

    def __init__(
        self,
        resources: Resources,
        bootstrap: Bootstrap,
        backends: Backends,
        clock: Clock,
        changed: Callable[[str], None],
    ) -> None:
        self._resources, self._bootstrap, self._backends = resources, bootstrap, backends
        self._clock, self._changed = clock, changed
        self._proxy = AggregatedProxy(backends)
        self._entries: dict[GroupVersion, Entry] = {}
        self._proxied: dict[GroupVersion, Entry] = {}
        self._listed: dict[GroupVersion, tuple[list[Obj], bool]] = {}  # discovery entries, and whether they are fresh
        self._openapi: dict[GroupVersion, OpenApiDocument] = {}
        self._at_start: frozenset[str] = frozenset()
        self._due: dict[str, float] = {}  # name -> when to look at it, in loop time
        self._delays: dict[str, float] = {}
        self._wake = asyncio.Event()

    @property
    def _store(self) -> ResourceStore:
        store = self._resources.named(GROUP, PLURAL)
        assert store is not None
        return store

    # --- what others ask ----------------------------------------------------------------------------------------------

    def entry_of(self, info: RequestInfo) -> Entry | None:
        """The APIService that answers a request, None where this server does."""
        if not self._proxied or not info.path.startswith("/apis/"):
            return None
        parts = info.path.split("/", 4)
        return self._proxied.get((parts[2], parts[3])) if len(parts) >= 4 else None

    async def handle(self, request: Request, entry: Entry) -> AnyResponse:
        return await self._proxy.forward(request, entry)

    def order(self, local: Mapping[str, Sequence[str]]) -> list[tuple[str, list[str]]]:
        """The groups but the core one, with their versions, in the order discovery lists them."""
        return in_order(local, self._entries.values())

    def listed(self, group: str, version: str) -> tuple[list[Obj], bool] | None:
        """An extension server's resources and whether that is fresh; None where this server answers."""
        if (group, version) not in self._proxied:
            return None
        return self._listed.get((group, version), ([], False))

    def openapi(self) -> dict[GroupVersion, Obj]:
        """The OpenAPI v3 documents of extension servers."""
        return {key: found.document for key, found in self._openapi.items() if key in self._proxied}

    # --- following ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Know who answers for what; before anything listens."""
        objects = self._store.peek_all()
        self._at_start = frozenset(one["metadata"]["name"] for one in objects)
        self._take(objects)

    async def run(self) -> None:
        """Until cancelled."""
        followed = [(GROUP, PLURAL), ("", "services"), ("discovery.k8s.io", "endpointslices")]
        tasks = [asyncio.create_task(self._follow(*one), name=f"follow {one[1]}") for one in followed]
        try:
            await self._again_until_done(self._register_at_start)
            while True:
                await self._wait()
                now = asyncio.get_running_loop().time()
                due = [name for name, when in self._due.items() if when <= now]
                await asyncio.gather(*(self._check(name) for name in due))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def kinds_changed(self) -> None:
        """A custom resource came or went: its APIService must."""
        self._look("", 0)

    async def _wait(self) -> None:
        self._wake.clear()
        now = asyncio.get_running_loop().time()
        left = max(0.0, min(self._due.values()) - now) if self._due else None
        try:
            async with asyncio.timeout(left):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _look(self, name: str, delay_seconds: float) -> None:
        """Look at an APIService (at the custom resources' for "") that much later."""
        self._due[name] = asyncio.get_running_loop().time() + delay_seconds
        self._wake.set()

    async def _again_until_done(self, work: Callable[[], Any]) -> None:
        while True:
            try:
                await work()
                return
            except (StoreError, StatusError) as error:
                _log.warning("API services are behind", extra=fields(error=str(error)))
                await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self, group: str, plural: str) -> None:
        store = self._resources.named(group, plural)
        assert store is not None
        while True:
            try:
                watch = await self._resources.cache.watch(store.prefix, initial=True)
                self._saw(plural, [item.name for item in watch.initial], None)
                while True:
                    for event in await watch.next(None):
                        name, labels = event.item.name, event.item.labels
                        self._saw(plural, [name], (event.item.namespace, labels.get(_SERVICE_NAME, name)))
            except Compacted:
                continue
            except StoreError as error:
                _log.info("API services are not watched any more", extra=fields(reason=str(error)))
                return

    def _saw(self, plural: str, names: Sequence[str], service: tuple[str, str] | None) -> None:
        """Something of these names changed; `service` None: look at everything."""
        if plural == PLURAL:
            self._take(self._store.peek_all())
            for name in names:
                self._look(name, 0)
            return
        for entry in self._proxied.values():
            assert entry.service is not None
            if service is None or service == (entry.service.namespace, entry.service.name):
                self._look(entry.name, 0)

    def _take(self, objects: Sequence[Obj]) -> None:
        before = self._entries
        self._entries = by_group_version(objects)
        self._proxied = {key: entry for key, entry in self._entries.items() if entry.service is not None and key[0]}
        for gone in self._listed.keys() - self._proxied.keys():
            self._listed.pop(gone)
            self._openapi.pop(gone, None)
        for key in before.keys() | self._entries.keys():
            if before.get(key) != self._entries.get(key):
                self._changed(key[0])

    # --- looking ------------------------------------------------------------------------------------------------------

    async def _check(self, name: str) -> None:
        self._due.pop(name, None)
        try:
            if not name:
                await self._register(starting=False)
                return
            obj = self._store.peek("", name)
            if obj is None:
                self._delays.pop(name, None)
                self._look("", 0)  # perhaps it should be there
                return
            entry = entry_of(obj)
            found = await self._condition(entry)
            if with_condition(obj, found, "") is not obj:
                await self._write_status(name, found)
            if entry.service is not None:
                self._schedule(name, ok=found.status == "True")
            if name not in self._at_start:
                self._look("", 0)
        except (StoreError, StatusError) as error:
            _log.warning("API service not settled", extra=fields(name=name, error=str(error)))
            self._look(name, RETRY_SECONDS)
        except Exception:  # one bad object must not keep the others from being looked at
            _log.exception("API service not settled", extra=fields(name=name))
            self._look(name, RECHECK_SECONDS)

    def _schedule(self, name: str, *, ok: bool) -> None:
        if ok:
            self._delays.pop(name, None)
        delay = RECHECK_SECONDS if ok else self._delays.get(name, RETRY_SECONDS)
        if not ok:
            self._delays[name] = min(RECHECK_SECONDS, 2 * delay)
        if name not in self._due:
            self._look(name, delay)

    async def _condition(self, entry: Entry) -> Condition:
        key = (entry.group, entry.version)
        if entry.service is None:
            return assess(entry, None, ()) or PASSED
        service = self._resources.peek("", "services", entry.service.namespace, entry.service.name)
        store = self._resources.named("discovery.k8s.io", "endpointslices")
        slices = store.peek_all(entry.service.namespace) if store is not None else []
        own = [one for one in slices if (one["metadata"].get("labels") or {}).get(_SERVICE_NAME) == entry.service.name]
        found = assess(entry, service, own)
        listed: list[Obj] | None = None
        if found is None:
            try:
                listed = await self._backends.resources(entry)
                found = PASSED
            except Unanswered as error:
                found = failed(str(error))
        if key in self._proxied:
            self._list(key, listed)
            if listed is not None:
                await self._read_openapi(entry)
        return found

    def _list(self, key: GroupVersion, listed: list[Obj] | None) -> None:
        before = self._listed.get(key, ([], False))
        after = (before[0], False) if listed is None else (listed, True)
        if after != before:
            self._listed[key] = after
            self._changed(key[0])

    async def _read_openapi(self, entry: Entry) -> None:
        key = (entry.group, entry.version)
        before = self._openapi.get(key)
        try:
            after = await self._backends.openapi(entry, before)
        except (OutboundError, BadDocument) as error:
            _log.info("OpenAPI of an extension server not read", extra=fields(name=entry.name, reason=str(error)))
            return
        if after is before or key not in self._proxied:
            return
        if after is None:
            self._openapi.pop(key, None)
        else:
            self._openapi[key] = after
        self._changed(key[0])

    # --- writing ------------------------------------------------------------------------------------------------------

    async def _write_status(self, name: str, found: Condition) -> None:
        info, now = self._store.info, format_time(self._clock.now())

        async def change(current: Obj) -> Obj:
            new = with_condition(current, found, now)
            return update_managed_fields(
                current, new, info.schema, manager=_MANAGER, api_version=info.api_version, subresource="status", now=now
            )

        try:
            await self._store.change("", name, change)
        except StatusError as error:
            if error.code != 404:
                raise
            return
        if found.status != "True":
            _log.info("API service not available", extra=fields(name=name, reason=found.reason, text=found.message))

    async def _register_at_start(self) -> None:
        await self._register(starting=True)

    async def _register(self, *, starting: bool) -> None:
        """Make the objects of what this server serves itself what they should be.  Raises StatusError, StoreError."""
        objects = {one["metadata"]["name"]: one for one in self._store.peek_all()}
        want = wanted(self._resources.registry.all())
        todo = plan(want, objects, starting=starting, at_start=self._at_start)
        for name in todo.create:
            await self._bootstrap.ensure(GROUP, "v1", PLURAL, "", want[name])
        for name in todo.update:
            await self._bootstrap.change(self._store.info, "", name, _corrected(want[name]))
        for name in todo.delete:
            await self._bootstrap.remove(self._store.info, "", name)


def _corrected(want: Obj) -> Callable[[Obj], Obj]:
    def edit(found: Obj) -> Obj:
        labels = {**(found["metadata"].get("labels") or {}), **want["metadata"]["labels"]}
        return {**found, "metadata": {**found["metadata"], "labels": labels}, "spec": want["spec"]}

    return edit
