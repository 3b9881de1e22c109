"""Objects that go by themselves: events, an hour after they were last written.

What must stay true: an object that was written again in the meantime stays; nothing is looked at more often than once a
minute, and nothing at all while no such object exists.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import timedelta
from typing import Any

from apiserver.registry.store import ResourceStore
from apiserver.resources import Resources
from apiserver.storage.store import StoreError
from tiphys.api.status import StatusError
from tiphys.api.times import TimeError, parse_time
from tiphys.clock import Clock

_log = logging.getLogger(__name__)

INTERVAL_SECONDS = 60.0


class Expiry:
    """`await run()` in a task; cancel it to stop."""

    def __init__(self, resources: Resources, clock: Clock) -> None:
        self._clock = clock
        mortal = (resources.of(info) for info in resources.registry.all() if "list" in info.verbs)
        self._stores = [store for store in mortal if store.strategy.ttl_seconds]

    async def run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            try:
                await self.step()
            except StoreError as error:
                _log.warning("expired objects stay for now reason=%r", str(error))

    async def step(self) -> None:
        """Remove what is over."""
        for store in self._stores:
            for obj in store.peek_all() if len(store) else ():
                if self._is_over(obj, store):
                    await self._remove(store, obj)

    def _is_over(self, obj: dict[str, Any], store: ResourceStore) -> bool:
        metadata = obj["metadata"]
        times = [metadata.get("creationTimestamp"), *(entry.get("time") for entry in metadata.get("managedFields", []))]
        try:
            last = max(parse_time(text) for text in times if text)
        except (TimeError, ValueError):
            return False
        return self._clock.now() - last > timedelta(seconds=store.strategy.ttl_seconds)

    async def _remove(self, store: ResourceStore, obj: dict[str, Any]) -> None:
        async def change(current: dict[str, Any]) -> dict[str, Any] | None:
            return None if self._is_over(current, store) else current

        with contextlib.suppress(StatusError):  # somebody else removed it
            await store.change(obj["metadata"].get("namespace", ""), obj["metadata"]["name"], change)
