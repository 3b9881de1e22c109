"""All resources of this server: the kinds it knows and where their objects are.

What must stay true: every kind, built in or custom, is reached through here, so no verb asks for a kind by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.registry.codec import Fields
from apiserver.registry.sharedstore import SharedStore
from apiserver.registry.store import ResourceStore
from apiserver.registry.strategy import DEFAULT, Strategy
from apiserver.storage.store import Store
from apiserver.storage.watchcache import WatchCache
from tiphys.api.kinds import KindInfo, Registry
from tiphys.api.status import StatusError

Strategies = Mapping[tuple[str, str], Strategy]


class Resources:
    def __init__(self, registry: Registry, store: Store, cache: WatchCache, strategies: Strategies) -> None:
        self.registry = registry
        self.store = store
        self.cache = cache
        self._strategies = strategies
        self._stores: dict[tuple[str, str, str], ResourceStore] = {}

    def of(self, info: KindInfo) -> ResourceStore:
        key = (info.group, info.version, info.plural)
        found = self._stores.get(key)
        if found is None:
            strategy = self._strategies.get((info.group, info.plural), DEFAULT)
            kind = SharedStore if info.shows_another else ResourceStore
            found = self._stores[key] = kind(info, strategy, self.store, self.cache)
        return found

    def adopt(self, store: ResourceStore) -> None:
        """Serve a kind whose objects are in `store`: a version of a custom resource."""
        info = store.info
        self._stores[info.group, info.version, info.plural] = store
        self.registry.register(info)

    def drop(self, info: KindInfo) -> None:
        """Serve it no longer."""
        self._stores.pop((info.group, info.version, info.plural), None)
        self.registry.unregister(info)

    def named(self, group: str, plural: str) -> ResourceStore | None:
        """The store of a resource in whichever version is served."""
        for info in self.registry.all():
            if info.group == group and info.plural == plural:
                return self.of(info)
        return None

    def peek(self, group: str, plural: str, namespace: str, name: str) -> dict[str, Any] | None:
        """An object as the cache has it now, or None."""
        store = self.named(group, plural)
        return store.peek(namespace, name) if store is not None else None

    async def lookup(self, group: str, plural: str, namespace: str, name: str) -> dict[str, Any] | None:
        """An object as of now, or None."""
        store = self.named(group, plural)
        if store is None:
            return None
        found = store.peek(namespace, name)
        if found is None:  # the cache may only be late: read it again when it has come up to now
            try:
                found = (await store.get(namespace, name)).obj
            except StatusError as error:
                if error.code != 404:
                    raise
        return found


def selectable_fields(registry: Registry) -> dict[str, Fields]:
    """ "group/plural" as in a key -> the function that reads a kind's selectable fields."""
    readers: dict[str, Fields] = {}
    for info in registry.all():
        if info.selectable_fields:
            readers[f"{info.group or 'core'}/{info.plural}"] = _reader(info)
    return readers


def _reader(info: KindInfo) -> Fields:
    readers = dict(info.selectable_fields)

    def read(obj: dict[str, Any]) -> Mapping[str, str]:
        return {path: reader(obj) for path, reader in readers.items()}

    return read
