"""The objects of a custom resource in one version: like any kind's, but kept in the storage version."""

from __future__ import annotations

from typing import Any

from apiserver.crd.family import Family
from apiserver.crd.view import VersionView
from apiserver.registry.store import Obj, ResourceStore, Stored
from apiserver.registry.strategy import Strategy
from apiserver.storage.store import Store
from apiserver.storage.watchcache import WatchCache
from tiphys.api.customresource.kind import CustomVersion
from tiphys.api.status import StatusError

_STRATEGY = Strategy(unconditional_update=False)


class CustomResourceStore(ResourceStore):
    def __init__(self, version: CustomVersion, family: Family, store: Store, cache: WatchCache) -> None:
        info = version.info
        self.view = VersionView(cache, f"/registry/{info.group}/{info.plural}/", info, self._bring)
        self._version = version
        self._family = family
        super().__init__(version.info, _STRATEGY, store, self.view)

    def _bring(self, obj: dict[str, Any]) -> dict[str, Any]:
        self._family.bring(obj, self._version)
        return obj

    async def insert(self, obj: Obj, *, dry_run: bool = False) -> Stored:
        if "create" not in self.info.verbs:
            text = "create not allowed while custom resource definition is terminating"
            raise StatusError(
                405, "MethodNotAllowed", text, details={"group": self.info.group, "kind": self.info.plural}
            )
        return await super().insert(obj, dry_run=dry_run)

    def to_storage(self, value: bytes) -> bytes:
        return self._family.to_storage(value, self._version)

    def from_storage(self, value: bytes) -> bytes:
        return self._family.from_storage(value, self._version)
