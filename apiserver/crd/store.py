"""The objects of a custom resource in one version: like any kind's, but kept in the storage version."""

from __future__ import annotations

from typing import Any

from apiserver.crd.family import Family
from apiserver.crd.view import VersionView
from apiserver.crd.webhookview import WebhookView
from apiserver.registry.store import Obj, ResourceStore, Stored
from apiserver.registry.strategy import Strategy
from apiserver.storage.cacheitem import CacheItem
from apiserver.storage.store import Store
from apiserver.storage.watchcache import WatchCache
from tiphys.api.customresource.kind import CustomVersion
from tiphys.api.status import StatusError

_STRATEGY = Strategy(unconditional_update=False)


class CustomResourceStore(ResourceStore):
    def __init__(self, version: CustomVersion, family: Family, store: Store, cache: WatchCache) -> None:
        info, prefix = version.info, f"/registry/{version.info.group}/{version.info.plural}/"
        self.view: VersionView
        if family.webhook is None:
            self.view = VersionView(cache, prefix, info, self._bring)
        else:
            self.view = WebhookView(cache, prefix, info, self._bring_all)
        self.version = version
        self._family = family
        super().__init__(version.info, _STRATEGY, store, self.view)

    def _bring(self, obj: dict[str, Any]) -> dict[str, Any]:
        self._family.bring(obj, self.version)
        return obj

    async def _bring_all(self, objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return await self._family.bring_all(objects, self.version)

    async def insert(self, obj: Obj, *, dry_run: bool = False) -> Stored:
        if "create" not in self.info.verbs:
            text = "create not allowed while custom resource definition is terminating"
            raise StatusError(
                405, "MethodNotAllowed", text, details={"group": self.info.group, "kind": self.info.plural}
            )
        return await super().insert(obj, dry_run=dry_run)

    async def cached(self, key: str) -> CacheItem | None:
        if not isinstance(self.view, WebhookView):
            return await super().cached(key)
        found = self.view.cache.resource(self.prefix).get(key)
        return None if found is None else (await self.view.show_all([found]))[0]

    def to_storage(self, value: bytes) -> bytes:
        return self._family.to_storage(value, self.version)

    def from_storage(self, value: bytes) -> bytes:
        return self._family.from_storage(value, self.version)

    async def stored_form(self, value: bytes) -> bytes:
        return await self._family.stored_form(value, self.version)

    async def shown_form(self, value: bytes) -> bytes:
        return await self._family.shown_form(value, self.version)
