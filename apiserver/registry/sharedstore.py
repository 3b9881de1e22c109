"""The objects of a kind that are kept as another kind writes them: events of events.k8s.io, autoscaling/v1.

What must stay true: both kinds are ways to see the same objects, so a write through one is at once seen through the
other, under one key and one resourceVersion.
"""

from __future__ import annotations

import orjson

from apiserver.crd.view import VersionView
from apiserver.registry.codec import encode_stored
from apiserver.registry.store import ResourceStore
from apiserver.registry.strategy import Strategy
from apiserver.storage.store import Store
from apiserver.storage.watchcache import WatchCache
from tiphys.api.kinds import KindInfo


class SharedStore(ResourceStore):
    def __init__(self, info: KindInfo, strategy: Strategy, store: Store, cache: WatchCache) -> None:
        group, plural = info.storage
        view = VersionView(cache, f"/registry/{group or 'core'}/{plural}/", info, info.from_storage)
        super().__init__(info, strategy, store, view)

    def to_storage(self, value: bytes) -> bytes:
        return encode_stored(self.info.to_storage(orjson.loads(value)))

    def from_storage(self, value: bytes) -> bytes:
        return encode_stored(self.info.from_storage(orjson.loads(value)))
